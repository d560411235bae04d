using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// Tries to connect again a tenth of a second after the last attempt began, and a little less often the longer Redis is away, down to twice a second.
/// <para>
/// The client asks the same question about an attempt that failed and about one that is under way, and gives the latter up; so it is given the time that
/// connecting took before, several times over.
/// </para>
/// </summary>
internal sealed class ReconnectSoon : IReconnectRetryPolicy
{
    private const long Soon = 100;
    private const long Slowest = 500;

    // TLS and the greeting follow, of several round trips each.
    private const long Patience = 5;

    private long _connect = -1;

    /// <summary>How long it took to connect, milliseconds.</summary>
    public void Note(long connect)
    {
        // One that met a busy machine is no rule for ever.
        var last = Volatile.Read(ref _connect);
        Volatile.Write(ref _connect, connect >= last ? connect : ((last * 3) + connect) / 4);
    }

    public bool ShouldRetry(long currentRetryCount, int timeElapsedMillisecondsSinceLastRetry) =>
        timeElapsedMillisecondsSinceLastRetry >= DelayOf(currentRetryCount);

    private long DelayOf(long count) => Volatile.Read(ref _connect) is >= 0 and var connect
        ? Math.Min(Soon + (Soon * count / 10), Slowest) + (Patience * connect)
        : Slowest;
}
