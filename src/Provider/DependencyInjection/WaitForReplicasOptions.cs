namespace RedisSessions;

/// <summary>
/// What is to be on replicas before its caller goes on (Redis WAIT, WAITAOF), for each kind of change by itself. Off by default: what Redis acknowledged alone is lost where it dies before a
/// replica has it. See docs/operations.md for what it costs, and what it does not promise.
/// </summary>
public sealed class WaitForReplicasOptions
{
    /// <summary>Commits: what requests change, <c>IncrementAsync</c> and <c>TakeAsync</c>.</summary>
    public ReplicaWaitOptions Commits { get; } = new();

    /// <summary>The commit that makes a session a user's. Where this is off, it is waited for as any other.</summary>
    public ReplicaWaitOptions SignIns { get; } = new();

    /// <summary>Whatever ends sessions for good: <see cref="IUserSessions"/>' revocations, <c>Session.DestroyAsync</c> and <see cref="ISessionRepository.DestroyAsync"/>.</summary>
    public ReplicaWaitOptions Revocations { get; } = new();
}

/// <summary>How many replicas are to have a change, and for how long that is waited for.</summary>
public sealed class ReplicaWaitOptions
{
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>How many replicas. From 0 to 100. Default 0: nobody waits, unless <see cref="OnDisk"/> says so.</summary>
    public int Replicas { get; set; }

    /// <summary>
    /// Whether the change is to be in the append-only file, too, on disk, of the master and of the replicas (WAITAOF: Redis 7.2 or later, with <c>appendonly yes</c>). Default
    /// <see langword="false"/>.
    /// </summary>
    public bool OnDisk { get; set; }

    /// <summary>
    /// For how long at most. From 1 millisecond to 30 seconds, and less than the client's <c>asyncTimeout</c> (2 s unless the connection string says otherwise). Default 500 milliseconds.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMilliseconds(500);

    internal bool IsOn => Replicas > 0 || OnDisk;
}
