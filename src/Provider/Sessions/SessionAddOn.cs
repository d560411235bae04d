using Microsoft.AspNetCore.Http;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// The one seam that the core offers to add-ons: the moments of a session's life within a request. The core knows none of
/// them. Members run on the request's path, so what they send to Redis they do not wait for, except where they return a
/// task.
/// </summary>
internal abstract class SessionAddOn
{
    /// <summary>How often <see cref="HeartbeatDue"/> is called for a session in use; zero for never.</summary>
    public virtual TimeSpan HeartbeatInterval => TimeSpan.Zero;

    /// <summary>Whether this gives sessions absolute timeouts of their own.</summary>
    public virtual bool SetsAbsoluteTimeouts => false;

    /// <summary>The load found the session.</summary>
    public virtual void Loaded(RedisSession session)
    {
    }

    /// <summary>At most once an interval for a session, of all servers', after it was loaded.</summary>
    public virtual void HeartbeatDue(RedisSession session)
    {
    }

    /// <summary>The load is done, authentication too, and the endpoint is about to run.</summary>
    public virtual ValueTask BeforeEndpointAsync(RedisSession session, HttpContext context) => ValueTask.CompletedTask;

    /// <summary>A value is about to be set; what this throws, the application meets.</summary>
    public virtual void Setting(RedisSession session, string key, int bytes)
    {
    }

    /// <summary>Whether a session may be stored for the first time; if not, it works in memory for its request.</summary>
    public virtual ValueTask<bool> MayCreateAsync(RedisSession session) => ValueTask.FromResult(true);

    /// <summary>A session was revoked by its user or an administrator.</summary>
    public virtual void Revoked(string userId, Guid id)
    {
    }

    /// <summary>The delta is about to be sent; metadata may be added to it. <c>session.Stored</c> is null if it creates the session.</summary>
    public virtual void Committing(RedisSession session, SessionDelta delta)
    {
    }

    /// <summary>The session was stored for the first time.</summary>
    public virtual void Created(RedisSession session)
    {
    }

    /// <summary>The session, with all its data, has a new id.</summary>
    public virtual void Regenerated(RedisSession session, Guid oldId)
    {
    }

    /// <summary>
    /// The request ended the session. <paramref name="stored"/> is what it held, if that is known;
    /// <paramref name="rejected"/>: because it did not match its browser.
    /// </summary>
    public virtual void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
    }
}
