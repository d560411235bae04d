using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Sessions;

namespace RedisSessions.Security.RecentSignIn;

/// <summary>
/// Where nothing but a recent sign-in is missing, the answer is a challenge rather than a refusal. Said here and not in an
/// IAuthorizationMiddlewareResultHandler, because applications have their own of that, registered before or after: whichever it is, it
/// is told of a challenge, and the framework's challenges the policy's own schemes.
/// </summary>
internal sealed class RecentSignInEvaluator(IPolicyEvaluator inner) : IPolicyEvaluator
{
    public Task<AuthenticateResult> AuthenticateAsync(AuthorizationPolicy policy, HttpContext context) => inner.AuthenticateAsync(policy, context);

    public async Task<PolicyAuthorizationResult> AuthorizeAsync(AuthorizationPolicy policy, AuthenticateResult authenticationResult, HttpContext context, object? resource)
    {
        var result = await inner.AuthorizeAsync(policy, authenticationResult, context, resource).ConfigureAwait(false);
        if (result is { Forbidden: true, AuthorizationFailure: { } failure } && failure.FailedRequirements.Any(static requirement => requirement is RecentSignInRequirement))
        {
            Report(context);
            return !failure.FailCalled && IsOnlyTooOld(failure) ? PolicyAuthorizationResult.Challenge() : result;
        }

        return result;
    }

    private static void Report(HttpContext context)
    {
        var services = context.RequestServices;
        var session = services.GetRequiredService<RedisSessionStore>().Find(context);
        var userId = services.GetRequiredService<IOptions<UserIndexOptions>>().Value.GetUserId(context.User);
        services.GetRequiredService<SecurityEvents>().Report(SessionSecurityEventKind.StepUpRefused, session?.Identity.Id, userId);
    }

    private static bool IsOnlyTooOld(AuthorizationFailure failure)
    {
        var failed = failure.FailedRequirements;
        return failed.Any() && failed.All(static requirement => requirement is RecentSignInRequirement);
    }

    /// <summary>Puts itself around whichever evaluator is registered; once.</summary>
    public static void Wrap(IServiceCollection services)
    {
        if (services.Any(static service => service.ServiceType == typeof(Wrapped)))
        {
            return;
        }

        services.AddSingleton<Wrapped>();
        var present = services.Last(static service => service.ServiceType == typeof(IPolicyEvaluator) && !service.IsKeyedService);
        services.Remove(present);
        services.Add(ServiceDescriptor.Describe(typeof(IPolicyEvaluator), provider => new RecentSignInEvaluator(Make(present, provider)), present.Lifetime));
    }

    private static IPolicyEvaluator Make(ServiceDescriptor service, IServiceProvider provider) => (IPolicyEvaluator)(
        service.ImplementationInstance
        ?? service.ImplementationFactory?.Invoke(provider)
        ?? ActivatorUtilities.CreateInstance(provider, service.ImplementationType!));

    private sealed class Wrapped;
}
