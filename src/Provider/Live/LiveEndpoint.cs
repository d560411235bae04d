using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using RedisSessions.Sessions;

namespace RedisSessions.Live;

/// <summary>An endpoint whose requests are live connections, for as long as it runs.</summary>
internal static class LiveEndpoint
{
    public static RequestDelegate Around(RequestDelegate next) => context =>
    {
        var services = context.RequestServices;
        var connections = services.GetService<LiveConnections>()
            ?? throw new InvalidOperationException("Live connections are not registered. Write services.AddRedisSession(...).AddLiveConnections().");
        return RunAsync(context, connections, services.GetRequiredService<LiveSessionAccessor>(), next);
    };

    private static async Task RunAsync(HttpContext context, LiveConnections connections, LiveSessionAccessor accessor, RequestDelegate next)
    {
        if (context.Features.Get<ISessionFeature>()?.Session is not RedisSession session || LiveSubject.Of(session) is not { } subject)
        {
            // The request has no session, so there is none to belong to.
            await next(context).ConfigureAwait(false);
            return;
        }

        using var connection = connections.Enter(subject, LiveKind.Request, LiveRequests.ClientOf(context), context.Abort);
        accessor.Become(connection);
        if (context.Features.Get<IHttpWebSocketFeature>() is { } sockets)
        {
            context.Features.Set<IHttpWebSocketFeature>(new LiveWebSocketFeature(sockets, connection));
        }

        await next(context).ConfigureAwait(false);
    }
}
