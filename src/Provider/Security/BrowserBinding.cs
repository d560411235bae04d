using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>
/// Notes in a session which browser it belongs to, when it is created and whenever its id changes, and compares on every
/// load. A session from before this was turned on is bound by its next change.
/// </summary>
internal sealed class BrowserBinding(BrowserTraits traits, Microsoft.Extensions.Options.IOptions<SessionSecurityOptions> options, SecurityEvents events) : SessionAddOn
{
    public override SessionAddOnOrder Order => SessionAddOnOrder.Guard;

    public override bool KnowsTenants => true;

    public override void Loaded(RedisSession session)
    {
        if (session.Context is not { } context || session.Stored is not { } stored || traits.Difference(stored, context) is not var (reason, configured))
        {
            return;
        }

        var action = options.Value.OnMismatch is { } overrule
            ? overrule(new SessionMismatch(session.Identity.ToString(), reason, configured, context))
            : configured;
        if (action is not { } decided)
        {
            return;
        }

        var (id, userId) = (session.Identity.Id, stored.GetMetadata(FieldNames.UserId));
        session.Keep(this, new Mismatch(reason, decided));
        switch (decided)
        {
            case BindingAction.Log:
                events.Report(SessionSecurityEventKind.Mismatch, id, userId, reason);
                break;
            case BindingAction.Reject:
                session.Disown(SessionEndReason.Mismatch);
                events.Report(SessionSecurityEventKind.Rejected, id, userId, reason);
                break;
            case BindingAction.Destroy:
                session.DestroyAndDisown();
                events.Report(SessionSecurityEventKind.DestroyedByValidation, id, userId, reason);
                break;
        }
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (session.Context is { } context && (session.Stored is null || !BrowserTraits.AreNoted(session.Stored)))
        {
            traits.Note(context, delta.NoteMetadata);
        }
    }

    public override void IdChanging(RedisSession session)
    {
        if (session.Context is { } context)
        {
            traits.Note(context, session.SetMetadata);
        }
    }

    /// <summary>How the request's session was not what its cookie said; null if it was.</summary>
    public Mismatch? MismatchOf(RedisSession session) => session.StateOf<Mismatch>(this);
}

/// <summary>A request did not match its session.</summary>
/// <param name="Reason">What differs.</param>
/// <param name="Action">What was done about it.</param>
internal sealed record Mismatch(string Reason, BindingAction Action);
