using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <summary>Lets this server's copies, and add-ons that want to, hear of changes for as long as the host runs. Where nobody wants to, nothing is subscribed to.</summary>
internal sealed class HeardChanges(RedisFeed feed, SessionCopies copies, IEnumerable<IChangeListener> listeners, ILogger<HeardChanges> logger) : BackgroundService
{
    private readonly IChangeListener[] _listeners = [.. listeners];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!copies.AreNotified && _listeners.Length == 0)
        {
            return;
        }

        feed.EpochBegan += MayHaveMissed;
        await feed.RunAsync(Hear, Report, stoppingToken).ConfigureAwait(false);
        feed.EpochBegan -= MayHaveMissed;
    }

    private void Hear(RedisValue message)
    {
        if (!ChangeScript.TryParse(message, out var key, out var version))
        {
            return;
        }

        copies.Hear(key, version);
        foreach (var listener in _listeners)
        {
            listener.Changed(key, version);
        }
    }

    private void MayHaveMissed()
    {
        foreach (var listener in _listeners)
        {
            listener.MayHaveMissed();
        }
    }

    private void Report(Exception? failure)
    {
        switch (failure)
        {
            case null:
                logger.ChangesHeard();
                break;
            case RedisServerException:
                logger.ChangesRefused(failure);
                break;
            default:
                logger.ChangesNotHeard(failure);
                break;
        }
    }
}
