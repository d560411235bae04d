using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>Reports as security events what becomes of sessions, whoever caused it.</summary>
internal sealed class ReportedChanges(SecurityEvents events) : SessionAddOn
{
    public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

    public override bool KnowsTenants => true;

    public override void Regenerated(RedisSession session, Guid oldId) =>
        events.Report(SessionSecurityEventKind.Regenerated, session.Identity.Id, session.GetMetadata(FieldNames.UserId), $"was {oldId}");

    public override void Revoked(string userId, Guid id, SessionRevocation why) =>
        events.Report(new SessionSecurityEvent(SessionSecurityEventKind.Revoked, id.ToString(), userId, why.Note) { EndReason = why.Reason, By = why.By });

    public override void Ended(Guid id, string userId, SessionEndReason reason)
    {
        // A mismatch and a revocation are events of their own.
        if (reason is SessionEndReason.SignedOut or SessionEndReason.Expired)
        {
            events.Report(new SessionSecurityEvent(SessionSecurityEventKind.SignedOut, id.ToString(), userId, null) { EndReason = reason });
        }
    }

    public override void SignedIn(Guid id, string? userId, string how) => events.Report(SessionSecurityEventKind.SignedIn, id, userId, how);

    public override void SignInRefused(Guid id, string? userId, string why) => events.Report(SessionSecurityEventKind.SignInRefused, null, userId, why);

    public override void SignedInOnNewDevice(Guid id, string userId, NewDevice device) =>
        events.Report(new SessionSecurityEvent(SessionSecurityEventKind.NewDevice, id.ToString(), userId, device.Name)
        {
            DeviceId = device.Id.ToString(),
            IsFirstDevice = device.IsFirst,
        });

    public override void Returned(string? userId, Guid id, SessionEndReason reason) =>
        events.Report(new SessionSecurityEvent(SessionSecurityEventKind.ReturnedAfterEnd, id.ToString(), userId, null) { EndReason = reason });

    public override void EndedById(EndedSession ended) =>
        events.Report(new SessionSecurityEvent(SessionSecurityEventKind.Revoked, ended.Id.ToString(), ended.UserId, "through ISessionRepository") { EndReason = SessionEndReason.Revoked });
}
