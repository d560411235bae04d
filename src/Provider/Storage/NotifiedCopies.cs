using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;

namespace RedisSessions.Storage;

/// <summary>Lets this server's copies hear of changes for as long as the host runs, where that is wanted.</summary>
internal sealed class NotifiedCopies(RedisFeed feed, SessionCopies copies, IOptions<RedisSessionOptions> options) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        options.Value.LocalCache.Mode == LocalCacheMode.Notified ? feed.RunAsync(copies.Hear, stoppingToken) : Task.CompletedTask;
}
