namespace RedisSessions;

/// <summary>
/// Takes this server out of its balancer's rotation, and back in: as long as it is in maintenance its check <c>redis_session_maintenance</c> fails, and everything else works as ever, so that requests
/// under way, and browsers that still come, lose nothing. Sessions are in Redis: the other servers go on with them.
/// </summary>
/// <remarks>Registered by <c>AddRedisSessionMaintenance()</c>. May be used by any thread.</remarks>
public sealed class SessionMaintenance
{
    private volatile string? _reason;

    /// <summary>Why this server is in maintenance; <see langword="null"/> if <see cref="Begin"/> was not called, or <see cref="End"/> since.</summary>
    public string? Reason => _reason;

    /// <summary>From here on the check fails.</summary>
    /// <param name="reason">Said by the check, which may be public; nothing secret.</param>
    public void Begin(string reason)
    {
        ArgumentException.ThrowIfNullOrEmpty(reason);
        _reason = reason;
    }

    /// <summary>From here on the check does not fail for what <see cref="Begin"/> said.</summary>
    public void End() => _reason = null;
}
