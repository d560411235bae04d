using Microsoft.AspNetCore.Http;

namespace RedisSessions;

/// <summary>Answers questions about the security of sessions. Needs <c>AddRedisSession(...).AddSecurity()</c>.</summary>
public interface ISessionSecurity
{
    /// <summary>Whether the request's session is what its cookie says, loading it if need be.</summary>
    /// <param name="context">The request.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<SessionValidation> ValidateAsync(HttpContext context, CancellationToken cancellationToken = default);

    /// <summary>
    /// Looks at a user's live sessions for too many networks, too many browsers, too many sign-ins, and networks in use at once
    /// (thresholds by option). Needs the user index. What it finds is also reported to <see cref="ISessionSecurityEvents"/>.
    /// </summary>
    /// <param name="userId">The user.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<SuspiciousActivity> DetectSuspiciousActivityAsync(string userId, CancellationToken cancellationToken = default);

    /// <summary>
    /// Call it after a user changed a password or another factor, within that user's request: the session gets a new id and, by
    /// option, the user's other sessions end (OWASP ASVS 5.0, 7.2.4 and 7.4.3). The user is the request's, or, where that is
    /// anonymous, the session's; a session of anybody else's beside it stays. Needs the user index.
    /// </summary>
    /// <param name="context">The user's request; it need not have a session, as where an API changes the password.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>How many other sessions ended.</returns>
    Task<long> CredentialsChangedAsync(HttpContext context, CancellationToken cancellationToken = default);

    /// <summary>
    /// Call it after a user's password or another factor was changed outside the user's session: a reset by e-mail, an administrator.
    /// All sessions of the user end but one, whatever <see cref="SessionSecurityOptions.EndOtherSessionsOnCredentialChange"/> says.
    /// Needs the user index.
    /// </summary>
    /// <param name="userId">The user.</param>
    /// <param name="exceptSessionId">A session to keep; <see langword="null"/> for none.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>How many sessions ended.</returns>
    Task<long> CredentialsChangedAsync(string userId, string? exceptSessionId = null, CancellationToken cancellationToken = default);
}

/// <summary>Whether a session may be trusted.</summary>
/// <param name="IsValid">Whether it may.</param>
/// <param name="Reason">Why not: <c>unavailable</c>, <c>address</c>, <c>user agent</c>, <c>fingerprint</c>; <see langword="null"/> if it may.</param>
public sealed record SessionValidation(bool IsValid, string? Reason);

/// <summary>What <see cref="ISessionSecurity.DetectSuspiciousActivityAsync"/> found.</summary>
/// <param name="Findings">Nothing, if nothing is suspicious.</param>
public sealed record SuspiciousActivity(IReadOnlyList<SuspiciousFinding> Findings)
{
    /// <summary>Whether anything is.</summary>
    public bool IsSuspicious => Findings.Count > 0;
}

/// <summary>One thing that is suspicious about a user's sessions.</summary>
/// <param name="Reason">Which.</param>
/// <param name="SessionIds">The sessions concerned.</param>
public sealed record SuspiciousFinding(SuspiciousReason Reason, IReadOnlyList<string> SessionIds);

/// <summary>Why sessions are suspicious.</summary>
public enum SuspiciousReason
{
    /// <summary>More networks than <see cref="SessionSecurityOptions.SuspiciousNetworks"/>.</summary>
    TooManyNetworks,

    /// <summary>More browsers than <see cref="SessionSecurityOptions.SuspiciousBrowsers"/>.</summary>
    TooManyBrowsers,

    /// <summary>More sign-ins than <see cref="SessionSecurityOptions.SuspiciousSignIns"/> within the window.</summary>
    TooManySignIns,

    /// <summary>Two networks in use within <see cref="SessionSecurityOptions.ImpossiblePairWindow"/>.</summary>
    ImpossiblePair,
}

/// <summary>
/// Hears of every security event. Register your own beside the default, which logs: to mail the user, to alert somebody.
/// Called on the request's path, so hand on what takes time; an exception is logged and goes no further.
/// </summary>
public interface ISessionSecurityEvents
{
    /// <summary>Something happened.</summary>
    /// <param name="securityEvent">What. Holds no secret.</param>
    void Report(SessionSecurityEvent securityEvent);
}

/// <summary>A security event.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="SessionId">The session, if it is one; <see langword="null"/> otherwise.</param>
/// <param name="UserId">Its user, if known.</param>
/// <param name="Detail">What exactly, without a secret; may be <see langword="null"/>.</param>
public sealed record SessionSecurityEvent(SessionSecurityEventKind Kind, string? SessionId, string? UserId, string? Detail)
{
    /// <summary>Why the session ended, where the event is about that; <see langword="null"/> otherwise.</summary>
    public SessionEndReason? EndReason { get; init; }

    /// <summary>Who revoked it, as <see cref="SessionRevocation.By"/> said; <see langword="null"/> for nobody in particular.</summary>
    public string? By { get; init; }

    /// <summary>The device that was signed in on, where the event is <see cref="SessionSecurityEventKind.NewDevice"/>; <see langword="null"/> otherwise.</summary>
    public string? DeviceId { get; init; }

    /// <summary>
    /// Whether no device of the user's is known but this: the first sign-in of all, the first since <see cref="UserIndexOptions.RememberDevices"/> is on, or the first
    /// for <see cref="UserIndexOptions.DeviceLifetime"/>. Such a sign-in is often worth no mail.
    /// </summary>
    public bool IsFirstDevice { get; init; }
}

/// <summary>Kinds of security events.</summary>
public enum SessionSecurityEventKind
{
    /// <summary>A request did not match its session, and goes on.</summary>
    Mismatch,

    /// <summary>A request did not match its session, and got an empty one.</summary>
    Rejected,

    /// <summary>A request did not match its session, which ended.</summary>
    DestroyedByValidation,

    /// <summary>A bound on what a client may cause was reached.</summary>
    LimitReached,

    /// <summary>A stored value could not be decrypted and counts as absent.</summary>
    DecryptionFailed,

    /// <summary>A session got a new id.</summary>
    Regenerated,

    /// <summary>A session was revoked.</summary>
    Revoked,

    /// <summary>A user's sessions are suspicious.</summary>
    Suspicious,

    /// <summary>
    /// A browser came back with a sign-in whose session had ended; <see cref="SessionSecurityEvent.EndReason"/> says why. Once for each end within
    /// <see cref="RedisSessionOptions.EndReasonRetention"/>, however many requests come with it.
    /// </summary>
    ReturnedAfterEnd,

    /// <summary>
    /// A session became a user's. <see cref="SessionSecurityEvent.Detail"/> begins with <c>signed in</c>, <c>ticket written again</c> (no
    /// credentials were checked), or <c>bound</c> (an authenticated request without sign-in, or <c>BindAsync</c>), and names the scheme if there is one.
    /// </summary>
    SignedIn,

    /// <summary>
    /// A user's session was ended by its own browser, or was found with a ticket that had expired; <see cref="SessionSecurityEvent.EndReason"/> says
    /// which. One that expires unused is no event.
    /// </summary>
    SignedOut,

    /// <summary>
    /// A sign-in was refused, because its user's sessions were ended while it was under way, or a ticket was written again whose session had ended;
    /// <see cref="SessionSecurityEvent.Detail"/> says which. One that <see cref="UserIndexOptions.MaxSessionsPerUser"/> refuses is <see cref="LimitReached"/>.
    /// </summary>
    SignInRefused,

    /// <summary>A page that asks for a recent sign-in refused a user who is signed in.</summary>
    StepUpRefused,

    /// <summary>
    /// A user signed in on a device that the user has not signed in on before: for "was this you?". <see cref="SessionSecurityEvent.Detail"/> is its browser
    /// and system, such as <c>Firefox on Windows</c>. Needs <see cref="UserIndexOptions.RememberDevices"/>.
    /// </summary>
    NewDevice,
}
