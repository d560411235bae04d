using RedisSessions.Sessions;

namespace RedisSessions.Users;

/// <summary>Reports a session that was not begun, because its user has the most allowed, to the application's security events.</summary>
internal sealed class LimitEvents(IEnumerable<ISessionSecurityEvents> sinks) : SessionAddOn
{
    public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

    public override void LimitReached(string userId, int limit)
    {
        foreach (var sink in sinks)
        {
            sink.Report(new SessionSecurityEvent(
                SessionSecurityEventKind.LimitReached, null, userId, $"UserIndexOptions.MaxSessionsPerUser ({limit}) allows no further session."));
        }
    }
}
