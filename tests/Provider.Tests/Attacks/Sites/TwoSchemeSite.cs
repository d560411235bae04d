using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Two cookie schemes in one site: customers by default, and partners, who are other people in the same browser.</summary>
internal static class TwoSchemeSite
{
    public const string Partner = "Partner";

    public static void AddServices(IServiceCollection services)
    {
        CookieSite.AddServices(services);
        services.AddAuthentication().AddCookie(Partner, o =>
        {
            o.Cookie.Name = Partner;
            o.LoginPath = "/partner/login";
        });
        services.AddAuthentication().AddCookie("External", o => o.Cookie.Name = "External");
    }

    public static void Map(WebApplication app)
    {
        CookieSite.Map(app);
        var authorize = new AuthorizeAttribute { AuthenticationSchemes = Partner };
        app.MapGet("/partner/login/{user}", (HttpContext context, string user) => context.SignInAsync(Partner, SignInSite.PrincipalOf(user)));
        app.MapGet("/partner/logout", (HttpContext context) => context.SignOutAsync(Partner));
        app.MapGet("/partner/whoami", (HttpContext context) => context.User.Identity!.Name).RequireAuthorization(authorize);
        app.MapGet("/partner/set/{key}/{value}", (HttpContext context, string key, string value) => context.Session.SetString(key, value)).RequireAuthorization(authorize);
        app.MapGet("/partner/transfer", [RequireRecentSignIn(5, AuthenticationSchemes = Partner)] () => "sent");

        // What the remote handler of an external provider does, and the callback that ends it, as Microsoft's documentation has it
        // for sites without ASP.NET Core Identity.
        app.MapGet("/external/login/{user}", (HttpContext context, string user) => context.SignInAsync("External", SignInSite.PrincipalOf($"provider:{user}")));
        app.MapGet("/external/callback/{user}", async (HttpContext context, string user) =>
        {
            await context.SignInAsync(CookieAuthenticationDefaults.AuthenticationScheme, SignInSite.PrincipalOf(user));
            await context.SignOutAsync("External");
        });
    }
}
