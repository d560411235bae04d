using RedisSessions;

namespace MvcSample.Infrastructure;

public sealed record LoggedSecurityEvent(DateTimeOffset At, SessionSecurityEvent Event);

/// <summary>
/// Hears of every security event, beside the log that the library writes. A real site would mail the user or alert somebody; this one
/// keeps the last few for the page that shows users their own.
/// </summary>
public sealed class SecurityLog(TimeProvider clock) : ISessionSecurityEvents
{
    private const int Most = 500;
    private readonly Lock _lock = new();
    private readonly Queue<LoggedSecurityEvent> _events = new();

    public void Report(SessionSecurityEvent securityEvent)
    {
        lock (_lock)
        {
            if (_events.Count == Most)
            {
                _events.Dequeue();
            }

            _events.Enqueue(new LoggedSecurityEvent(clock.GetUtcNow(), securityEvent));
        }
    }

    /// <summary>What concerns a user, or a session of nobody's, the newest first.</summary>
    public IReadOnlyList<LoggedSecurityEvent> Of(string? userId, string sessionId)
    {
        lock (_lock)
        {
            return [.. _events.Where(e => (userId is not null && e.Event.UserId == userId) || e.Event.SessionId == sessionId).Reverse().Take(20)];
        }
    }
}
