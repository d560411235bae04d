using System.Globalization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions;

/// <summary>
/// Lets only users in who signed in a short while ago, for sensitive pages (OWASP ASVS 5.0, 7.5.1 and 7.5.3); others are
/// asked to sign in again. For controllers, actions, Razor Pages and minimal APIs. Needs the user index, whose sign-in time
/// it goes by.
/// </summary>
/// <param name="minutes">How long ago at most, in minutes; positive.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class RequireRecentSignInAttribute(int minutes) : Attribute, IAuthorizeData, IAuthorizationRequirementData
{
    /// <summary>How long ago the sign-in may be at most, in minutes.</summary>
    public int Minutes { get; } = minutes > 0 ? minutes : throw new ArgumentOutOfRangeException(nameof(minutes));

    /// <inheritdoc/>
    public string? Policy { get; set; }

    /// <inheritdoc/>
    public string? Roles { get; set; }

    /// <inheritdoc/>
    public string? AuthenticationSchemes { get; set; }

    /// <inheritdoc/>
    public IEnumerable<IAuthorizationRequirement> GetRequirements() => [new RecentSignIn(TimeSpan.FromMinutes(Minutes))];

    internal sealed record RecentSignIn(TimeSpan Age) : IAuthorizationRequirement;

    /// <summary>Answers from the session's own sign-in time.</summary>
    internal sealed class Handler(RedisSessionStore store, SessionTimeouts timeouts, IHttpContextAccessor contexts) : AuthorizationHandler<RecentSignIn>
    {
        protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, RecentSignIn requirement)
        {
            if (context.User.Identity?.IsAuthenticated != true || contexts.HttpContext is not { } http || store.Find(http) is not { } session)
            {
                return;
            }

            try
            {
                await session.LoadAsync(http.RequestAborted).ConfigureAwait(false);
            }
            catch (Exception) when (!http.RequestAborted.IsCancellationRequested)
            {
                // Not known is not recent.
                return;
            }

            if (long.TryParse(session.GetMetadata(FieldNames.SignedInAt), CultureInfo.InvariantCulture, out var signedIn)
                && timeouts.Now - signedIn <= (long)requirement.Age.TotalMilliseconds)
            {
                context.Succeed(requirement);
            }
        }
    }

    /// <summary>Asks to sign in again rather than saying that access is denied.</summary>
    internal sealed class ResultHandler : IAuthorizationMiddlewareResultHandler
    {
        private readonly AuthorizationMiddlewareResultHandler _default = new();

        public Task HandleAsync(RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult) =>
            authorizeResult.Forbidden && authorizeResult.AuthorizationFailure is { } failure && failure.FailedRequirements.All(requirement => requirement is RecentSignIn) && failure.FailedRequirements.Any()
                ? context.ChallengeAsync()
                : _default.HandleAsync(next, context, policy, authorizeResult);
    }
}
