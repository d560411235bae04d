using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Cookie authentication, with an API behind bearer tokens beside it: what most sites are.</summary>
internal static class CookieSite
{
    public static void AddServices(IServiceCollection services)
    {
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme)
            .AddCookie()
            .AddScheme<AuthenticationSchemeOptions, BearerHandler>(BearerHandler.SchemeName, null);
        services.AddAuthorization();
    }

    public static void Map(WebApplication app)
    {
        SignInSite.Map(app);
        app.MapGet("/login/{user}/{role}", async (HttpContext context, string user, string role) =>
        {
            var principal = SignInSite.PrincipalOf(user);
            ((ClaimsIdentity)principal.Identity!).AddClaim(new Claim(ClaimTypes.Role, role));
            await context.SignInAsync(principal);
        });
        app.MapGet("/role", (HttpContext context) => context.User.FindFirstValue(ClaimTypes.Role) ?? "");

        // As docs/users.md says for "keep me signed in".
        app.MapGet("/remember/{user}/{days:int}", async (HttpContext context, string user, int days) =>
        {
            await context.SignInAsync(SignInSite.PrincipalOf(user));
            context.Session.SetIdleTimeout(TimeSpan.FromDays(days));
            return context.Session.Id;
        });

        // A new claim, a new name: the ticket is written again, and nobody has shown any credentials.
        app.MapGet("/refresh", async (HttpContext context) =>
        {
            if (await context.AuthenticateAsync() is { Principal: { } principal, Properties: var properties })
            {
                await context.SignInAsync(principal, properties);
            }
        });
        app.MapGet("/transfer", [RequireRecentSignIn(5)] () => "sent");

        var api = app.MapGroup("/api").RequireAuthorization(new AuthorizeAttribute { AuthenticationSchemes = BearerHandler.SchemeName });
        api.MapGet("/whoami", (HttpContext context) => context.User.Identity!.Name);
        api.MapGet("/set/{key}/{value}", (HttpContext context, string key, string value) => context.Session.SetString(key, value));
        app.MapGet("/api/transfer", [RequireRecentSignIn(5, AuthenticationSchemes = BearerHandler.SchemeName)] () => "sent");
        app.MapGet("/password", (Delegate)ChangePassword);
        api.MapGet("/password", (Delegate)ChangePassword);

        // Asked for when it is needed: not every site of the tests has AddSecurity.
        static Task<long> ChangePassword(HttpContext context) => context.RequestServices.GetRequiredService<ISessionSecurity>().CredentialsChangedAsync(context);
    }
}
