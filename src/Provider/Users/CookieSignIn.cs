using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;

namespace RedisSessions.Users;

/// <summary>
/// Ties cookie sign-ins to sessions. Signing in binds the session and marks the ticket; from then on the ticket is honoured
/// only together with a live session of the same user, so that whatever ends the session ends the sign-in.
/// </summary>
internal sealed class CookieSignIn(UserBinding binding, UserIndex index, RedisSessionStore store, ILogger<CookieSignIn> logger)
{
    // In the ticket, under the application's protection: a sign-in that was bound to a session.
    private const string BoundMark = ".RedisSessions.bound";
    private static readonly object KeepSession = new();

    public async Task SigningInAsync(CookieSigningInContext context)
    {
        if (!Concerns(context.Scheme) || index.Options.UserIdOf(context.Principal) is not { } userId)
        {
            return;
        }

        try
        {
            await binding.BindAsync(store.FindOrBegin(context.HttpContext), userId, signIn: true, context.HttpContext.RequestAborted).ConfigureAwait(false);
            context.Properties.Items[BoundMark] = "1";
        }
        catch (Exception exception) when (RedisAway.Explains(exception) && index.Options.WithoutRedis == SignInWithoutRedis.Keep)
        {
            logger.SignedInWithoutSession(exception);
        }
    }

    public async Task SigningOutAsync(CookieSigningOutContext context)
    {
        var http = context.HttpContext;
        if (!Concerns(context.Scheme) || http.Items.ContainsKey(KeepSession) || http.Response.HasStarted || store.Find(http) is not { } session)
        {
            return;
        }

        try
        {
            await session.DestroyAsync(http.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // The browser is signed out all the same; the session lives until its timeout.
            logger.SignedOutWithoutSession(session.Identity.Id, exception);
        }
    }

    public async Task ValidatePrincipalAsync(CookieValidatePrincipalContext context)
    {
        if (!Concerns(context.Scheme) || !index.Options.EndSignInWithSession || index.Options.UserIdOf(context.Principal) is not { } userId)
        {
            return;
        }

        var session = store.Find(context.HttpContext);
        try
        {
            if (session is not null)
            {
                await session.LoadAsync(context.HttpContext.RequestAborted).ConfigureAwait(false);
                if (session.IsAvailable && session.GetMetadata(UserFields.UserId) == userId)
                {
                    return;
                }
            }

            if (!context.Properties.Items.ContainsKey(BoundMark) && index.Options.AcceptEarlierSignIns && !context.HttpContext.Response.HasStarted)
            {
                await binding.BindAsync(session ?? store.FindOrBegin(context.HttpContext), userId, signIn: false, context.HttpContext.RequestAborted).ConfigureAwait(false);
                context.Properties.Items[BoundMark] = "1";
                context.ShouldRenew = true;
                return;
            }

            await RejectAsync(context, session).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            if (index.Options.WithoutRedis == SignInWithoutRedis.Refuse)
            {
                context.RejectPrincipal();
            }
        }
    }

    private async Task RejectAsync(CookieValidatePrincipalContext context, RedisSession? session)
    {
        context.RejectPrincipal();

        // A request that was under way while its session got a new id carries the old one. The browser has the new cookies by
        // now, and expiring them in this late answer would sign it out by mistake.
        if (session is null || !await store.Hash.HasMovedAsync(session.Identity.Id).ConfigureAwait(false))
        {
            context.HttpContext.Items[KeepSession] = true;
            await context.HttpContext.SignOutAsync(context.Scheme.Name).ConfigureAwait(false);
            context.HttpContext.Items.Remove(KeepSession);
        }
    }

    private bool Concerns(AuthenticationScheme scheme) => !index.Options.ExcludedSchemes.Contains(scheme.Name);
}
