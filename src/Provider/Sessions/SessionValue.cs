using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace RedisSessions.Json;

/// <summary>
/// One value of a session: its field, its type, and which version of that type is stored, so that what a former version of the application stored can be
/// read. Made once, as a static field, and used with <c>Session.Get(value)</c> and <c>Session.Set(value, ...)</c>.
/// <para>
/// Version 1 is stored as plain JSON, as <c>Set(key, ...)</c> stores it, so a value that was stored before it had versions is of version 1. A later one has its number
/// in front: <c>v2 {"items":[...]}</c>. A version that is later than this application's, as in the middle of a roll-out, counts as absent, and is logged.
/// </para>
/// </summary>
/// <typeparam name="T">The type.</typeparam>
public sealed class SessionValue<T>
{
    private const byte Mark = (byte)'v';
    private const byte End = (byte)' ';

    private readonly JsonTypeInfo<T> _type;

    /// <summary>Defines a value.</summary>
    /// <param name="key">The field.</param>
    /// <param name="type">The type's source-generated metadata.</param>
    public SessionValue(string key, JsonTypeInfo<T> type)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(type);
        (Key, _type) = (key, type);
    }

    /// <summary>Defines a value that is serialized by reflection, with web defaults.</summary>
    /// <param name="key">The field.</param>
    [RequiresUnreferencedCode(SessionJsonExtensions.Reflection)]
    [RequiresDynamicCode(SessionJsonExtensions.Reflection)]
    public SessionValue(string key)
        : this(key, (JsonTypeInfo<T>)JsonSerializerOptions.Web.GetTypeInfo(typeof(T)))
    {
    }

    /// <summary>The field.</summary>
    public string Key { get; }

    /// <summary>The version of the type that is stored. At least 1. Default 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is less than 1.</exception>
    public int Version
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = 1;

    /// <summary>
    /// Makes the value from what a former version stored. Told that version and its JSON; answers the type's default for what is not to be kept. What it
    /// throws reaches the page, but for <see cref="JsonException"/>, with which the value counts as absent. Default <see langword="null"/>: the present
    /// version reads all former ones itself, as it can where members were only added.
    /// </summary>
    public Func<int, JsonElement, T?>? Upgrade { get; init; }

    internal byte[] Serialize(T value)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(value, _type);
        return Version == 1 ? json : [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"v{Version} ")), .. json];
    }

    /// <exception cref="JsonException">It cannot be read.</exception>
    internal T? Deserialize(byte[] stored)
    {
        var (version, json) = Split(stored);
        if (version > Version)
        {
            throw new JsonException("The value is of a later version.");
        }

        if (version == Version || Upgrade is not { } upgrade)
        {
            return JsonSerializer.Deserialize(json.Span, _type);
        }

        using var document = JsonDocument.Parse(json);
        return upgrade(version, document.RootElement);
    }

    private static (int Version, ReadOnlyMemory<byte> Json) Split(byte[] stored)
    {
        // No JSON begins so.
        if (stored is not [Mark, ..])
        {
            return (1, stored);
        }

        var end = stored.AsSpan().IndexOf(End);
        return end > 1 && int.TryParse(stored.AsSpan(1, end - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? (version, stored.AsMemory(end + 1))
            : throw new JsonException("The value has no readable version.");
    }
}
