using Microsoft.AspNetCore.Http;

namespace RedisSessions;

/// <summary>
/// The session of the live connection that code runs for: a SignalR hub's method, a component of an interactive Blazor Server circuit, an endpoint with
/// <see cref="Microsoft.AspNetCore.Builder.LiveConnectionEndpointConventionBuilderExtensions.CloseWithSession"/>. To be injected; scoped. There
/// <c>HttpContext.Session</c> is what the session was when the connection was opened, and must not be used.
/// <para>
/// Where a component is rendered within a request, it is that request's own session, which is committed with it.
/// </para>
/// </summary>
public interface ILiveSession
{
    /// <summary>
    /// The session as it is now: one round trip, and a use of the session, as a request is. What is set goes to Redis with <see cref="ISession.CommitAsync"/>, and not by itself: only
    /// the fields that changed, beside what others changed meanwhile. Each call gives an object of its own, which is to be used by one at a time, and
    /// does not see what happens to the session later: load it again. Its id cannot be regenerated, for no response would tell the browser; <c>DestroyAsync</c> ends it, and closes
    /// the connection.
    /// </summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>
    /// <see langword="null"/> if there is none: the connection was opened by a request that had no stored session, or its session is over, or another user's, or
    /// could not be loaded by that request.
    /// </returns>
    /// <exception cref="Exception">What StackExchange.Redis throws while Redis is away.</exception>
    Task<ISession?> LoadAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Cancelled when the connection is closed because its session is over; not when it ends for any other reason, for which SignalR, Blazor and <see cref="HttpContext.RequestAborted"/> have
    /// their own.
    /// </summary>
    CancellationToken Ended { get; }
}
