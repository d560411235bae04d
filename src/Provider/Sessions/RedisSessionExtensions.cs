using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using RedisSessions.Sessions;

namespace Microsoft.AspNetCore.Http;

/// <summary>
/// What a session on Redis can do beyond <see cref="ISession"/>. Each throws <see cref="InvalidOperationException"/> on a
/// session of another store, naming AddRedisSession; <c>Get</c> and <c>Set</c> work on every session.
/// </summary>
public static class RedisSessionExtensions
{
    private const string Reflection = "Serializes by reflection. Use the overload that takes a JsonTypeInfo<T>.";

    /// <summary>
    /// Gives the session a new id and secret key, with all its data, and replaces the cookie in this response: call it when
    /// a user's rights change, so that whoever knew the old key has nothing (session fixation; OWASP ASVS 5.0, 7.2.4). The
    /// old session is deleted. Does nothing for a key made in this request, or while the session is unavailable.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="cancellationToken">Stops waiting for the load.</param>
    /// <exception cref="InvalidOperationException">The response has started, so the cookie cannot change.</exception>
    public static Task RegenerateIdAsync(this ISession session, CancellationToken cancellationToken = default) =>
        Require(session).RegenerateIdAsync(cancellationToken);

    /// <summary>
    /// Ends the session: its hash is deleted, its cookie expires in this response (unless that has started), and the session
    /// is empty. What is set afterwards begins a new session under a new key.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="cancellationToken">Stops waiting; the session may have been destroyed all the same.</param>
    /// <remarks>While Redis is away this throws what StackExchange.Redis throws: the session still lives.</remarks>
    public static Task DestroyAsync(this ISession session, CancellationToken cancellationToken = default) =>
        Require(session).DestroyAsync(cancellationToken);

    /// <summary>
    /// Adds to a number on the server (Redis HINCRBY), so that increments of overlapping requests and other servers all
    /// count, and returns the sum. Takes effect at once, not at the commit; what this request changed before is written
    /// first. The field holds decimal text: read it with <c>GetString</c>, not with <c>GetInt32</c>.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field; a missing one counts as 0.</param>
    /// <param name="by">What to add; negative subtracts. Default 1.</param>
    /// <param name="cancellationToken">Stops waiting; the addition may have been made all the same.</param>
    /// <exception cref="StackExchange.Redis.RedisServerException">The field holds no decimal number, or the sum overflows 64 bits.</exception>
    /// <exception cref="InvalidOperationException">The session was destroyed meanwhile, or cannot be established any more.</exception>
    public static Task<long> IncrementAsync(this ISession session, string key, long by = 1, CancellationToken cancellationToken = default) =>
        Require(session).IncrementAsync(key, by, cancellationToken);

    /// <summary>
    /// Gives this session an idle timeout of its own, in place of <see cref="Builder.SessionOptions.IdleTimeout"/>. Kept with
    /// the session, from the next commit on.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="timeout">At least a millisecond.</param>
    public static void SetIdleTimeout(this ISession session, TimeSpan timeout) => Require(session).SetIdleTimeout(timeout);

    /// <summary>When the session was created, UTC; <see langword="null"/> if it is not stored yet or unavailable.</summary>
    /// <param name="session">The session.</param>
    public static DateTimeOffset? GetCreatedAt(this ISession session) => Require(session).CreatedAt;

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

    internal static RedisSession Require(ISession session)
    {
        ArgumentNullException.ThrowIfNull(session);
        return session as RedisSession ?? throw new InvalidOperationException(
            $"This session is a {session.GetType().Name}, not a session on Redis. Register one with services.AddRedisSession(\"host:port\").");
    }
}
