using Microsoft.AspNetCore.Http;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Sessions;

/// <summary>
/// The one seam that the core offers to add-ons: the moments of a session's life within a request. The core knows none of
/// them. Members run on the request's path, so what they send to Redis they do not wait for, except where they return a
/// task. <see cref="SessionAddOns"/> calls them, and says what becomes of what they throw.
/// </summary>
internal abstract class SessionAddOn
{
    /// <summary>When this has its turn among others.</summary>
    public abstract SessionAddOnOrder Order { get; }

    /// <summary>Whether <see cref="EndpointBegins"/> or <see cref="BeforeEndpointAsync"/> do anything.</summary>
    public virtual bool NeedsEndpointTurn => false;

    /// <summary>
    /// Whether this does right by tenants (<see cref="RedisSessionOptions.TenantOf"/>): it goes by the request's session alone, and keeps nothing by a session's id or a user's elsewhere. If not, the site does not start with them.
    /// </summary>
    public virtual bool KnowsTenants => false;

    /// <summary>Whether the load is awaited before this endpoint, also where the application wants no endpoint to wait.</summary>
    public virtual bool NeedsSessionAt(Endpoint endpoint) => false;

    /// <summary>Whether a request is a use of its session, which slides it. Asked only when it is to be slid.</summary>
    public virtual bool IsUse(HttpContext context) => true;

    /// <summary>How often <see cref="HeartbeatDue"/> is called for a session in use; zero for never.</summary>
    public virtual TimeSpan HeartbeatInterval => TimeSpan.Zero;

    /// <summary>The load found the session. What this throws makes it unavailable.</summary>
    public virtual void Loaded(RedisSession session)
    {
    }

    /// <summary>The endpoint is about to run, whether or not the load was awaited or found anything. Must not throw.</summary>
    public virtual void EndpointBegins(RedisSession session, HttpContext context)
    {
    }

    /// <summary>
    /// The load is done, authentication too, and the endpoint is about to run. Not called where the endpoint does not wait for
    /// the session. What this throws makes the session unavailable.
    /// </summary>
    public virtual ValueTask BeforeEndpointAsync(RedisSession session, HttpContext context) => ValueTask.CompletedTask;

    /// <summary>
    /// The request has waited for its turn and loaded its session once more, which was <paramref name="before"/> when it was authenticated. <see cref="Loaded"/> comes first, if there still is one.
    /// </summary>
    /// <returns>False if it must not go on, because what it was authenticated by has ended.</returns>
    public virtual bool MayGoOn(RedisSession session, SessionSnapshot before) => true;

    /// <summary>A value is about to be set; what this throws, the application meets.</summary>
    public virtual void Setting(RedisSession session, string key, int bytes)
    {
    }

    /// <summary>
    /// What a session may hold. <see cref="Setting"/> sees what one request does; only the commit's script sees all of them together.
    /// Null for no limit, which costs a commit nothing.
    /// </summary>
    public virtual SessionLimits? Limits => null;

    /// <summary>A commit was refused, because the session would hold more than <see cref="Limits"/>. Answers what the application meets.</summary>
    public virtual Exception Refused(RedisSession session, CommitOutcome outcome) => new InvalidOperationException("The session would hold more than it may.");

    /// <summary>Whether a session may be stored for the first time; if not, it works in memory for its request. What this throws spoils the commit.</summary>
    public virtual ValueTask<bool> MayCreateAsync(RedisSession session) => ValueTask.FromResult(true);

    /// <summary>The session is about to get a new id; metadata may be set. What this throws, the application meets, and the id stays.</summary>
    public virtual void IdChanging(RedisSession session)
    {
    }

    /// <summary>
    /// The delta is about to be sent; metadata may be added to it. <c>session.Stored</c> is null if it may create the session.
    /// Called again when the commit is tried again. What this throws spoils the commit, which keeps its changes and says so.
    /// </summary>
    public virtual void Committing(RedisSession session, SessionDelta delta)
    {
    }

    /// <summary>
    /// A commit that may create the session was lost, or refused for a moment, and is about to be sent again: what was sent in <see cref="Committing"/> may be lost, too. The commit waits for this; what it
    /// throws makes the commit fail.
    /// </summary>
    public virtual Task CommittingAgainAsync(RedisSession session) => Task.CompletedTask;

    /// <summary>The delta was stored; <paramref name="created"/>: the session with it. What this and all below throw is logged.</summary>
    public virtual void Committed(RedisSession session, SessionDelta delta, bool created)
    {
    }

    /// <summary>
    /// The session is there under its new id, which nobody knows yet, and still is under the old one. What this throws spoils
    /// the commit, and the browser stays with the old id.
    /// </summary>
    /// <returns>False if the session must not go on, because it has ended.</returns>
    public virtual ValueTask<bool> MovingAsync(RedisSession session, SessionSnapshot moved, Guid oldId) => ValueTask.FromResult(true);

    /// <summary>The browser is being told the session's new id, and the old one is no more.</summary>
    public virtual void Regenerated(RedisSession session, Guid oldId)
    {
    }

    /// <summary>At most once an interval for a session, of all servers', after it was loaded. The request may be over.</summary>
    public virtual void HeartbeatDue(SessionBeat beat)
    {
    }

    /// <summary>
    /// The request ended the session. <paramref name="stored"/> is what it held, if that is known;
    /// <paramref name="rejected"/>: because it did not match its browser.
    /// </summary>
    public virtual void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
    }

    /// <summary>A session was revoked: by its user or an administrator, or for another one's sake at the limit.</summary>
    public virtual void Revoked(string userId, Guid id, SessionRevocation why)
    {
    }

    /// <summary>The request ended a session of a user's: as <see cref="Destroyed"/>, and says why.</summary>
    public virtual void Ended(Guid id, string userId, SessionEndReason reason)
    {
    }

    /// <summary>
    /// A session's hash was deleted because the session ended, whoever ended it and wherever: told to whom deleted it. What nobody ends, and what
    /// expires by itself, is not told.
    /// </summary>
    public virtual void Over(SessionEnd end)
    {
    }

    /// <summary>
    /// A session is about to be stored outside a request; and, with <paramref name="isStored"/>, it was.
    /// </summary>
    public virtual void StoringById(Guid id, SessionSnapshot session, bool isStored)
    {
    }

    /// <summary>A new id was taken back that the session was about to get, for the browser was never told: it goes on under the old one.</summary>
    public virtual void MoveWithdrawn(RedisSession session, SessionSnapshot departed, Guid oldId, Guid newId)
    {
    }

    /// <summary>A session became a user's, or goes on as the user's under another ticket. <paramref name="how"/> says so in words.</summary>
    public virtual void SignedIn(Guid id, string? userId, string how)
    {
    }

    /// <summary>A sign-in was refused. <paramref name="why"/> says so in words.</summary>
    public virtual void SignInRefused(Guid id, string? userId, string why)
    {
    }

    /// <summary>A user signed in on a device that is new: after <see cref="SignedIn"/>.</summary>
    public virtual void SignedInOnNewDevice(Guid id, string userId, NewDevice device)
    {
    }

    /// <summary>A browser came back with a sign-in whose session had ended.</summary>
    public virtual void Returned(string? userId, Guid id, SessionEndReason reason)
    {
    }

    /// <summary>A session was not begun, because its user has the most allowed.</summary>
    public virtual void LimitReached(string userId, int limit)
    {
    }

    /// <summary>A session's life was extended from outside a request.</summary>
    public virtual void Extended(Guid id, TimeSpan life)
    {
    }

    /// <summary>A session was ended by its id alone, outside a request.</summary>
    public virtual void EndedById(EndedSession ended)
    {
    }
}

/// <summary>The order of add-ons, whatever order they were registered in.</summary>
internal enum SessionAddOnOrder
{
    /// <summary>Says whether the request may have the session at all.</summary>
    Guard,

    /// <summary>Says how much there may be.</summary>
    Bounds,

    /// <summary>Says whose it is.</summary>
    Owner,

    /// <summary>Says what follows from whose it is.</summary>
    Terms,

    /// <summary>Only looks on.</summary>
    Observer,
}

/// <summary>A device that a user signs in on for the first time.</summary>
/// <param name="Id">Names it; safe to show.</param>
/// <param name="Name">Of browser and system, to be read by people.</param>
/// <param name="IsFirst">Whether no other is known of the user.</param>
internal readonly record struct NewDevice(Guid Id, string Name, bool IsFirst);

/// <summary>The end of a session.</summary>
/// <param name="Session">What its hash said.</param>
/// <param name="Reason">Why it ended.</param>
/// <param name="Revocation">By whom and what for, where it was revoked; null where nobody said.</param>
/// <param name="Stored">What it held, where the request knows.</param>
internal readonly record struct SessionEnd(EndedSession Session, SessionEndReason Reason, SessionRevocation? Revocation = null, SessionSnapshot? Stored = null);

/// <summary>What a heartbeat is about, as it was when the session was loaded.</summary>
/// <param name="Id">The session.</param>
/// <param name="At">When it was loaded, Unix milliseconds.</param>
/// <param name="Stored">What it held.</param>
/// <param name="Life">Its idle timeout.</param>
/// <param name="Address">The client's address; empty if unknown.</param>
/// <param name="UserAgent">The client's User-Agent header; empty if it sent none.</param>
internal readonly record struct SessionBeat(Guid Id, long At, SessionSnapshot Stored, TimeSpan Life, string Address, string UserAgent);
