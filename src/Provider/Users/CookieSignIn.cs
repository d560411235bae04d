using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Users;

/// <summary>
/// Ties cookie sign-ins to sessions. Signing in binds the session, and gives it and the ticket the same random number; from then on
/// the ticket is honoured only together with that session, and not with a later one of the same user, so that whatever ends the
/// session ends the sign-in.
/// </summary>
internal sealed partial class CookieSignIn(
    UserBinding binding, UserIndex index, SignInClaims claims, RedisSessionStore store, SessionTimeouts timeouts, ILogger<CookieSignIn> logger)
{
    private const string AuthenticationTime = "auth_time";
    private const string EndedMeanwhile = "the user's sessions were ended while the sign-in was under way";

    // A ticket says its times in seconds.
    private const long TicketPrecision = 1_000;
    private static readonly object KeepSession = new();

    private UserIndexOptions Options => index.Options;

    public async Task SigningInAsync(CookieSigningInContext context)
    {
        if (!Concerns(context.Scheme))
        {
            return;
        }

        var (http, ticket) = (context.HttpContext, new SignInTicket(context.Properties));
        if (RequestSignIns.Find(http)?.Find(context.Scheme.Name) is { IsUnverified: true } kept && ReferenceEquals(context.Principal, http.User))
        {
            // The very principal that could not be verified: signing in with it once more proves nothing.
            ticket.Number ??= kept.Number;
        }

        var (former, begunAt) = (ticket.Number, index.Ticks);
        ticket.SignedInAt ??= AuthenticatedAt(context.Principal) ?? index.Now;
        var number = SignInTicket.NewNumber();
        try
        {
            var (session, userId) = (store.FindOrBegin(http), Options.GetUserId(context.Principal));
            var isPaired = former is not null && await IsPairedAsync(session, former, http.RequestAborted).ConfigureAwait(false);
            if (Options.EndSignInWithSession && former is not null && !isPaired)
            {
                // A ticket is written again, and its session has ended: nobody has shown any credentials, so the sign-in is as ended as before.
                store.AddOns.SignInRefused(session.Identity.Id, userId, "the ticket was written again, and its session had ended");
                return;
            }

            var bond = new UserBond(userId, context.Scheme.Name)
            {
                Number = number,
                SignedInAt = ticket.SignedInAt,
                BegunAt = begunAt,
                Continues = isPaired && session.GetMetadata(UserFields.UserId) == userId,
                Ends = Options.EndSignInWithSession ? context.Properties.ExpiresUtc?.ToUnixTimeMilliseconds() : null,
                Persistence = Persistence.Of(context.Properties, index.Now),
                Principal = context.Principal,
                ShowsCredentials = former is null,
            };
            var outcome = await binding.BindAsync(session, bond, http.RequestAborted).ConfigureAwait(false);
            ticket.Number = number;
            ticket.UnboundSince = outcome == BindOutcome.NotStored ? begunAt : null;
            if (outcome == BindOutcome.Revoked)
            {
                logger.SignInRevoked();
                store.AddOns.SignInRefused(session.Identity.Id, userId, EndedMeanwhile);
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception) && Options.WithoutRedis == SignInWithoutRedis.Keep)
        {
            logger.SignedInWithoutSession(exception);
            if (former is null)
            {
                // It is bound when Redis is back, and ends with that session.
                ticket.Number = number;
                ticket.UnboundSince = begunAt;
            }
        }
    }

    private static async Task<bool> IsPairedAsync(RedisSession session, string number, CancellationToken cancellationToken)
    {
        await session.LoadAsync(cancellationToken).ConfigureAwait(false);
        return session.GetMetadata(UserFields.SignInNumber) == number;
    }

    /// <summary>The moment at which an identity provider checked the credentials, if it says so.</summary>
    private long? AuthenticatedAt(ClaimsPrincipal? principal) =>
        long.TryParse(principal?.FindFirst(AuthenticationTime)?.Value, CultureInfo.InvariantCulture, out var seconds) && seconds > 0 && seconds < index.Now / 1000
            ? seconds * 1000
            : null;

    public async Task SigningOutAsync(CookieSigningOutContext context)
    {
        var http = context.HttpContext;
        if (!Concerns(context.Scheme) || http.Items.ContainsKey(KeepSession) || http.Response.HasStarted || store.Find(http) is not { } session)
        {
            return;
        }

        try
        {
            await session.LoadAsync(http.RequestAborted).ConfigureAwait(false);
            if (session.GetMetadata(UserFields.Scheme) == context.Scheme.Name)
            {
                await session.DestroyAsync(http.RequestAborted).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // The browser is signed out all the same; the session lives until its timeout.
            logger.SignedOutWithoutSession(session.Identity.Id, exception);
        }
    }

    /// <summary>Comes before <see cref="ValidatePrincipalAsync"/>: a ticket that cannot be verified is not renewed.</summary>
    public async Task CheckSlidingExpirationAsync(CookieSlidingExpirationContext context)
    {
        var http = context.HttpContext;
        if (!context.ShouldRenew || !EndsWithSession(context.Scheme))
        {
            return;
        }

        try
        {
            await (store.Find(http)?.LoadAsync(http.RequestAborted) ?? Task.CompletedTask).ConfigureAwait(false);
            RequestSignIns.Of(http, context.Scheme.Name).IsRenewed = true;
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            RequestSignIns.Of(http, context.Scheme.Name).IsUnverified = true;
            context.ShouldRenew = false;
        }
    }

    public async Task ValidatePrincipalAsync(CookieValidatePrincipalContext context)
    {
        if (!EndsWithSession(context.Scheme))
        {
            return;
        }

        if (new SignInTicket(context.Properties).IsEnded)
        {
            await RejectAsync(context).ConfigureAwait(false);
            return;
        }

        var http = context.HttpContext;
        var signIn = RequestSignIns.Of(http, context.Scheme.Name);
        signIn.Number = new SignInTicket(context.Properties).Number;
        try
        {
            switch (signIn.IsUnverified ? Verdict.Honoured : await VerifyAsync(context, store.Find(http)).ConfigureAwait(false))
            {
                case Verdict.Ended:
                    await RejectAsync(context).ConfigureAwait(false);
                    break;
                case Verdict.NotNow:
                    context.RejectPrincipal();
                    break;
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            signIn.IsUnverified = true;
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException)
        {
            // The session is there, and nobody can read whose it is.
            logger.SignInNotVerified(exception);
            context.RejectPrincipal();
        }

        if (signIn.IsUnverified)
        {
            context.ShouldRenew = false;
            if (Options.WithoutRedis == SignInWithoutRedis.Refuse)
            {
                context.RejectPrincipal();
            }
        }
    }

    private async Task<Verdict> VerifyAsync(CookieValidatePrincipalContext context, RedisSession? session)
    {
        var http = context.HttpContext;
        var ticket = new SignInTicket(context.Properties);
        var (userId, isEarlier) = (Options.GetUserId(context.Principal), ticket.Number is null);
        var number = ticket.Number ?? SignInTicket.DerivedNumber(context);
        var isUnbound = isEarlier ? Options.AcceptEarlierSignIns : ticket.UnboundSince is not null;
        if (session is not null && number is not null)
        {
            await session.LoadAsync(http.RequestAborted).ConfigureAwait(false);
            if (Belongs(session, number, userId))
            {
                if (isEarlier || isUnbound)
                {
                    // The first answer has not reached the browser yet, or never did.
                    MarkBound(context, number);
                    _ = index.SendAsync(claims.RenewAsync(number, session.Identity.Secret, EndOf(context)));
                }

                if (context.Options is { SessionStore: TicketStore, SlidingExpiration: true } && RequestTickets.Of(http).Incoming(context.Scheme.Name) is not null)
                {
                    // From before tickets were kept in sessions: from here on it is. One that does not slide stays, for writing it again would prolong it.
                    context.ShouldRenew = true;
                }

                KeepAsLongAsTicket(context, session);
                return Verdict.Honoured;
            }
        }

        return isUnbound && number is not null && !http.Response.HasStarted
            ? await BindOnceAsync(context, session, number, userId).ConfigureAwait(false)
            : Verdict.Ended;
    }

    /// <summary>A ticket that is renewed keeps its session for as long as it lives itself.</summary>
    private void KeepAsLongAsTicket(CookieValidatePrincipalContext context, RedisSession session)
    {
        if (EndOf(context) is { } end
            && !(long.TryParse(session.GetMetadata(UserFields.TicketEnd), CultureInfo.InvariantCulture, out var known) && known > end - TicketPrecision))
        {
            session.NoteMetadata(UserFields.TicketEnd, end.ToString(CultureInfo.InvariantCulture));
        }

        RememberedSession.Renew(session, timeouts, withTicket: IsRenewed(context));
    }

    /// <summary>When the ticket expires, Unix milliseconds; if it is renewed with this response, the new one.</summary>
    private long? EndOf(CookieValidatePrincipalContext context)
    {
        var (issued, expires) = (context.Properties.IssuedUtc, context.Properties.ExpiresUtc);
        return IsRenewed(context) && issued is not null && expires is not null
            ? index.Now + (long)(expires.Value - issued.Value).TotalMilliseconds
            : expires?.ToUnixTimeMilliseconds();
    }

    private static bool IsRenewed(CookieValidatePrincipalContext context) =>
        context.ShouldRenew || RequestSignIns.Of(context.HttpContext, context.Scheme.Name).IsRenewed;

    private static bool Belongs(RedisSession session, string number, string? userId) =>
        session.GetMetadata(UserFields.SignInNumber) == number && session.GetMetadata(UserFields.UserId) == userId;

    private async Task RejectAsync(CookieValidatePrincipalContext context)
    {
        var (http, principal) = (context.HttpContext, context.Principal);
        context.RejectPrincipal();
        if (http.Response.HasStarted)
        {
            return;
        }

        // A request that was under way while its session got a new id carries the old one. The browser has the new cookies by
        // now, and expiring them in this late answer would sign it out by mistake.
        var session = store.Find(http);
        var remains = session is not null ? await session.FindRemainsAsync().ConfigureAwait(false) : default;
        if (!remains.HasMoved)
        {
            if (remains.Reason is { } reason && session?.LostId is { } endedId)
            {
                RequestSignIns.Of(http, context.Scheme.Name).EndReason = reason;
                if (await session.ClaimReturnAsync().ConfigureAwait(false))
                {
                    store.AddOns.Returned(Options.GetUserId(principal), endedId, reason);
                }
            }

            http.Items[KeepSession] = true;
            await http.SignOutAsync(context.Scheme.Name).ConfigureAwait(false);
            http.Items.Remove(KeepSession);
        }
    }

    /// <summary>
    /// Says on the way to the sign-in page why the sign-in ended. A visitor who came with none is told only what somebody did: that a session of
    /// nobody's has expired is no news.
    /// </summary>
    public async Task RedirectingToLoginAsync(RedirectContext<CookieAuthenticationOptions> context)
    {
        var http = context.HttpContext;
        if (Options.EndedParameter is not { Length: > 0 } parameter || !EndsWithSession(context.Scheme))
        {
            return;
        }

        var reason = RequestSignIns.Find(http)?.Find(context.Scheme.Name)?.EndReason;
        try
        {
            if (reason is null && store.Find(http) is { } session
                && await session.FindEndReasonAsync(http.RequestAborted).ConfigureAwait(false) is { } known and not SessionEndReason.Expired)
            {
                reason = known;
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // Nobody knows, and the visitor is to sign in all the same.
            logger.EndReasonNotRead(exception);
        }

        if (reason is { } ended)
        {
            context.RedirectUri = QueryHelpers.AddQueryString(context.RedirectUri, parameter, SessionEnding.NameOf(ended));
        }
    }

    private bool EndsWithSession(AuthenticationScheme scheme) => Concerns(scheme) && Options.EndSignInWithSession;

    private bool Concerns(AuthenticationScheme scheme) => !Options.ExcludedSchemes.Contains(scheme.Name);

    private enum Verdict
    {
        Honoured,

        /// <summary>The sign-in is over, and so its cookie.</summary>
        Ended,

        /// <summary>The request is anonymous, and the cookie stays: a later one may be honoured.</summary>
        NotNow,
    }
}
