namespace RedisSessions;

/// <summary>
/// What the application does when a session has ended: revoke a refresh token, write an audit record, delete files. Registered with
/// <c>AddRedisSession(...).AddLifecycle&lt;T&gt;()</c>. See docs/lifecycle.md.
/// </summary>
public interface ISessionLifecycle
{
    /// <summary>
    /// A session has ended, for whatever reason, its expiry included; another id for it is no end. One server of the fleet is asked, in the background, in a
    /// scope of its own. What this throws is logged, and it is called again, on any server, until it succeeds or
    /// <see cref="SessionLifecycleOptions.Retention"/> is over. A call that succeeded is not repeated, unless its server died, or could not write to Redis,
    /// before it could note that: where that matters, remember <see cref="EndedSessionMetadata.EventId"/>.
    /// </summary>
    /// <param name="reason">Why the session ended.</param>
    /// <param name="userId">Whose it was; <see langword="null"/> for nobody's.</param>
    /// <param name="metadata">What is known of it.</param>
    /// <param name="cancellationToken">
    /// Cancelled after <see cref="SessionLifecycleOptions.Lease"/>, when another server may take over, and when the host stops.
    /// </param>
    Task EndedAsync(SessionEndReason reason, string? userId, EndedSessionMetadata metadata, CancellationToken cancellationToken);
}
