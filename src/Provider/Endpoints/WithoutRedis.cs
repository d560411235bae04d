using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;

namespace RedisSessions.Endpoints;

/// <summary>
/// Endpoints answer 503 where Redis could not be asked, or did not answer in time: that is no fault of the request's, and none that an
/// application's own page for errors would explain.
/// </summary>
internal static class WithoutRedis
{
    /// <param name="next">The endpoint.</param>
    /// <param name="what">What it belongs to, for the log.</param>
    /// <param name="logger">The log.</param>
    /// <param name="explain">Writes the body; null for none.</param>
    public static RequestDelegate Answers503(RequestDelegate next, string what, ILogger logger, Func<HttpContext, Task>? explain = null) => async context =>
    {
        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception) && !context.Response.HasStarted)
        {
            logger.EndpointWithoutRedis(what, exception);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            await (explain?.Invoke(context) ?? Task.CompletedTask).ConfigureAwait(false);
        }
    };
}
