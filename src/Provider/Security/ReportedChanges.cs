using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>Reports as security events what becomes of sessions, whoever caused it.</summary>
internal sealed class ReportedChanges(SecurityEvents events) : SessionAddOn
{
    public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

    public override void Regenerated(RedisSession session, Guid oldId) =>
        events.Report(SessionSecurityEventKind.Regenerated, session.Identity.Id, session.GetMetadata(FieldNames.UserId), $"was {oldId}");

    public override void Revoked(string userId, Guid id) => events.Report(SessionSecurityEventKind.Revoked, id, userId);

    public override void EndedById(EndedSession ended) =>
        events.Report(SessionSecurityEventKind.Revoked, ended.Id, ended.UserId, "through ISessionRepository");
}
