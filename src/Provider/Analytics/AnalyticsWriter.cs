using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Analytics;

/// <summary>
/// The queue between requests and Redis: bounded, written in batches by this one task, and flushed when the host stops. What
/// does not fit, and what Redis did not take, is dropped and counted.
/// </summary>
internal sealed class AnalyticsWriter : BackgroundService
{
    private const int BatchSize = 500;

    private readonly Channel<AnalyticsRecord> _queue;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly AnalyticsStore _store;
    private readonly SessionAnalyticsOptions _options;
    private readonly SessionTimeouts _timeouts;
    private readonly Counter<long> _dropped;
    private readonly ILogger _logger;

    public AnalyticsWriter(AnalyticsStore store, IOptions<SessionAnalyticsOptions> options, SessionTimeouts timeouts, IMeterFactory meters, ILogger<AnalyticsWriter> logger)
    {
        _store = store;
        _options = options.Value;
        _timeouts = timeouts;
        _logger = logger;
        _queue = Channel.CreateBounded<AnalyticsRecord>(_options.QueueCapacity);
        var meter = meters.Create(SessionMetrics.MeterName);
        _dropped = meter.CreateCounter<long>("redis_sessions.analytics.dropped", "{record}", "Records of analytics that did not fit into the queue or that Redis did not take.");
        meter.CreateObservableGauge("redis_sessions.analytics.queue", () => _queue.Reader.Count, "{record}", "Records of analytics that wait to be written.");
    }

    public void Add(in AnalyticsRecord record)
    {
        if (!_queue.Writer.TryWrite(record))
        {
            _dropped.Add(1);
        }
    }

    /// <summary>What waits when the host stops is flushed by <see cref="StopAsync"/>.</summary>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        Recurring.EveryAsync(_options.FlushInterval, _timeouts.Clock, _ => FlushAsync(), stoppingToken),
        Recurring.EveryAsync(_options.SweepInterval, _timeouts.Clock, token => CountingAsync(_store.SweepAsync(token)), stoppingToken));

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        await FlushAsync().ConfigureAwait(false);
    }

    /// <summary>Writes all that waits.</summary>
    public async Task FlushAsync()
    {
        await _writing.WaitAsync().ConfigureAwait(false);
        try
        {
            var batch = new List<AnalyticsRecord>(BatchSize);
            var wrote = false;
            while (true)
            {
                batch.Clear();
                while (batch.Count < BatchSize && _queue.Reader.TryRead(out var record))
                {
                    batch.Add(record);
                }

                if (batch.Count == 0)
                {
                    break;
                }

                wrote = true;
                await WriteAsync(batch).ConfigureAwait(false);
            }

            if (wrote)
            {
                await CountingAsync(_store.SampleAsync()).ConfigureAwait(false);
            }
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task WriteAsync(List<AnalyticsRecord> batch)
    {
        try
        {
            await _store.WriteAsync(batch).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Of whatever kind, the application's own connection factory included: no failure here is worth the host. Not tried
            // again: part of it may be written, and counting twice is worse than a loss that is counted.
            _dropped.Add(batch.Count);
            _logger.AnalyticsDropped(batch.Count, exception);
        }
    }

    private async Task CountingAsync(Task counting)
    {
        try
        {
            await counting.ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _logger.AnalyticsNotCounted(exception);
        }
    }
}
