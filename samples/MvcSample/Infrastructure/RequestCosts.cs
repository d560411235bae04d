using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Caching.Memory;

namespace MvcSample.Infrastructure;

/// <summary>What a request's session cost.</summary>
/// <param name="Request">Which request.</param>
/// <param name="RoundTrips">Loads and commits that the request waited for.</param>
/// <param name="Waited">How long it waited for them, in milliseconds.</param>
/// <param name="Bytes">Bytes to and from Redis while it ran, whoever caused them.</param>
/// <param name="Took">How long it took altogether, in milliseconds.</param>
public sealed record RequestCost(string Request, int RoundTrips, double Waited, long Bytes, double Took);

/// <summary>
/// Made of what the library tells every observer: its spans "load session" and "commit session", and its counter of bytes. See
/// docs/operations.md.
/// </summary>
public sealed class RequestCosts : IDisposable
{
    private const string Source = "RedisSessions";
    private readonly MemoryCache _last = new(new MemoryCacheOptions { SizeLimit = 10_000 });
    private readonly AsyncLocal<Running?> _running = new();
    private readonly ActivityListener _spans;
    private readonly MeterListener _meters = new();
    private readonly Lock _lock = new();
    private long _bytes;

    public RequestCosts()
    {
        _spans = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStarted = span => span.SetCustomProperty(nameof(Running), _running.Value),
            ActivityStopped = span => (span.GetCustomProperty(nameof(Running)) as Running)?.Add(span.Duration),
        };
        ActivitySource.AddActivityListener(_spans);
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == Source && instrument.Name == "redis_sessions.network.io")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _meters.SetMeasurementEventCallback<long>((_, bytes, _, _) => _bytes += bytes);
        _meters.Start();
    }

    public RequestCost? LastOf(string sessionId) => _last.Get<RequestCost>(sessionId);

    public async Task MeasureAsync(HttpContext context, RequestDelegate next)
    {
        var (running, before, started) = (new Running(), Traffic(), Stopwatch.GetTimestamp());
        _running.Value = running;

        // The session is of the request no more when the pipeline has run. A response without a body starts after that: then the page to
        // which it redirects is what is remembered.
        ISession? session = null;
        context.Response.OnStarting(() =>
        {
            session = context.Features.Get<ISessionFeature>()?.Session;
            return Task.CompletedTask;
        });
        await next(context);
        var (count, waited) = running.Sum;
        var cost = new RequestCost(
            $"{context.Request.Method} {context.Request.Path}", count, waited.TotalMilliseconds, Traffic() - before, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        if (session is { IsAvailable: true })
        {
            _last.Set(session.Id, cost, new MemoryCacheEntryOptions { Size = 1, SlidingExpiration = TimeSpan.FromMinutes(5) });
        }
    }

    private long Traffic()
    {
        lock (_lock)
        {
            _bytes = 0;
            _meters.RecordObservableInstruments();
            return _bytes;
        }
    }

    public void Dispose()
    {
        _spans.Dispose();
        _meters.Dispose();
        _last.Dispose();
    }

    private sealed class Running
    {
        private readonly Lock _lock = new();
        private int _count;
        private TimeSpan _waited;

        public (int Count, TimeSpan Waited) Sum
        {
            get
            {
                lock (_lock)
                {
                    return (_count, _waited);
                }
            }
        }

        public void Add(TimeSpan waited)
        {
            lock (_lock)
            {
                _count++;
                _waited += waited;
            }
        }
    }
}

/// <summary>Measures every request that an endpoint answers.</summary>
public sealed class RequestCostMiddleware(RequestDelegate next, RequestCosts costs)
{
    public Task InvokeAsync(HttpContext context) => context.GetEndpoint() is null ? next(context) : costs.MeasureAsync(context, next);
}
