using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using RedisSessions.Sessions;

namespace RedisSessions.Json;

/// <summary>
/// Values as JSON, on every session. In a namespace apart, because Microsoft's documentation has applications write extensions of these
/// names themselves.
/// <para>
/// A session outlives a deployment, and its values the class that wrote them. What a class cannot read any more counts as absent, and is logged (event 133) without
/// its content; it stays where it is until something else is set. On a session of another store, which has no log, it throws <see cref="JsonException"/>.
/// </para>
/// </summary>
public static class SessionJsonExtensions
{
    internal const string Reflection = "Serializes by reflection. Use the overload that takes a JsonTypeInfo<T>.";

    /// <summary>Reads a value that <c>Set</c> stored as JSON; the type's default if there is none that can be read.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <exception cref="JsonException">The field holds something else, and the session is no session of this library.</exception>
    [RequiresUnreferencedCode(Reflection)]
    [RequiresDynamicCode(Reflection)]
    public static T? Get<T>(this ISession session, string key) => Read(session, key, static json => JsonSerializer.Deserialize<T>(json, JsonSerializerOptions.Web));

    /// <summary>Reads a value that <c>Set</c> stored as JSON, without reflection; the type's default if there is none that can be read.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="type">The type's source-generated metadata.</param>
    /// <exception cref="JsonException">The field holds something else, and the session is no session of this library.</exception>
    public static T? Get<T>(this ISession session, string key, JsonTypeInfo<T> type)
    {
        ArgumentNullException.ThrowIfNull(type);
        return Read(session, key, json => JsonSerializer.Deserialize(json, type));
    }

    /// <summary>Reads a value as its definition says; the type's default if there is none that can be read.</summary>
    /// <param name="session">The session.</param>
    /// <param name="value">Where the value is, and how former versions of its class are read.</param>
    /// <exception cref="JsonException">The field holds something else, and the session is no session of this library.</exception>
    public static T? Get<T>(this ISession session, SessionValue<T> value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return Read(session, value.Key, value.Deserialize);
    }

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

    /// <summary>Stores a value as its definition says.</summary>
    /// <param name="session">The session.</param>
    /// <param name="definition">Where the value goes, and in which version of its class.</param>
    /// <param name="value">The value.</param>
    public static void Set<T>(this ISession session, SessionValue<T> definition, T value)
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(definition);
        session.Set(definition.Key, definition.Serialize(value));
    }

    /// <summary>Stores a value as UTF-8 JSON that is gone by itself when its time is over: see <see cref="RedisSessionExtensions.Set(ISession, string, byte[], TimeSpan)"/>.</summary>
    /// <param name="session">The session, of this library.</param>
    /// <param name="key">The field.</param>
    /// <param name="value">The value.</param>
    /// <param name="lifetime">For how long, from now. At least a millisecond.</param>
    /// <exception cref="NotSupportedException">The server has no HPEXPIRE.</exception>
    [RequiresUnreferencedCode(Reflection)]
    [RequiresDynamicCode(Reflection)]
    public static void Set<T>(this ISession session, string key, T value, TimeSpan lifetime) =>
        RedisSessionExtensions.Require(session).Set(key, JsonSerializer.SerializeToUtf8Bytes(value, JsonSerializerOptions.Web), lifetime);

    /// <summary>As <see cref="Set{T}(ISession, string, T, TimeSpan)"/>, without reflection.</summary>
    /// <param name="session">The session, of this library.</param>
    /// <param name="key">The field.</param>
    /// <param name="value">The value.</param>
    /// <param name="type">The type's source-generated metadata.</param>
    /// <param name="lifetime">For how long, from now. At least a millisecond.</param>
    /// <exception cref="NotSupportedException">The server has no HPEXPIRE.</exception>
    public static void Set<T>(this ISession session, string key, T value, JsonTypeInfo<T> type, TimeSpan lifetime) =>
        RedisSessionExtensions.Require(session).Set(key, JsonSerializer.SerializeToUtf8Bytes(value, type), lifetime);

    /// <summary>Stores a value as its definition says, that is gone by itself when its time is over.</summary>
    /// <param name="session">The session, of this library.</param>
    /// <param name="definition">Where the value goes, and in which version of its class.</param>
    /// <param name="value">The value.</param>
    /// <param name="lifetime">For how long, from now. At least a millisecond.</param>
    /// <exception cref="NotSupportedException">The server has no HPEXPIRE.</exception>
    public static void Set<T>(this ISession session, SessionValue<T> definition, T value, TimeSpan lifetime)
    {
        ArgumentNullException.ThrowIfNull(definition);
        RedisSessionExtensions.Require(session).Set(definition.Key, definition.Serialize(value), lifetime);
    }

    /// <summary>
    /// Takes a value that <c>Set</c> stored as JSON: see <see cref="RedisSessionExtensions.TakeAsync(ISession, string, CancellationToken)"/>. The type's default if there is
    /// none, or it cannot be read; it is taken also then.
    /// </summary>
    /// <param name="session">The session, of this library.</param>
    /// <param name="key">The field.</param>
    /// <param name="cancellationToken">Stops waiting; the value may have been taken all the same.</param>
    [RequiresUnreferencedCode(Reflection)]
    [RequiresDynamicCode(Reflection)]
    public static async Task<T?> TakeAsync<T>(this ISession session, string key, CancellationToken cancellationToken = default) =>
        Deserialize(session, key, await session.TakeAsync(key, cancellationToken).ConfigureAwait(false), static json => JsonSerializer.Deserialize<T>(json, JsonSerializerOptions.Web));

    /// <summary>As <see cref="TakeAsync{T}(ISession, string, CancellationToken)"/>, without reflection.</summary>
    /// <param name="session">The session, of this library.</param>
    /// <param name="key">The field.</param>
    /// <param name="type">The type's source-generated metadata.</param>
    /// <param name="cancellationToken">Stops waiting; the value may have been taken all the same.</param>
    public static async Task<T?> TakeAsync<T>(this ISession session, string key, JsonTypeInfo<T> type, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(type);
        return Deserialize(session, key, await session.TakeAsync(key, cancellationToken).ConfigureAwait(false), json => JsonSerializer.Deserialize(json, type));
    }

    /// <summary>Takes a value as its definition says.</summary>
    /// <param name="session">The session, of this library.</param>
    /// <param name="value">Where the value is, and how former versions of its class are read.</param>
    /// <param name="cancellationToken">Stops waiting; the value may have been taken all the same.</param>
    public static async Task<T?> TakeAsync<T>(this ISession session, SessionValue<T> value, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(value);
        return Deserialize(session, value.Key, await session.TakeAsync(value.Key, cancellationToken).ConfigureAwait(false), value.Deserialize);
    }

    private static T? Read<T>(ISession session, string key, Func<byte[], T?> deserialize)
    {
        ArgumentNullException.ThrowIfNull(session);
        return Deserialize(session, key, session.TryGetValue(key, out var stored) ? stored : null, deserialize);
    }

    private static T? Deserialize<T>(ISession session, string key, byte[]? stored, Func<byte[], T?> deserialize)
    {
        if (stored is null)
        {
            return default;
        }

        try
        {
            return deserialize(stored);
        }
        catch (JsonException) when (session is RedisSession ours)
        {
            // Not the exception: where it failed may be in what the user typed.
            ours.ReportUnreadable(key, typeof(T).Name);
            return default;
        }
    }
}
