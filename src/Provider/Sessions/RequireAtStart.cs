using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>What the application says that it needs of the server, the server is to have before the application takes requests. One that is away is asked later.</summary>
internal sealed class RequireAtStart(FieldExpiry fieldExpiry, IOptions<RedisSessionOptions> options, ILogger<RequireAtStart> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!options.Value.RequireFieldExpiry)
        {
            return;
        }

        try
        {
            await fieldExpiry.RequireAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception) && !cancellationToken.IsCancellationRequested)
        {
            logger.FieldExpiryNotAsked(exception);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
