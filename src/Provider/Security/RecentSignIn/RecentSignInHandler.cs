using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security.RecentSignIn;

/// <summary>Answers from the request's own session, if it is the request's user's. What is not known is not recent.</summary>
internal sealed class RecentSignInHandler(
    RedisSessionStore store, SessionTimeouts timeouts, IHttpContextAccessor contexts, IOptions<UserIndexOptions> users) : AuthorizationHandler<RecentSignInRequirement>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, RecentSignInRequirement requirement)
    {
        if (contexts.HttpContext is not { } http || store.Find(http) is not { } session)
        {
            return;
        }

        try
        {
            await session.LoadAsync(http.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception) when (!http.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        if (session.GetMetadata(FieldNames.UserId) is { } owner
            && IsOwner(context.User, owner)
            && long.TryParse(session.GetMetadata(FieldNames.SignedInAt), CultureInfo.InvariantCulture, out var signedIn)
            && requirement.IsMetBy(signedIn, timeouts.Now))
        {
            context.Succeed(requirement);
        }
    }

    /// <summary>A policy of several schemes merges their identities into one principal: one of them must be the owner, and none somebody else.</summary>
    private bool IsOwner(ClaimsPrincipal principal, string owner)
    {
        var isOwner = false;
        foreach (var identity in principal.Identities)
        {
            if (users.Value.GetUserId(new ClaimsPrincipal(identity)) is { } userId)
            {
                if (userId != owner)
                {
                    return false;
                }

                isOwner = true;
            }
        }

        return isOwner;
    }
}
