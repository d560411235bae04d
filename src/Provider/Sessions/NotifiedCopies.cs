using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <summary>Lets this server's copies hear of changes for as long as the host runs, where that is wanted.</summary>
internal sealed class NotifiedCopies(RedisFeed feed, SessionCopies copies, IOptions<RedisSessionOptions> options, ILogger<NotifiedCopies> logger) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        options.Value.LocalCache.Mode == LocalCacheMode.Notified ? feed.RunAsync(copies.Hear, Report, stoppingToken) : Task.CompletedTask;

    private void Report(Exception? failure)
    {
        switch (failure)
        {
            case null:
                logger.NotifiedCopiesProved();
                break;
            case RedisServerException:
                logger.NotifiedCopiesRefused(failure);
                break;
            default:
                logger.NotifiedCopiesNotProved(failure);
                break;
        }
    }
}
