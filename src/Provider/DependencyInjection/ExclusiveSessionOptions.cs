using Microsoft.AspNetCore.Http;

namespace RedisSessions;

/// <summary>What holds for every <see cref="ExclusiveSessionAttribute"/> that does not say otherwise.</summary>
public sealed class ExclusiveSessionOptions
{
    internal const int MostWaiting = 10_000;

    internal static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);
    internal static readonly TimeSpan ShortestLease = TimeSpan.FromMilliseconds(100);
    internal static readonly TimeSpan LongestLease = TimeSpan.FromHours(1);

    /// <summary>How long a request waits for others of its session at most. From 0, which does not wait, to 1 hour. Default 10 seconds.</summary>
    public TimeSpan Wait { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// For how long a request keeps the others waiting after its server was last heard of: the lease is renewed three times in that time for as long as the request lives. From
    /// 100 milliseconds to 1 hour. Default 5 seconds.
    /// </summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How many requests of one session may wait on one server; another one is answered at once as if it had waited in vain, so that nobody can make a server hold more. From 1 to 10,000. Default 100.
    /// </summary>
    public int MaxWaiting { get; set; } = 100;

    /// <summary>
    /// Answers a request that has waited in vain, in place of its endpoint; the status is 423 (Locked) by then, and may be changed. Default <see langword="null"/>: 423 without a body.
    /// </summary>
    public Func<HttpContext, Task>? OnTimeout { get; set; }
}
