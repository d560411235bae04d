using Microsoft.AspNetCore.Authentication.Cookies;
using RedisSessions.Diagnostics;
using RedisSessions.Sessions;

namespace RedisSessions.Users;

// A ticket that no session has yet, because Redis was away at the sign-in or it is older than this library, is bound by the first request that can: by one, also of many at once.
internal sealed partial class CookieSignIn
{
    private async Task<Verdict> BindOnceAsync(CookieValidatePrincipalContext context, RedisSession? session, string number, string? userId)
    {
        var claim = new SignInClaim(number);
        try
        {
            var verdict = await BindOnceAsync(context, session, claim, userId).ConfigureAwait(false);
            if (verdict == Verdict.Honoured)
            {
                MarkBound(context, number);
            }

            return verdict;
        }
        finally
        {
            if (claim.IsOpen)
            {
                // Also one whose reply was lost: else nobody could bind the ticket until it expires.
                _ = index.SendAsync(claims.ReleaseAsync(claim));
            }
        }
    }

    private async Task<Verdict> BindOnceAsync(CookieValidatePrincipalContext context, RedisSession? session, SignInClaim claim, string? userId)
    {
        var aborted = context.HttpContext.RequestAborted;
        await claims.TakeAsync(claim, aborted).ConfigureAwait(false);
        if (claim.State == SignInClaimState.TooLate)
        {
            return Verdict.Ended;
        }

        if (claim.State == SignInClaimState.Busy)
        {
            // Redis is there, and whether the sign-in was revoked is not known: nobody is served on its word.
            return Verdict.NotNow;
        }

        session ??= store.FindOrBegin(context.HttpContext);
        context.ShouldRenew = true;
        if (claim.State == SignInClaimState.Mine)
        {
            var verdict = await BindClaimedAsync(context, session, claim, userId).ConfigureAwait(false);
            if (verdict != Verdict.Honoured)
            {
                return verdict;
            }
        }
        else
        {
            await session.ContinueAsAsync(claim.Secret!, aborted).ConfigureAwait(false);
            if (!Belongs(session, claim.Number, userId))
            {
                session.Disown();
                return Verdict.Ended;
            }
        }

        KeepAsLongAsTicket(context, session);
        return Verdict.Honoured;
    }

    private async Task<Verdict> BindClaimedAsync(CookieValidatePrincipalContext context, RedisSession session, SignInClaim claim, string? userId)
    {
        var ticket = new SignInTicket(context.Properties);
        var issuedAt = context.Properties.IssuedUtc;

        // A ticket that slides does not say when it was made first.
        var signedInAt = ticket.SignedInAt ?? AuthenticatedAt(context.Principal) ?? (context.Options.SlidingExpiration ? null : issuedAt?.ToUnixTimeMilliseconds());
        var bond = new UserBond(userId, context.Scheme.Name)
        {
            Number = claim.Number,
            SignedInAt = signedInAt,
            BegunAt = ticket.UnboundSince ?? issuedAt?.UtcTicks ?? 0,
            Ends = EndOf(context),
            Principal = context.Principal,
            ShowsCredentials = ticket.UnboundSince is not null,
            Persistence = Persistence.Of(context.Properties, index.Now) is { } persistence ? persistence with { Ends = EndOf(context) ?? persistence.Ends } : null,
        };
        try
        {
            var outcome = await binding.BindAsync(session, bond, context.HttpContext.RequestAborted).ConfigureAwait(false);
            if (outcome == BindOutcome.Revoked)
            {
                store.AddOns.SignInRefused(session.Identity.Id, userId, "the user's sessions were ended before it was bound to one");
            }

            if (outcome != BindOutcome.Bound)
            {
                return outcome == BindOutcome.Revoked ? Verdict.Ended : Verdict.NotNow;
            }

            if (!await claims.SettleAsync(claim, session.Identity.Secret, EndOf(context)).ConfigureAwait(false))
            {
                await session.DestroyAsync(context.HttpContext.RequestAborted).ConfigureAwait(false);
                return Verdict.NotNow;
            }

            ticket.SignedInAt ??= signedInAt;
            return Verdict.Honoured;
        }
        catch (SessionLimitReachedException exception)
        {
            logger.SessionNotBound(session.Identity.Id, exception);
            return Verdict.NotNow;
        }
    }

    private static void MarkBound(CookieValidatePrincipalContext context, string number)
    {
        _ = new SignInTicket(context.Properties) { Number = number, UnboundSince = null };
        context.ShouldRenew = true;
    }
}
