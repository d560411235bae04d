using Microsoft.Extensions.Options;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Security;

/// <summary>
/// Bounds what a session may hold. What one request does is refused as it does it; what requests do together only Redis sees, so there
/// the commit is refused, whole, with the same exception.
/// </summary>
internal sealed class SessionBounds(IOptions<SessionSecurityOptions> options, SecurityEvents events) : SessionAddOn
{
    private SessionSecurityOptions Options => options.Value;

    private string TooManyFields => $"The session would have more fields than SessionSecurityOptions.MaxFieldCount ({Options.MaxFieldCount:N0}) allows.";

    private string TooLarge => $"The session would be larger than SessionSecurityOptions.MaxSessionSize ({Options.MaxSessionSize:N0} bytes) allows.";

    public override SessionAddOnOrder Order => SessionAddOnOrder.Bounds;

    public override bool KnowsTenants => true;

    public override SessionLimits? Limits => new(Options.MaxFieldCount, Options.MaxSessionSize);

    public override void Setting(RedisSession session, string key, int bytes)
    {
        if (bytes > Options.MaxFieldSize)
        {
            throw Refuse(session, $"The value has {bytes:N0} bytes, more than SessionSecurityOptions.MaxFieldSize ({Options.MaxFieldSize:N0}) allows.");
        }

        if (session.Peek(key) is null && session.FieldCount + 1 > Options.MaxFieldCount)
        {
            throw Refuse(session, TooManyFields);
        }

        if (session.SizeGrownBy(key, bytes) > Options.MaxSessionSize)
        {
            throw Refuse(session, TooLarge);
        }
    }

    public override Exception Refused(RedisSession session, CommitOutcome outcome) =>
        Refuse(session, outcome == CommitOutcome.TooManyFields ? TooManyFields : TooLarge);

    private InvalidOperationException Refuse(RedisSession session, string sentence)
    {
        events.Report(SessionSecurityEventKind.LimitReached, session.Identity.Id, session.GetMetadata(FieldNames.UserId), sentence);
        return new InvalidOperationException(sentence);
    }
}
