using System.Globalization;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// One version of one session as Redis held it. Immutable, and shared by every request of this server that loads that
/// version, so its arrays never leave the library: callers get copies.
/// </summary>
internal sealed class SessionSnapshot
{
    // What a field, and a session, cost in memory beyond their characters and bytes: object headers, dictionary slots.
    private const int FieldOverhead = 96;
    private const int SessionOverhead = 600;

    private readonly Dictionary<string, byte[]> _fields;
    private readonly KeyValuePair<string, string>[] _metadata;

    private SessionSnapshot(long version, Dictionary<string, byte[]> fields, KeyValuePair<string, string>[] metadata)
    {
        Version = version;
        _fields = fields;
        _metadata = metadata;
        CreatedAt = long.Parse(GetMetadata(FieldNames.Created)!, CultureInfo.InvariantCulture);
        Size = SessionOverhead;
        foreach (var (name, value) in fields)
        {
            Size += FieldOverhead + (2 * name.Length) + value.Length;
        }
    }

    /// <summary>Not the version of anything that Redis holds.</summary>
    public const long UnknownVersion = 0;

    public long Version { get; }

    /// <summary>When the session was created, Unix milliseconds.</summary>
    public long CreatedAt { get; }

    /// <summary>The application's fields, by the application's names.</summary>
    public IReadOnlyDictionary<string, byte[]> Fields => _fields;

    /// <summary>Estimated bytes of memory.</summary>
    public long Size { get; }

    /// <summary>All metadata but the version, by stored name.</summary>
    public ReadOnlySpan<KeyValuePair<string, string>> Metadata => _metadata;

    public string? GetMetadata(string name)
    {
        foreach (var (key, value) in _metadata)
        {
            if (key == name)
            {
                return value;
            }
        }

        return null;
    }

    public TimeSpan? GetMilliseconds(string name) =>
        long.TryParse(GetMetadata(name), CultureInfo.InvariantCulture, out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds) : null;

    /// <summary>
    /// When the session was last used: its remaining TTL subtracted from its idle timeout, or the time kept in the hash once
    /// the absolute timeout limits the TTL.
    /// </summary>
    public DateTimeOffset LastSeen(DateTimeOffset now, TimeSpan ttl, TimeSpan defaultIdleTimeout)
    {
        return LastSeen(now, ttl, GetMilliseconds(FieldNames.IdleTimeout) ?? defaultIdleTimeout, GetMilliseconds(FieldNames.LastSeen));
    }

    /// <summary>The same from its parts; <paramref name="kept"/> is the time kept in the hash, since the Unix epoch.</summary>
    public static DateTimeOffset LastSeen(DateTimeOffset now, TimeSpan ttl, TimeSpan idle, TimeSpan? kept) =>
        kept is { } time ? DateTimeOffset.UnixEpoch + time : ttl < idle ? now - (idle - ttl) : now;

    /// <summary>Takes the reply of HGETALL apart. Its arrays were made for this reply, so they are kept, not copied.</summary>
    /// <param name="entries">Names and values as stored.</param>
    /// <param name="key">The session's key, which values may be bound to.</param>
    /// <param name="codec">Reads values that are not stored as they are; a value that it cannot read counts as absent.</param>
    /// <exception cref="FormatException">The version or the creation time is no number.</exception>
    public static SessionSnapshot Parse(ReadOnlySpan<HashEntry> entries, string key = "", FieldCodec? codec = null)
    {
        var fields = new Dictionary<string, byte[]>(entries.Length, StringComparer.Ordinal);
        var metadata = new List<KeyValuePair<string, string>>(4);
        long version = 0;
        foreach (var entry in entries)
        {
            var name = (string)entry.Name!;
            if (!FieldNames.IsMetadata(name))
            {
                var field = FieldNames.Decode(name);
                if ((codec is null ? (byte[])entry.Value! : codec.Decode(key, field, (byte[])entry.Value!)) is { } value)
                {
                    fields[field] = value;
                }
            }
            else if (name == FieldNames.Version)
            {
                version = (long)entry.Value;
            }
            else
            {
                metadata.Add(new(FieldNames.Intern(name), (string)entry.Value!));
            }
        }

        return new SessionSnapshot(version, fields, [.. metadata]);
    }

    /// <summary>What this request sees after its delta was applied to what it saw before (<see langword="null"/>: no session).</summary>
    public static SessionSnapshot Apply(SessionSnapshot? before, SessionDelta delta, SessionHash.Committed committed)
    {
        var fields = before is null || delta.IsCleared
            ? new Dictionary<string, byte[]>(delta.Fields.Count, StringComparer.Ordinal)
            : new Dictionary<string, byte[]>(before._fields, StringComparer.Ordinal);
        foreach (var (name, value) in delta.Fields)
        {
            if (value is null)
            {
                fields.Remove(name);
            }
            else
            {
                fields[name] = value;
            }
        }

        var metadata = before?._metadata ?? [new(FieldNames.Created, committed.CreatedAt.ToString(CultureInfo.InvariantCulture))];
        if (delta.Metadata.Count > 0)
        {
            var merged = new Dictionary<string, string>(metadata, StringComparer.Ordinal);
            foreach (var (name, value) in delta.Metadata)
            {
                if (value is null)
                {
                    merged.Remove(name);
                }
                else
                {
                    merged[name] = value;
                }
            }

            metadata = [.. merged];
        }

        return new SessionSnapshot(committed.Version, fields, metadata);
    }
}
