using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>The last security events of this server, in its memory, for whoever looks.</summary>
internal sealed class RecentSecurityEvents(SessionTimeouts timeouts) : ISessionSecurityEvents
{
    public const int Most = 200;

    private readonly Lock _lock = new();
    private readonly Queue<(DateTimeOffset At, SessionSecurityEvent Event)> _events = new();

    public DateTimeOffset Since { get; } = timeouts.Clock.GetUtcNow();

    /// <summary>The newest first.</summary>
    public IReadOnlyList<(DateTimeOffset At, SessionSecurityEvent Event)> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _events.Reverse()];
            }
        }
    }

    public void Report(SessionSecurityEvent securityEvent)
    {
        lock (_lock)
        {
            if (_events.Count == Most)
            {
                _events.Dequeue();
            }

            _events.Enqueue((timeouts.Clock.GetUtcNow(), securityEvent));
        }
    }
}
