namespace RedisSessions;

/// <summary>
/// Sessions by their id (<see cref="Microsoft.AspNetCore.Http.ISession.Id"/>), outside a request: for background jobs,
/// SignalR hubs and administrators. Every call is one round trip and atomic, and none but <see cref="CreateAsync"/> brings
/// a session into being. Only <see cref="TouchAsync"/> and <see cref="ExtendAsync"/> change how long a session lives.
/// <para>
/// A <see langword="null"/> or empty id is an <see cref="ArgumentException"/>; any other text that is no session id names
/// no session. While Redis is away, every call throws what StackExchange.Redis throws. Changes reach requests that load the
/// session afterwards; a request that holds it already keeps what it loaded.
/// </para>
/// </summary>
public interface ISessionRepository
{
    /// <summary>Creates a session that no browser holds yet.</summary>
    /// <param name="fields">What it holds at first; <see langword="null"/> for nothing. Values are copied.</param>
    /// <param name="idleTimeout">Its own idle timeout, positive; <see langword="null"/> for <see cref="Microsoft.AspNetCore.Builder.SessionOptions.IdleTimeout"/>.</param>
    /// <param name="cancellationToken">Stops waiting; the session may have been created all the same.</param>
    Task<CreatedSession> CreateAsync(IEnumerable<KeyValuePair<string, byte[]>>? fields = null, TimeSpan? idleTimeout = null, CancellationToken cancellationToken = default);

    /// <summary>The whole session, without sliding its TTL; <see langword="null"/> if there is none.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<StoredSession?> GetAsync(string sessionId, CancellationToken cancellationToken = default);

    /// <summary>One field's value; <see langword="null"/> if there is no session or no such field.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="key">The field, as the application names it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<byte[]?> GetFieldAsync(string sessionId, string key, CancellationToken cancellationToken = default);

    /// <summary>Sets one field of an existing session.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="key">The field, at most 65,535 bytes of UTF-8.</param>
    /// <param name="value">Its value.</param>
    /// <param name="cancellationToken">Stops waiting; the field may have been set all the same.</param>
    /// <returns>False, and nothing is written, if there is no session.</returns>
    Task<bool> SetFieldAsync(string sessionId, string key, byte[] value, CancellationToken cancellationToken = default);

    /// <summary>Sets several fields of an existing session, all or none.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="fields">Names and values; of a name given twice the last value counts.</param>
    /// <param name="cancellationToken">Stops waiting; the fields may have been set all the same.</param>
    /// <returns>False, and nothing is written, if there is no session.</returns>
    Task<bool> SetFieldsAsync(string sessionId, IEnumerable<KeyValuePair<string, byte[]>> fields, CancellationToken cancellationToken = default);

    /// <summary>Removes one field.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="key">The field.</param>
    /// <param name="cancellationToken">Stops waiting; the field may have been removed all the same.</param>
    /// <returns>Whether it was there.</returns>
    Task<bool> RemoveFieldAsync(string sessionId, string key, CancellationToken cancellationToken = default);

    /// <summary>The names of a session's fields, in no order; <see langword="null"/> if there is no session.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<IReadOnlyList<string>?> GetFieldNamesAsync(string sessionId, CancellationToken cancellationToken = default);

    /// <summary>Whether there is such a session.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<bool> ExistsAsync(string sessionId, CancellationToken cancellationToken = default);

    /// <summary>Slides the session's TTL as a request would.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Whether there is such a session.</returns>
    Task<bool> TouchAsync(string sessionId, CancellationToken cancellationToken = default);

    /// <summary>How long the session lives if nobody uses it (Redis PTTL); <see langword="null"/> if there is none.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<TimeSpan?> GetTimeToLiveAsync(string sessionId, CancellationToken cancellationToken = default);

    /// <summary>
    /// Adds to the session's TTL, but never past its absolute timeout. The next use slides the TTL to the idle timeout
    /// again, so this keeps a session that nobody uses.
    /// </summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="by">Positive, whole milliseconds.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The new TTL; <see langword="null"/> if there is no session.</returns>
    Task<TimeSpan?> ExtendAsync(string sessionId, TimeSpan by, CancellationToken cancellationToken = default);

    /// <summary>Ends the session. A request that holds it cannot bring it back.</summary>
    /// <param name="sessionId">The id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Whether there was one.</returns>
    Task<bool> DestroyAsync(string sessionId, CancellationToken cancellationToken = default);
}

/// <summary>A session made by <see cref="ISessionRepository.CreateAsync"/>.</summary>
/// <param name="Id">Names the session; safe to log and to store.</param>
/// <param name="SecretKey">
/// What the session cookie holds under protection: whoever has it has the session. Not stored anywhere; never log it.
/// </param>
public sealed record CreatedSession(string Id, string SecretKey)
{
    /// <summary>The id alone, so that no log shows the secret.</summary>
    public override string ToString() => Id;
}

/// <summary>A session as Redis held it at one moment.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Fields">The application's fields; the arrays are the caller's.</param>
/// <param name="CreatedAt">When it was created, UTC.</param>
/// <param name="LastSeenAt">When a request last used it, UTC.</param>
/// <param name="ExpiresAt">When it ends if nobody uses it, UTC.</param>
public sealed record StoredSession(
    string Id,
    IReadOnlyDictionary<string, byte[]> Fields,
    DateTimeOffset CreatedAt,
    DateTimeOffset LastSeenAt,
    DateTimeOffset ExpiresAt);
