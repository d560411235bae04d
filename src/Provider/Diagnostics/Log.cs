using Microsoft.Extensions.Logging;

namespace RedisSessions.Diagnostics;

/// <summary>
/// Every message that the library logs. Event ids are stable: 1 to 19 are the in-box session's events under its ids, names
/// and levels, with the session's id where it logs the secret key; our own begin at 100. See docs/operations.md.
/// </summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "Error closing the session.", EventName = "ErrorClosingTheSession")]
    public static partial void ErrorClosingTheSession(this ILogger logger, Exception exception);

    [LoggerMessage(2, LogLevel.Information, "Accessing expired session, Id:{SessionId}", EventName = "AccessingExpiredSession")]
    public static partial void AccessingExpiredSession(this ILogger logger, Guid sessionId);

    [LoggerMessage(3, LogLevel.Information, "Session started; Id:{SessionId}", EventName = "SessionStarted")]
    public static partial void SessionStarted(this ILogger logger, Guid sessionId);

    [LoggerMessage(4, LogLevel.Debug, "Session loaded; Id:{SessionId}, Count:{Count}", EventName = "SessionLoaded")]
    public static partial void SessionLoaded(this ILogger logger, Guid sessionId, int count);

    [LoggerMessage(5, LogLevel.Debug, "Session stored; Id:{SessionId}, Changed:{Changed}", EventName = "SessionStored")]
    public static partial void SessionStored(this ILogger logger, Guid sessionId, int changed);

    [LoggerMessage(6, LogLevel.Error, "Session cache read exception, Id:{SessionId}", EventName = "SessionCacheReadException")]
    public static partial void SessionReadException(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(8, LogLevel.Warning, "Loading the session timed out.", EventName = "SessionLoadingTimeout")]
    public static partial void SessionLoadingTimeout(this ILogger logger);

    [LoggerMessage(9, LogLevel.Warning, "Committing the session timed out.", EventName = "SessionCommitTimeout")]
    public static partial void SessionCommitTimeout(this ILogger logger);

    [LoggerMessage(100, LogLevel.Warning, "Session {SessionId} was destroyed, revoked or expired while this request held it; the request's changes were not written.", EventName = "SessionGoneAtCommit")]
    public static partial void SessionGoneAtCommit(this ILogger logger, Guid sessionId);

    [LoggerMessage(101, LogLevel.Information, "Session id regenerated; Old:{OldSessionId}, New:{NewSessionId}", EventName = "SessionRegenerated")]
    public static partial void SessionRegenerated(this ILogger logger, Guid oldSessionId, Guid newSessionId);

    [LoggerMessage(102, LogLevel.Information, "Session destroyed; Id:{SessionId}", EventName = "SessionDestroyed")]
    public static partial void SessionDestroyed(this ILogger logger, Guid sessionId);

    [LoggerMessage(103, LogLevel.Warning, "The data of {Length} bytes that Microsoft's stack stored for session {SessionId} is no session; it is taken for empty and left as it is.", EventName = "MicrosoftSessionUnreadable")]
    public static partial void MicrosoftSessionUnreadable(this ILogger logger, Guid sessionId, int length);

    [LoggerMessage(104, LogLevel.Error, "Session {SessionId} did not match its browser, but could not be destroyed.", EventName = "SessionNotDestroyed")]
    public static partial void SessionNotDestroyed(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(105, LogLevel.Error, "An add-on failed for session {SessionId}; what it was told of stands.", EventName = "SessionAddOnFailed")]
    public static partial void AddOnFailed(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(106, LogLevel.Debug, "The life of session {SessionId} could not be extended; the next load tries again.", EventName = "SessionNotSlid")]
    public static partial void SessionNotSlid(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(134, LogLevel.Warning, "What a request that changed nothing noted of session {SessionId} (until when its sign-in and its cookie last) could not be stored; the next one notes it again.", EventName = "SessionUpkeepNotStored")]
    public static partial void SessionUpkeepNotStored(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(107, LogLevel.Warning, "A session got another id, but what it left under the id {SessionId} could not be deleted; it lives until its timeout.", EventName = "FormerIdNotDeleted")]
    public static partial void FormerIdNotDeleted(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(108, LogLevel.Warning, "Session {SessionId} is stored, but could not be written for Microsoft's stack; old servers see it with its next change.", EventName = "FormerStoreNotWritten")]
    public static partial void FormerStoreNotWritten(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(109, LogLevel.Error, "An add-on failed before session {SessionId} was committed; nothing was written, and the changes are kept.", EventName = "SessionAddOnSpoiledCommit")]
    public static partial void AddOnSpoiledCommit(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(119, LogLevel.Error, "Session {SessionId} got its id with this response, but what was changed while the response started could not be stored.", EventName = "ChangesNotStoredBehindNewId")]
    public static partial void ChangesNotStoredBehindNewId(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(210, LogLevel.Warning, "An exclusive request did not renew its lease in time, and another has had its session since: what it still changes is not written.", EventName = "ExclusiveSessionLost")]
    public static partial void TurnLost(this ILogger logger);

    [LoggerMessage(211, LogLevel.Warning, "The lease of an exclusive request could not be renewed; it is tried again.", EventName = "ExclusiveSessionNotRenewed")]
    public static partial void TurnNotRenewed(this ILogger logger, Exception exception);

    [LoggerMessage(212, LogLevel.Debug, "An exclusive request could not say that it is over; its lease ends by itself.", EventName = "ExclusiveSessionNotGivenBack")]
    public static partial void TurnNotGivenBack(this ILogger logger, Exception exception);

    [LoggerMessage(213, LogLevel.Error, "An exclusive request of session {SessionId} was answered with 503, because Redis could not be asked.", EventName = "ExclusiveSessionWithoutRedis")]
    public static partial void TurnNotTaken(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(130, LogLevel.Information, "Changes of sessions are heard.", EventName = "NotifiedCopiesProved")]
    public static partial void ChangesHeard(this ILogger logger);

    [LoggerMessage(131, LogLevel.Information, "It is not sure that changes of sessions are heard: until it is, every request asks Redis, and live connections are asked about once a minute.", EventName = "NotifiedCopiesNotProved")]
    public static partial void ChangesNotHeard(this ILogger logger, Exception exception);

    [LoggerMessage(132, LogLevel.Warning, "Redis refuses what hearing of changes needs (docs/keys.md says which commands): every request asks it, and live connections are asked about once a minute.", EventName = "NotifiedCopiesRefused")]
    public static partial void ChangesRefused(this ILogger logger, Exception exception);

    [LoggerMessage(110, LogLevel.Debug, "A write to the index of users' sessions was lost; the session's next heartbeat makes it again.", EventName = "UserIndexWriteLost")]
    public static partial void UserIndexWriteLost(this ILogger logger, Exception exception);

    [LoggerMessage(111, LogLevel.Warning, "Session {SessionId} could not be bound to the request's user; the next request tries again.", EventName = "SessionNotBound")]
    public static partial void SessionNotBound(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(112, LogLevel.Warning, "A user signed in without a session, because Redis is away.", EventName = "SignedInWithoutSession")]
    public static partial void SignedInWithoutSession(this ILogger logger, Exception exception);

    [LoggerMessage(113, LogLevel.Warning, "A user signed out, but session {SessionId} could not be destroyed because Redis is away; it lives until its timeout.", EventName = "SignedOutWithoutSession")]
    public static partial void SignedOutWithoutSession(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(114, LogLevel.Debug, "The index of users' sessions was pruned; Entries:{Count}", EventName = "UserIndexPruned")]
    public static partial void UserIndexPruned(this ILogger logger, long count);

    [LoggerMessage(140, LogLevel.Warning, "All sessions of a user were revoked while the user was signing in, or by a server whose clock is ahead; the sign-in has ended.", EventName = "SignInRevoked")]
    public static partial void SignInRevoked(this ILogger logger);

    [LoggerMessage(141, LogLevel.Warning, "A sign-in could not be verified, because its session is unreadable; the request is anonymous.", EventName = "SignInNotVerified")]
    public static partial void SignInNotVerified(this ILogger logger, Exception exception);

    [LoggerMessage(160, LogLevel.Warning, "A sign-in's ticket could not be removed from its session, because Redis is away.", EventName = "TicketNotRemoved")]
    public static partial void TicketNotRemoved(this ILogger logger, Exception exception);

    [LoggerMessage(161, LogLevel.Warning, "A sign-in's ticket could not be renewed in its session, because Redis is away; the next request tries again.", EventName = "TicketNotRenewed")]
    public static partial void TicketNotRenewed(this ILogger logger, Exception exception);

    [LoggerMessage(115, LogLevel.Warning, "The index of users' sessions could not be pruned; the next round tries again.", EventName = "UserIndexNotPruned")]
    public static partial void UserIndexNotPruned(this ILogger logger, Exception exception);

    [LoggerMessage(116, LogLevel.Warning, "{Count} records of analytics were dropped, because Redis did not take them.", EventName = "AnalyticsDropped")]
    public static partial void AnalyticsDropped(this ILogger logger, int count, Exception exception);

    [LoggerMessage(117, LogLevel.Warning, "Live and expired sessions could not be counted; the next round does it.", EventName = "AnalyticsNotCounted")]
    public static partial void AnalyticsNotCounted(this ILogger logger, Exception exception);

    [LoggerMessage(118, LogLevel.Information, "Redis does not let this server subscribe to the expiries of keys; the sweep counts them.", EventName = "AnalyticsNotNotified")]
    public static partial void AnalyticsNotNotified(this ILogger logger, Exception exception);

    [LoggerMessage(120, LogLevel.Information, "Security: A request did not match its session, and goes on; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecurityMismatch")]
    public static partial void SecurityMismatch(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(121, LogLevel.Warning, "Security: A request did not match its session, and got an empty one; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecurityRejected")]
    public static partial void SecurityRejected(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(122, LogLevel.Warning, "Security: A request did not match its session, which was destroyed; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecurityDestroyed")]
    public static partial void SecurityDestroyed(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(123, LogLevel.Warning, "Security: A limit was reached; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecurityLimitReached")]
    public static partial void SecurityLimitReached(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(124, LogLevel.Error, "Security: A stored value could not be decrypted and counts as absent; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecurityDecryptionFailed")]
    public static partial void SecurityDecryptionFailed(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(125, LogLevel.Information, "Security: A session got a new id; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecurityRegenerated")]
    public static partial void SecurityRegenerated(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(126, LogLevel.Information, "Security: A session was revoked; Session:{SessionId}, User:{UserId}, Reason:{Reason}, By:{By}, {Detail}", EventName = "SecurityRevoked")]
    public static partial void SecurityRevoked(this ILogger logger, string? sessionId, string? userId, SessionEndReason? reason, string? by, string? detail);

    [LoggerMessage(127, LogLevel.Warning, "Security: A user's sessions are suspicious; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecuritySuspicious")]
    public static partial void SecuritySuspicious(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(150, LogLevel.Information, "Security: A browser came back with a sign-in whose session had ended; Session:{SessionId}, User:{UserId}, Reason:{Reason}", EventName = "SecurityReturnedAfterEnd")]
    public static partial void SecurityReturnedAfterEnd(this ILogger logger, string? sessionId, string? userId, SessionEndReason? reason);

    [LoggerMessage(142, LogLevel.Debug, "Why a session had ended could not be read; the sign-in page is not told.", EventName = "EndReasonNotRead")]
    public static partial void EndReasonNotRead(this ILogger logger, Exception exception);

    [LoggerMessage(151, LogLevel.Information, "Security: A session became a user's; Session:{SessionId}, User:{UserId}, {Detail}", EventName = "SecuritySignedIn")]
    public static partial void SecuritySignedIn(this ILogger logger, string? sessionId, string? userId, string? detail);

    [LoggerMessage(152, LogLevel.Information, "Security: A user's session was ended by its own browser, or its ticket had expired; Session:{SessionId}, User:{UserId}, Reason:{Reason}", EventName = "SecuritySignedOut")]
    public static partial void SecuritySignedOut(this ILogger logger, string? sessionId, string? userId, SessionEndReason? reason);

    [LoggerMessage(153, LogLevel.Warning, "Security: A sign-in was refused; User:{UserId}, {Detail}", EventName = "SecuritySignInRefused")]
    public static partial void SecuritySignInRefused(this ILogger logger, string? userId, string? detail);

    [LoggerMessage(154, LogLevel.Information, "Security: A page that asks for a recent sign-in refused a user; Session:{SessionId}, User:{UserId}", EventName = "SecurityStepUpRefused")]
    public static partial void SecurityStepUpRefused(this ILogger logger, string? sessionId, string? userId);

    [LoggerMessage(155, LogLevel.Information, "Security: A user signed in on a new device; Session:{SessionId}, User:{UserId}, Device:{DeviceId}, First:{IsFirst}, {Detail}", EventName = "SecurityNewDevice")]
    public static partial void SecurityNewDevice(this ILogger logger, string? sessionId, string? userId, string? deviceId, bool isFirst, string? detail);

    [LoggerMessage(143, LogLevel.Warning, "The device of a sign-in could not be noted, because Redis is away; a later sign-in on it may count as on a new one; Session:{SessionId}", EventName = "DeviceNotNoted")]
    public static partial void DeviceNotNoted(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(144, LogLevel.Debug, "Whether a browser's return after its session's end was told already could not be read; it is told; Session:{SessionId}", EventName = "ReturnNotClaimed")]
    public static partial void ReturnNotClaimed(this ILogger logger, Guid sessionId, Exception exception);

    [LoggerMessage(180, LogLevel.Warning, "The application could not be told that session {SessionId} has ended; call {Attempt} failed, and is made again.", EventName = "LifecycleCallFailed")]
    public static partial void LifecycleCallFailed(this ILogger logger, Guid sessionId, int attempt, Exception exception);

    [LoggerMessage(181, LogLevel.Error, "The application was not told that session {SessionId} has ended: {Attempt} calls failed, and no further one is made.", EventName = "LifecycleGivenUp")]
    public static partial void LifecycleGivenUp(this ILogger logger, Guid sessionId, int attempt, Exception exception);

    [LoggerMessage(182, LogLevel.Warning, "Sessions that have ended could not be looked for; this is tried again, and said again after it has succeeded.", EventName = "LifecycleNotLooked")]
    public static partial void LifecycleNotLooked(this ILogger logger, Exception exception);

    [LoggerMessage(183, LogLevel.Debug, "A note about a session that is watched was lost; its next heartbeat, or the next look at it, makes up for it.", EventName = "LifecycleNoteLost")]
    public static partial void LifecycleNoteLost(this ILogger logger, Exception exception);

    [LoggerMessage(129, LogLevel.Error, "A sink of security events threw; the others were told.", EventName = "SecurityEventSinkFailed")]
    public static partial void SecurityEventSinkFailed(this ILogger logger, Exception exception);

    [LoggerMessage(190, LogLevel.Information, "Dashboard: An operator {Action}; By:{By}, User:{UserId}, Session:{SessionId}, {Note}", EventName = "DashboardAction")]
    public static partial void DashboardAction(this ILogger logger, string action, string? by, string? userId, string? sessionId, string? note);

    [LoggerMessage(191, LogLevel.Error, "{Endpoint}: Redis could not be asked; answered 503.", EventName = "EndpointWithoutRedis")]
    public static partial void EndpointWithoutRedis(this ILogger logger, string endpoint, Exception exception);

    [LoggerMessage(192, LogLevel.Warning, "Dashboard: What is stored cannot be read as a session, Session:{SessionId}", EventName = "DashboardSessionUnreadable")]
    public static partial void DashboardSessionUnreadable(this ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(145, LogLevel.Warning, "Redis could not be asked at start-up whether it lets fields expire, which the application needs; the first value with a lifetime tells.", EventName = "FieldExpiryNotAsked")]
    public static partial void FieldExpiryNotAsked(this ILogger logger, Exception exception);

    [LoggerMessage(200, LogLevel.Information, "A live connection ({Kind}) was closed, because its session is over; Reason:{Reason}", EventName = "LiveConnectionClosed")]
    public static partial void LiveConnectionClosed(this ILogger logger, string kind, string reason);

    [LoggerMessage(201, LogLevel.Debug, "Whether the session of live connections is over could not be read; it is tried again.", EventName = "LiveSessionNotSeen")]
    public static partial void LiveSessionNotSeen(this ILogger logger, Exception exception);

    [LoggerMessage(202, LogLevel.Error, "What was told of the end of a live connection's session threw.", EventName = "LiveConnectionCloseFailed")]
    public static partial void LiveConnectionCloseFailed(this ILogger logger, Exception exception);

    [LoggerMessage(146, LogLevel.Warning, "A {Change} was made, but not as many replicas as were asked for had it in time: {Wanted} wanted, {Replicas} known; it is not undone.", EventName = "NotReplicated")]
    public static partial void NotReplicated(this ILogger logger, string change, int wanted, int replicas, Exception? exception);

    [LoggerMessage(133, LogLevel.Warning, "A field of a session holds no value of the type it was read as, and counts as absent; Session:{SessionId}, Field:{Field}, Type:{Type}", EventName = "ValueUnreadable")]
    public static partial void ValueUnreadable(this ILogger logger, Guid sessionId, string field, string type);
}
