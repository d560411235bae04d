using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using RedisSessions.Sessions;

namespace RedisSessions.Preloading;

/// <summary>An endpoint whose requests of one session take turns.</summary>
internal sealed class ExclusiveEndpoint(ExclusiveSessionAttribute says, ExclusiveSessionOptions options)
{
    /// <summary>Null where the endpoint is not exclusive.</summary>
    public static ExclusiveEndpoint? Of(Endpoint endpoint, ExclusiveSessionOptions options) =>
        endpoint.Metadata.GetMetadata<ExclusiveSessionAttribute>() is { Enabled: true } says ? new ExclusiveEndpoint(says, options) : null;

    /// <summary>The request's session. Without one nothing would keep requests from running at the same time, and nobody would notice.</summary>
    public static RedisSession SessionOf(HttpContext context) => context.Features.Get<ISessionFeature>()?.Session switch
    {
        RedisSession session => session,
        null => throw new InvalidOperationException("The endpoint wants its session for itself ([ExclusiveSession]), and the request has none. Write app.UseSession() before the endpoints are run."),
        var other => throw new InvalidOperationException($"The endpoint wants its session for itself ([ExclusiveSession]), and the session is a {other.GetType().Name}, not a session on Redis. Write services.AddRedisSession(\"host:port\")."),
    };

    /// <returns>False if the request was answered.</returns>
    public async Task<bool> EnterAsync(RedisSession session, HttpContext context)
    {
        switch (await session.TakeTurnAsync(says.Wait ?? options.Wait, says.Lease ?? options.Lease, context.RequestAborted).ConfigureAwait(false))
        {
            case TurnOutcome.TimedOut:
                context.Response.StatusCode = StatusCodes.Status423Locked;
                await (options.OnTimeout?.Invoke(context) ?? Task.CompletedTask).ConfigureAwait(false);
                return false;
            case TurnOutcome.WithoutRedis:
                context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                return false;
            case TurnOutcome.SignInEnded:
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                return false;
            default:
                return true;
        }
    }
}
