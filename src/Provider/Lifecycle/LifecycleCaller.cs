using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Clients;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>
/// Tells the application of an end. The lease begins anew with the call, and while it lasts nobody else calls. A call that succeeded is noted, however late
/// it comes back; one that failed, or took longer than its lease, is made again.
/// </summary>
internal sealed class LifecycleCaller : IDisposable
{
    // Over all shards of one server.
    private const int MostCalls = 16;

    private static readonly TimeSpan BetweenNotes = TimeSpan.FromMilliseconds(200);

    private readonly SessionWatch _watch;
    private readonly IServiceScopeFactory _scopes;
    private readonly Type _type;
    private readonly TimeProvider _clock;
    private readonly SessionLifecycleOptions _options;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _calls = new(MostCalls);
    private readonly Counter<long> _told;
    private readonly Counter<long> _failed;
    private readonly Counter<long> _late;
    private readonly Counter<long> _givenUp;

    public LifecycleCaller(
        SessionWatch watch,
        IServiceScopeFactory scopes,
        LifecycleRegistration registration,
        SessionTimeouts timeouts,
        IOptions<SessionLifecycleOptions> options,
        IMeterFactory meters,
        ILogger<LifecycleCaller> logger)
    {
        (_watch, _scopes, _type, _clock, _options, _logger) = (watch, scopes, registration.Type, timeouts.Clock, options.Value, logger);
        var meter = meters.Create(SessionMetrics.MeterName);
        _told = meter.CreateCounter<long>("redis_sessions.lifecycle.told", "{session}", "Ends of sessions that the application was told of.");
        _failed = meter.CreateCounter<long>("redis_sessions.lifecycle.failed", "{call}", "Calls of EndedAsync that threw, or took longer than their lease; they are made again.");
        _late = meter.CreateCounter<long>("redis_sessions.lifecycle.late", "{call}", "Calls of EndedAsync that took longer than their lease.");
        _givenUp = meter.CreateCounter<long>("redis_sessions.lifecycle.given_up", "{session}", "Ends of sessions that the application could not be told of within the retention.");
    }

    /// <param name="life">What has ended.</param>
    /// <param name="token">What the caller has it by.</param>
    /// <param name="stoppingToken">The host stops.</param>
    public async Task CallAsync(SessionLife life, string token, CancellationToken stoppingToken)
    {
        await _calls.WaitAsync(stoppingToken).ConfigureAwait(false);
        try
        {
            if (await _watch.HoldAsync(life, token, null).ConfigureAwait(false) == SettleOutcome.Done
                && await _watch.ReadAsync(life).ConfigureAwait(false) is { IsOver: true } record)
            {
                await CallAsync(life, token, record, stoppingToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _calls.Release();
        }
    }

    private async Task CallAsync(SessionLife life, string token, WatchRecord record, CancellationToken stoppingToken)
    {
        var attempts = record.CountOf(WatchRecord.Attempts) + 1;
        using var lease = new CancellationTokenSource(_options.Lease, _clock);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(lease.Token, stoppingToken);
        try
        {
            // Begun elsewhere, for it may block; and not left alone where it does not heed its token: it may succeed yet.
            var telling = Task.Run(() => TellAsync(life, record, attempts, patience.Token), CancellationToken.None);
            telling.Observe();
            await telling.WaitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            if (stoppingToken.IsCancellationRequested)
            {
                // Another server may have it at once. This is no failure of the application's.
                await _watch.SettleAsync(life, token, null, _watch.Now, TimeSpan.Zero).ConfigureAwait(false);
                return;
            }

            _failed.Add(1);
            _late.Add(lease.IsCancellationRequested ? 1 : 0);
            await FailedAsync(life, token, record, attempts, exception).ConfigureAwait(false);
        }
    }

    private async Task TellAsync(SessionLife life, WatchRecord record, int attempt, CancellationToken cancellationToken)
    {
        var scope = _scopes.CreateAsyncScope();
        await using (scope.ConfigureAwait(false))
        {
            var lifecycle = (ISessionLifecycle)scope.ServiceProvider.GetRequiredService(_type);
            await lifecycle.EndedAsync(SessionEnding.Parse(record.TextOf(WatchRecord.Over)), record.TextOf(WatchRecord.User), MetadataOf(life, record, attempt), cancellationToken)
                .ConfigureAwait(false);
        }

        _told.Add(1);
        while (true)
        {
            try
            {
                await _watch.FinishAsync(life).ConfigureAwait(false);
                return;
            }
            catch (Exception exception) when (RedisAway.Explains(exception) && !cancellationToken.IsCancellationRequested)
            {
                // It was told, and Redis does not know: as long as nobody else may tell it, there is time.
                await Task.Delay(BetweenNotes, _clock, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task FailedAsync(SessionLife life, string token, WatchRecord record, int attempts, Exception exception)
    {
        var endedAt = record.TimeOf(WatchRecord.EndAt) ?? _watch.Now;
        if (_watch.Now - endedAt > _options.Retention.TotalMilliseconds)
        {
            _givenUp.Add(1);
            _logger.LifecycleGivenUp(IdOf(life, record), attempts, exception);
            await _watch.FinishAsync(life).ConfigureAwait(false);
            return;
        }

        _logger.LifecycleCallFailed(IdOf(life, record), attempts, exception);
        var delay = TimeSpan.FromTicks((long)Math.Min(_options.MaxRetryDelay.Ticks, _options.RetryDelay.Ticks * Math.Pow(2, attempts - 1)));
        await _watch.SettleAsync(life, token, null, _watch.Now + (long)delay.TotalMilliseconds, TimeSpan.Zero, new KeyValuePair<string, RedisValue>(WatchRecord.Attempts, attempts))
            .ConfigureAwait(false);
    }

    private static Guid IdOf(SessionLife life, WatchRecord record) => SessionId.TryParse(record.TextOf(WatchRecord.EndId), out var id) ? id : life.FirstId;

    private EndedSessionMetadata MetadataOf(SessionLife life, WatchRecord record, int attempt)
    {
        var endedAt = record.TimeOf(WatchRecord.EndAt) ?? _watch.Now;
        var fields = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var name in record.FieldNames)
        {
            if (_watch.Decode(life, name, record.BytesOf(WatchRecord.FieldPrefix + name)) is { } value)
            {
                fields[name] = value;
            }
        }

        return new EndedSessionMetadata
        {
            EventId = life.ToString(),
            SessionId = IdOf(life, record).ToString(),
            CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(life.CreatedAt, 0, SessionSnapshot.LatestTime)),
            SignedInAt = record.TimeOf(WatchRecord.SignedIn) is { } signedIn ? DateTimeOffset.FromUnixTimeMilliseconds(signedIn) : null,
            LastSeenAt = DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(record.TimeOf(WatchRecord.Seen) ?? endedAt, endedAt)),
            EndedAt = DateTimeOffset.FromUnixTimeMilliseconds(endedAt),
            Address = record.TextOf(WatchRecord.Address),
            UserAgent = record.TextOf(WatchRecord.Agent),
            DeviceName = UserAgents.DeviceName(record.TextOf(WatchRecord.Agent)),
            RevokedBy = SecretOf(life, record, WatchRecord.By),
            Note = SecretOf(life, record, WatchRecord.Why),
            Fields = fields,
            Attempt = attempt,
        };
    }

    private string? SecretOf(SessionLife life, WatchRecord record, string name) =>
        _watch.Decode(life, name, record.BytesOf(name)) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;

    public void Dispose() => _calls.Dispose();
}
