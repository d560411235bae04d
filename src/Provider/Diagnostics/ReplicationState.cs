namespace RedisSessions.Diagnostics;

/// <summary>Whether what was to be on replicas came there, when that was last asked.</summary>
internal sealed class ReplicationState
{
    private long _reached;
    private long _notReached;

    /// <summary>How often it did not since it last did.</summary>
    public long NotReachedSince => Interlocked.Read(ref _notReached);

    public bool IsUsed => Interlocked.Read(ref _reached) + NotReachedSince > 0;

    public void Reached()
    {
        Interlocked.Increment(ref _reached);
        Interlocked.Exchange(ref _notReached, 0);
    }

    public void NotReached() => Interlocked.Increment(ref _notReached);
}
