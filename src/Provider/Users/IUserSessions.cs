namespace RedisSessions;

/// <summary>
/// The sessions of users: whose they are, list, revoke, sign out everywhere. Works on any server of the fleet, and over a
/// Redis Cluster. Every read removes what has expired. Users' ids are text, compared exactly (an unpaired surrogate is U+FFFD); sessions'
/// ids are GUIDs, in either case. While Redis is away every call throws what StackExchange.Redis
/// throws; a <see langword="null"/> or empty user id is an <see cref="ArgumentException"/>.
/// </summary>
public interface IUserSessions
{
    /// <summary>
    /// Binds the current request's session to a user, which otherwise happens by itself at sign-in and at the first
    /// authenticated request. The session gets a new id (OWASP ASVS 5.0, 7.2.4). An unbound session keeps its data; one of
    /// another user does not. Does nothing if it is bound to this user already.
    /// </summary>
    /// <param name="userId">The user.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="InvalidOperationException">There is no request, no session, or the response has started.</exception>
    /// <exception cref="SessionLimitReachedException">The user has the most sessions allowed, and new ones are rejected.</exception>
    Task BindCurrentSessionAsync(string userId, CancellationToken cancellationToken = default);

    /// <summary>A user's live sessions, the most recently seen first.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="skip">How many to leave out at the start, for pages.</param>
    /// <param name="take">How many at most. Default 100.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<IReadOnlyList<UserSession>> ListAsync(string userId, int skip = 0, int take = 100, CancellationToken cancellationToken = default);

    /// <summary>
    /// How many live sessions a user has, from the index, which looks only at sessions past the time at which they are probably over: one
    /// that was deleted behind its back counts until then, or until a list or a sign-in at the limit clears it.
    /// </summary>
    /// <param name="userId">The user.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<long> CountAsync(string userId, CancellationToken cancellationToken = default);

    /// <summary>Ends one session of a user, sign-in included.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="sessionId">The session's id; one that belongs to another user is not revoked, and the answer says so.</param>
    /// <param name="revocation">Why, for the browser to learn, and by whom, for the record; <see langword="null"/> for "revoked", by nobody in particular.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<RevokeResult> RevokeAsync(string userId, string sessionId, SessionRevocation? revocation = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Ends all sessions of a user: sign out everywhere, or everywhere else. What any server is in the middle of ends with them, a
    /// sign-in that began before included, however late its writes arrive.
    /// </summary>
    /// <param name="userId">The user.</param>
    /// <param name="exceptSessionId">A session to keep, usually the current one; <see langword="null"/> for none.</param>
    /// <param name="revocation">Why, for the browser to learn, and by whom, for the record; <see langword="null"/> for "revoked", by nobody in particular.</param>
    /// <param name="cancellationToken">Stops after the batch at hand.</param>
    /// <returns>How many were ended.</returns>
    Task<long> RevokeAllAsync(string userId, string? exceptSessionId = null, SessionRevocation? revocation = null, CancellationToken cancellationToken = default);

    /// <summary>Ends all sessions of all users, in bounded batches: for an incident. Anonymous sessions stay.</summary>
    /// <param name="progress">Told after each batch; may be <see langword="null"/>.</param>
    /// <param name="revocation">Why, for the browsers to learn, and by whom, for the record; <see langword="null"/> for "revoked", by nobody in particular.</param>
    /// <param name="cancellationToken">Stops after the batch at hand; what is done stays done.</param>
    /// <returns>What was ended.</returns>
    Task<RevokeEveryoneProgress> RevokeEveryoneAsync(IProgress<RevokeEveryoneProgress>? progress = null, SessionRevocation? revocation = null, CancellationToken cancellationToken = default);

    /// <summary>The users who were active since a time, streamed in pages, in no order over all.</summary>
    /// <param name="since">The time; older than <see cref="UserIndexOptions.ActivityRetention"/> gives no more.</param>
    /// <param name="cancellationToken">Stops the stream.</param>
    IAsyncEnumerable<ActiveUser> GetActiveUsersAsync(DateTimeOffset since, CancellationToken cancellationToken = default);

    /// <summary>Clears in bounded batches what has expired and no one reads. A background service does it now and then.</summary>
    /// <param name="cancellationToken">Stops after the batch at hand.</param>
    /// <returns>How many entries were cleared.</returns>
    Task<long> PruneAsync(CancellationToken cancellationToken = default);
}

/// <summary>Shorter names for what <see cref="IUserSessions"/> does.</summary>
public static class UserSessionsExtensions
{
    /// <summary>
    /// Binds the current request's session to a user: <see cref="IUserSessions.BindCurrentSessionAsync"/>. Not a member of
    /// the interface, because minimal APIs take any member named BindAsync for their own convention and refuse to inject a
    /// type that has one of another form.
    /// </summary>
    /// <param name="users">The sessions of users.</param>
    /// <param name="userId">The user.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public static Task BindAsync(this IUserSessions users, string userId, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(users);
        return users.BindCurrentSessionAsync(userId, cancellationToken);
    }
}

/// <summary>One session of a user.</summary>
/// <param name="Id">Names the session; safe to show to its user.</param>
/// <param name="CreatedAt">When the session was created, UTC; before the sign-in, if it began anonymously.</param>
/// <param name="SignedInAt">
/// When the user's credentials were checked, UTC: at the sign-in, or when its <c>auth_time</c> says. When the session was created, where nobody
/// knows, as for one that a bearer token began.
/// </param>
/// <param name="LastSeenAt">When a request last used it, UTC.</param>
/// <param name="ExpiresAt">When it ends if nobody uses it, UTC; with its sign-in's ticket at the latest.</param>
/// <param name="SignInAddress">The client's address at sign-in; <see langword="null"/> if unknown.</param>
/// <param name="SignInUserAgent">The User-Agent header at sign-in, shortened; <see langword="null"/> if there was none.</param>
/// <param name="Address">The client's address when last refreshed; <see langword="null"/> if unknown.</param>
/// <param name="UserAgent">The User-Agent header when last refreshed, shortened; <see langword="null"/> if there was none.</param>
/// <param name="DeviceName">A readable name of browser and system, such as <c>Firefox on Windows</c>.</param>
/// <param name="IsCurrent">Whether it is the current request's session.</param>
public sealed record UserSession(
    string Id,
    DateTimeOffset CreatedAt,
    DateTimeOffset SignedInAt,
    DateTimeOffset LastSeenAt,
    DateTimeOffset ExpiresAt,
    string? SignInAddress,
    string? SignInUserAgent,
    string? Address,
    string? UserAgent,
    string DeviceName,
    bool IsCurrent);

/// <summary>What <see cref="IUserSessions.RevokeAsync"/> came to.</summary>
public enum RevokeResult
{
    /// <summary>There is no such session.</summary>
    NotFound,

    /// <summary>The session has ended.</summary>
    Revoked,

    /// <summary>The session belongs to another user, or to none; it lives on.</summary>
    BelongsToAnother,
}

/// <summary>How far <see cref="IUserSessions.RevokeEveryoneAsync"/> has come.</summary>
/// <param name="Users">Users whose sessions have ended.</param>
/// <param name="Sessions">Sessions that have ended.</param>
public readonly record struct RevokeEveryoneProgress(long Users, long Sessions);

/// <summary>A user who was active.</summary>
/// <param name="UserId">The user.</param>
/// <param name="LastActiveAt">When last, UTC, to within <see cref="UserIndexOptions.RefreshInterval"/>.</param>
public sealed record ActiveUser(string UserId, DateTimeOffset LastActiveAt);

/// <summary>A sign-in was refused because the user has <see cref="UserIndexOptions.MaxSessionsPerUser"/> sessions already.</summary>
public sealed class SessionLimitReachedException : InvalidOperationException
{
    internal SessionLimitReachedException(int limit)
        : base($"The user already has {limit} sessions, the most that UserIndexOptions.MaxSessionsPerUser allows; one must be ended first.")
    {
    }
}
