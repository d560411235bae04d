using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;

namespace RedisSessions.Tests.Attacks;

/// <summary>Principals as OpenID Connect gives them with <c>MapInboundClaims = false</c>: the claims keep their short names.</summary>
internal static class OidcSite
{
    public static void Map(WebApplication app)
    {
        app.MapGet("/oidc/{sub}/{name}", (HttpContext context, string sub, string name) =>
            context.SignInAsync(PrincipalOf(new("sub", sub), new("name", name))));
        app.MapGet("/oidc-name/{name}", (HttpContext context, string name) => context.SignInAsync(PrincipalOf(new Claim("name", name))));

        // Nothing in it says who it is.
        app.MapGet("/oidc-guest", (HttpContext context) => context.SignInAsync(PrincipalOf(new Claim("role", "guest"))));

        // Single sign-on: the provider checked the password when auth_time says, not now.
        app.MapGet("/oidc-sso/{sub}/{minutesAgo:int}", (HttpContext context, string sub, int minutesAgo, TimeProvider clock) =>
            context.SignInAsync(PrincipalOf(
                new(ClaimTypes.NameIdentifier, sub),
                new("name", sub),
                new("auth_time", (clock.GetUtcNow() - TimeSpan.FromMinutes(minutesAgo)).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), ClaimValueTypes.Integer64))));
        app.MapGet("/oidc-at/{sub}/{seconds:long}", (HttpContext context, string sub, long seconds) =>
            context.SignInAsync(PrincipalOf(new("sub", sub), new("name", sub), new("auth_time", seconds.ToString(CultureInfo.InvariantCulture), ClaimValueTypes.Integer64))));
        app.MapGet("/authenticated", (HttpContext context) => context.User.Identity?.IsAuthenticated == true);
    }

    private static ClaimsPrincipal PrincipalOf(params Claim[] claims) => new(new ClaimsIdentity(claims, "oidc", "name", "role"));
}
