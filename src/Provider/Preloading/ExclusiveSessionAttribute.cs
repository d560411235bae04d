namespace RedisSessions;

/// <summary>
/// Lets requests of one session to this endpoint, and to all others that have this, take turns, whichever server they reach: one at a time, and each finds the session as
/// the one before left it. Requests to other endpoints neither wait nor are waited for. A request that has waited for too long is answered with 423 (Locked).
/// </summary>
/// <remarks>
/// The turn begins when the endpoint is about to run, and ends when the response has gone out, the endpoint has thrown, or its server is gone: then when the lease is over. A request
/// whose session is new waits for nothing. See docs/exclusive.md.
/// </remarks>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class ExclusiveSessionAttribute : Attribute
{
    /// <summary>Waits and leases as <see cref="RedisSessionOptions.Exclusive"/> says.</summary>
    public ExclusiveSessionAttribute()
    {
    }

    /// <summary>Waits and leases as is said here.</summary>
    /// <param name="waitMilliseconds">How long a request waits for others at most: from 0, which does not wait, to 1 hour.</param>
    /// <param name="leaseMilliseconds">For how long a request keeps others waiting after its server was last heard of: from 100 to 1 hour. Renewed as long as the request lives.</param>
    /// <exception cref="ArgumentOutOfRangeException">One of them is out of range.</exception>
    public ExclusiveSessionAttribute(int waitMilliseconds, int leaseMilliseconds)
        : this(TimeSpan.FromMilliseconds(waitMilliseconds), TimeSpan.FromMilliseconds(leaseMilliseconds))
    {
    }

    internal ExclusiveSessionAttribute(TimeSpan? wait, TimeSpan? lease)
    {
        if (wait is { } waits)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(waits, TimeSpan.Zero, nameof(wait));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(waits, ExclusiveSessionOptions.LongestWait, nameof(wait));
        }

        if (lease is { } lasts)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(lasts, ExclusiveSessionOptions.ShortestLease, nameof(lease));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(lasts, ExclusiveSessionOptions.LongestLease, nameof(lease));
        }

        (Wait, Lease) = (wait, lease);
    }

    /// <summary>False for an endpoint that is not exclusive though its class or group is. Default <see langword="true"/>.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>How long a request waits for others at most; <see langword="null"/> for as long as the options say.</summary>
    public TimeSpan? Wait { get; }

    /// <summary>For how long it keeps others waiting after its server was last heard of; <see langword="null"/> for as long as the options say.</summary>
    public TimeSpan? Lease { get; }
}
