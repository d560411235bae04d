using System.Diagnostics;
using System.Diagnostics.Metrics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Diagnostics;

/// <summary>The instruments of the meter <c>RedisSessions</c>. No tag says anything of a user or a session. See docs/operations.md.</summary>
internal sealed class SessionMetrics
{
    public const string MeterName = "RedisSessions";

    /// <summary>Spans of load and commit, under the request's.</summary>
    public static ActivitySource Activities { get; } = new(MeterName);

    private static readonly KeyValuePair<string, object?> Transmit = new("network.io.direction", "transmit");
    private static readonly KeyValuePair<string, object?> Receive = new("network.io.direction", "receive");

    public SessionMetrics(IMeterFactory meters, SessionCopies copies, RedisConnection connection)
    {
        var meter = meters.Create(MeterName);
        Created = meter.CreateCounter<long>("redis_sessions.created", "{session}", "Sessions stored for the first time.");
        Loaded = meter.CreateCounter<long>("redis_sessions.loaded", "{session}", "Loads that found their session.");
        Missing = meter.CreateCounter<long>("redis_sessions.missing", "{session}", "Loads whose session was expired, destroyed or unknown.");
        Committed = meter.CreateCounter<long>("redis_sessions.committed", "{commit}", "Commits that changed a session.");
        Dropped = meter.CreateCounter<long>("redis_sessions.commit.dropped", "{commit}", "Commits not written because the session was gone.");
        Regenerated = meter.CreateCounter<long>("redis_sessions.regenerated", "{session}", "Session ids regenerated.");
        Destroyed = meter.CreateCounter<long>("redis_sessions.destroyed", "{session}", "Sessions destroyed in a request.");
        CopyServed = meter.CreateCounter<long>("redis_sessions.local_copy.served", "{load}", "Loads answered from this server's copy without asking Redis.");
        CopyHits = meter.CreateCounter<long>("redis_sessions.local_copy.hits", "{load}", "Loads answered from this server's copy.");
        CopyMisses = meter.CreateCounter<long>("redis_sessions.local_copy.misses", "{load}", "Loads for which Redis sent all fields.");
        Rejected = meter.CreateCounter<long>("redis_sessions.rejected", "{session}", "Sessions that a request did not match, and did not get.");
        LoadDuration = meter.CreateHistogram("redis_sessions.load.duration", "s", "From sending a load until its reply is taken.", advice: Durations);
        CommitDuration = meter.CreateHistogram("redis_sessions.commit.duration", "s", "From sending a commit until its reply is taken.", advice: Durations);
        TurnWait = meter.CreateHistogram("redis_sessions.exclusive.wait", "s", "From when a request wanted its session for itself until it had it.", advice: Waits);
        TurnTimedOut = meter.CreateCounter<long>("redis_sessions.exclusive.timeouts", "{request}", "Requests that wanted their session for themselves, and did not get it in time.");
        ReplicaWait = meter.CreateHistogram("redis_sessions.replicas.wait", "s", "From a change that Redis acknowledged until as many replicas as were asked for had it, or the time was over.", advice: Durations);
        NotReplicated = meter.CreateCounter<long>("redis_sessions.replicas.not_reached", "{change}", "Changes that were made, and that not as many replicas as were asked for had in time.");
        meter.CreateObservableGauge("redis_sessions.local_copy.size", () => copies.Size, "By", "Estimated memory of the local copies.");
        meter.CreateObservableCounter(
            "redis_sessions.network.io",
            () => connection.Traffic is { } traffic ? [new Measurement<long>(traffic.Sent, Transmit), new Measurement<long>(traffic.Received, Receive)] : (Measurement<long>[])[],
            "By",
            "Bytes to and from Redis over the connection that the library makes.");
    }

    // From a fast local round trip to the client's own timeout.
    private static InstrumentAdvice<double> Durations { get; } = new()
    {
        HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    };

    // From a round trip to the longest that a client waits.
    private static InstrumentAdvice<double> Waits { get; } = new()
    {
        HistogramBucketBoundaries = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    };

    public Histogram<double> ReplicaWait { get; }

    public Counter<long> NotReplicated { get; }

    public Histogram<double> TurnWait { get; }

    public Counter<long> TurnTimedOut { get; }

    public Counter<long> Rejected { get; }

    public Histogram<double> LoadDuration { get; }

    public Histogram<double> CommitDuration { get; }

    public Counter<long> Created { get; }

    public Counter<long> Loaded { get; }

    public Counter<long> Missing { get; }

    public Counter<long> Committed { get; }

    public Counter<long> Dropped { get; }

    public Counter<long> Regenerated { get; }

    public Counter<long> Destroyed { get; }

    public Counter<long> CopyServed { get; }

    public Counter<long> CopyHits { get; }

    public Counter<long> CopyMisses { get; }
}
