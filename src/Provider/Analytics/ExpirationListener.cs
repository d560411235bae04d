using System.Text;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Analytics;

/// <summary>
/// Learns of expiries as they happen, from the keyspace notifications of every master, where the operator has switched them
/// on (<c>notify-keyspace-events Ex</c>). Where not, nothing comes, and the sweep finds them.
/// </summary>
internal sealed class ExpirationListener(
    RedisConnection connection,
    SessionKeys keys,
    AnalyticsWriter writer,
    SessionTimeouts timeouts,
    IOptions<SessionAnalyticsOptions> options,
    ILogger<ExpirationListener> logger) : BackgroundService
{
    private readonly byte[] _prefix = Encoding.UTF8.GetBytes(keys.Prefix + "{");
    private readonly SemaphoreSlim _replaced = new(0);
    private RedisChannel? _channel;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        connection.Replaced += OnReplaced;
        try
        {
            // The client keeps a subscription through lost connections and to masters that join; only the first over each connection is ours to get.
            while (true)
            {
                while (!await TrySubscribeAsync().ConfigureAwait(false))
                {
                    await Task.Delay(options.Value.SweepInterval, timeouts.Clock, stoppingToken).ConfigureAwait(false);
                }

                await _replaced.WaitAsync(stoppingToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
        finally
        {
            connection.Replaced -= OnReplaced;
        }
    }

    private void OnReplaced() => _replaced.Release();

    public override void Dispose()
    {
        _replaced.Dispose();
        base.Dispose();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        if (_channel is { } channel && connection.Database is { } database)
        {
            // The connection may be the application's, and outlive this.
            await database.Multiplexer.GetSubscriber().UnsubscribeAsync(channel, OnExpired, CommandFlags.FireAndForget).ConfigureAwait(false);
        }
    }

    /// <returns>Whether there is nothing more to try.</returns>
    private async Task<bool> TrySubscribeAsync()
    {
        try
        {
            var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
            var channel = RedisChannel.KeyEvent(KeyNotificationType.Expired, database.Database);
            await database.Multiplexer.GetSubscriber().SubscribeAsync(channel, OnExpired).ConfigureAwait(false);
            _channel = channel;
            return true;
        }
        catch (RedisServerException exception)
        {
            // The user may not subscribe (ACL), or the server knows no such channels. Asking again would not help.
            logger.AnalyticsNotNotified(exception);
            return true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Comes for every key of the database that expires, so it looks at the name first.</summary>
    private void OnExpired(RedisChannel channel, RedisValue value)
    {
        // Of "session:{id}" what is left is "id}".
        if (KeyNotification.TryParse(_prefix, channel, value, out var notification)
            && notification.GetKeyByteCount() == SessionKeys.IdLength + 1
            && SessionId.TryParse(((string?)notification.GetKey())![..^1], out var id))
        {
            writer.Add(new AnalyticsRecord(RecordKind.Ended, timeouts.Now, id, Text: EndReasons.Expired));
        }
    }
}
