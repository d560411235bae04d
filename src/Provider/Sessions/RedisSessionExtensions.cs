using System.Text;
using RedisSessions.Sessions;

namespace Microsoft.AspNetCore.Http;

/// <summary>
/// What a session on Redis can do beyond <see cref="ISession"/>. Each throws <see cref="InvalidOperationException"/> on a
/// session of another store, naming AddRedisSession.
/// </summary>
public static class RedisSessionExtensions
{
    /// <summary>
    /// Gives the session a new id and secret key, with all its data, and replaces the cookie in this response: call it when
    /// a user's rights change, so that whoever knew the old key has nothing (session fixation; OWASP ASVS 5.0, 7.2.4). The
    /// <see cref="ISession.Id"/> changes at once; the data is written under it with the commit, and the old session is deleted when the
    /// response starts, with which the cookie goes out. Should the request fail before, the old session is as it was. Does
    /// nothing for a key made in this request.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="cancellationToken">Stops waiting for the load.</param>
    /// <exception cref="InvalidOperationException">
    /// The response has started, or <c>UseSession</c> of a branch was given options of its own, so the cookie cannot change.
    /// </exception>
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
    /// Sets a value that is gone by itself when its time is over, as a code that may be typed in for ten minutes: Redis deletes it (HPEXPIRE), and no copy of any server
    /// shows it for longer. Set once more without a lifetime, it stays as long as the session; the session's own end may come before.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="value">The value.</param>
    /// <param name="lifetime">For how long, from now. At least a millisecond.</param>
    /// <exception cref="NotSupportedException">
    /// The server has no HPEXPIRE: it is older than Redis 7.4, or another. Thrown here, or by the commit where the server could not be asked yet; at start-up with
    /// <see cref="RedisSessions.RedisSessionOptions.RequireFieldExpiry"/>.
    /// </exception>
    public static void Set(this ISession session, string key, byte[] value, TimeSpan lifetime) => Require(session).Set(key, value, lifetime);

    /// <summary>As <see cref="Set(ISession, string, byte[], TimeSpan)"/>, of a text, which <c>GetString</c> reads.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="value">The value.</param>
    /// <param name="lifetime">For how long, from now. At least a millisecond.</param>
    /// <exception cref="NotSupportedException">The server has no HPEXPIRE.</exception>
    public static void SetString(this ISession session, string key, string value, TimeSpan lifetime)
    {
        ArgumentNullException.ThrowIfNull(value);
        Require(session).Set(key, Encoding.UTF8.GetBytes(value), lifetime);
    }

    /// <summary>
    /// Takes a value: reads and removes it in one step on the server, at once, so that of all requests of all servers that do so one gets it. For what may be used
    /// once: a code, a message to be shown on the next page. Where the session, as it was loaded, has none, Redis is not asked.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="cancellationToken">Stops waiting; the value may have been taken all the same.</param>
    /// <returns>The value; <see langword="null"/> if there is none, or somebody else took it.</returns>
    /// <remarks>
    /// At most once: where the reply is lost, and others changed the session since, so that nobody knows whether the value was taken, this throws what
    /// StackExchange.Redis throws, and the value is gone, or still there for who asks again.
    /// </remarks>
    public static Task<byte[]?> TakeAsync(this ISession session, string key, CancellationToken cancellationToken = default) =>
        Require(session).TakeAsync(key, cancellationToken);

    /// <summary>As <see cref="TakeAsync(ISession, string, CancellationToken)"/>, of a text, which <c>SetString</c> stored.</summary>
    /// <param name="session">The session.</param>
    /// <param name="key">The field.</param>
    /// <param name="cancellationToken">Stops waiting; the value may have been taken all the same.</param>
    /// <returns>The value; <see langword="null"/> if there is none, or somebody else took it.</returns>
    public static async Task<string?> TakeStringAsync(this ISession session, string key, CancellationToken cancellationToken = default) =>
        await session.TakeAsync(key, cancellationToken).ConfigureAwait(false) is { } value ? Encoding.UTF8.GetString(value) : null;

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

    internal static RedisSession Require(ISession session)
    {
        ArgumentNullException.ThrowIfNull(session);
        return session as RedisSession ?? throw new InvalidOperationException(
            $"This session is a {session.GetType().Name}, not a session on Redis. Register one with services.AddRedisSession(\"host:port\").");
    }
}
