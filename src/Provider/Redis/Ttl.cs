namespace RedisSessions.Redis;

/// <summary>Times as Redis takes them.</summary>
internal static class Ttl
{
    // A century: Redis refuses a TTL that overflows when it is added to the present.
    private const double MaxMilliseconds = 100L * 365 * 24 * 3600 * 1000;

    /// <summary>Whole milliseconds, at least one.</summary>
    public static long Milliseconds(TimeSpan time) => Math.Max(1, (long)Math.Min(time.TotalMilliseconds, MaxMilliseconds));

    /// <summary>The time as Redis keeps it, so that it can also be counted with.</summary>
    public static TimeSpan Within(TimeSpan time) => TimeSpan.FromMilliseconds(Milliseconds(time));
}
