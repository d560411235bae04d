using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace RedisSessions.Json;

/// <summary>
/// Values as JSON, on every session. In a namespace apart, because Microsoft's documentation has applications write extensions of these
/// names themselves.
/// </summary>
public static class SessionJsonExtensions
{
    private const string Reflection = "Serializes by reflection. Use the overload that takes a JsonTypeInfo<T>.";

    /// <summary>Reads a value that <c>Set</c> stored as JSON; the type's default if there is none.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <exception cref="JsonException">The field holds something else.</exception>
    [RequiresUnreferencedCode(Reflection)]
    [RequiresDynamicCode(Reflection)]
    public static T? Get<T>(this ISession session, string key) =>
        Bytes(session, key) is { } json ? JsonSerializer.Deserialize<T>(json, JsonSerializerOptions.Web) : default;

    /// <summary>Reads a value that <c>Set</c> stored as JSON, without reflection; the type's default if there is none.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="type">The type's source-generated metadata.</param>
    /// <exception cref="JsonException">The field holds something else.</exception>
    public static T? Get<T>(this ISession session, string key, JsonTypeInfo<T> type) =>
        Bytes(session, key) is { } json ? JsonSerializer.Deserialize(json, type) : default;

    /// <summary>Stores a value as UTF-8 JSON (System.Text.Json, web defaults); <see langword="null"/> is stored as JSON null.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="value">The value.</param>
    [RequiresUnreferencedCode(Reflection)]
    [RequiresDynamicCode(Reflection)]
    public static void Set<T>(this ISession session, string key, T value)
    {
        ArgumentNullException.ThrowIfNull(session);
        session.Set(key, JsonSerializer.SerializeToUtf8Bytes(value, JsonSerializerOptions.Web));
    }

    /// <summary>Stores a value as UTF-8 JSON without reflection; <see langword="null"/> is stored as JSON null.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="value">The value.</param>
    /// <param name="type">The type's source-generated metadata.</param>
    public static void Set<T>(this ISession session, string key, T value, JsonTypeInfo<T> type)
    {
        ArgumentNullException.ThrowIfNull(session);
        session.Set(key, JsonSerializer.SerializeToUtf8Bytes(value, type));
    }

    private static byte[]? Bytes(ISession session, string key)
    {
        ArgumentNullException.ThrowIfNull(session);
        return session.TryGetValue(key, out var value) ? value : null;
    }
}
