using RedisSessions.Live;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Lets long requests belong to their sessions.</summary>
public static class LiveConnectionEndpointConventionBuilderExtensions
{
    /// <summary>
    /// Closes a request to these endpoints (a WebSocket, server-sent events, any that runs for long) when its session is over: it is aborted
    /// (<see cref="Microsoft.AspNetCore.Http.HttpContext.Abort"/>), which cancels <see cref="Microsoft.AspNetCore.Http.HttpContext.RequestAborted"/>. Messages that come over a WebSocket
    /// keep the session alive, and <see cref="RedisSessions.ILiveSession"/> reads and changes it. Needs <c>AddLiveConnections</c>, and <c>UseSession</c> before the endpoint. SignalR's hubs and Blazor's
    /// circuits need no such line.
    /// </summary>
    /// <param name="builder">The endpoints.</param>
    public static TBuilder CloseWithSession<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Add(static endpoint =>
        {
            endpoint.Metadata.Add(new LiveEndpointMetadata());
            if (endpoint.RequestDelegate is { } next)
            {
                endpoint.RequestDelegate = LiveEndpoint.Around(next);
            }
        });
        return builder;
    }
}
