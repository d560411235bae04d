using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace RedisSessions.Users;

/// <summary>Who a request's user is, as far as that user may bind a session, and by which authentication scheme.</summary>
internal sealed class RequestUsers(IOptions<UserIndexOptions> options)
{
    // What ASP.NET Core writes where authorization looked at a principal that no scheme gave.
    private const string NoScheme = "context.User";

    private UserIndexOptions Options => options.Value;

    /// <returns>
    /// Null for nobody: the request is anonymous, its principal has no id, comes from an excluded scheme, or from a cookie, which its
    /// sign-in alone binds; or a sign-in of this request could not be verified, and then nothing says what was made of it since.
    /// </returns>
    public async ValueTask<UserBond?> FindAsync(HttpContext context)
    {
        var signIns = RequestSignIns.Find(context);
        if (context.User?.Identity?.IsAuthenticated != true || signIns is { HasUnverified: true })
        {
            return null;
        }

        var result = context.Features.Get<IAuthenticateResultFeature>()?.AuthenticateResult;
        if (result?.Ticket?.AuthenticationScheme is not { } scheme || scheme == NoScheme || result.Principal != context.User)
        {
            // The application's own authentication.
            return BondOf(context.User, null);
        }

        // A policy of several schemes merges their principals.
        var schemes = scheme.Split(';');
        foreach (var one in schemes)
        {
            if (Options.ExcludedSchemes.Contains(one) || signIns?.Find(one) is not null)
            {
                continue;
            }

            var principal = schemes.Length == 1 ? context.User : (await context.AuthenticateAsync(one).ConfigureAwait(false)).Principal;
            if (BondOf(principal, one) is { } bond && RequestSignIns.Find(context)?.Find(one) is null)
            {
                return bond;
            }
        }

        return null;

        UserBond? BondOf(ClaimsPrincipal? principal, string? by) =>
            Options.GetUserId(principal) is { } userId ? new UserBond(userId, by) : null;
    }
}
