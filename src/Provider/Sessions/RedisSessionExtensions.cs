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
