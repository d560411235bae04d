using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;

namespace RedisSessions.Tests.Users;

/// <summary>A site with plain cookie authentication.</summary>
internal static class SignInSite
{
    public const string AuthCookie = ".AspNetCore.Cookies";

    public static void AddServices(IServiceCollection services)
    {
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie();
        services.AddAuthorization();
    }

    public static void Map(WebApplication app)
    {
        Infrastructure.Pages.Map(app);
        app.MapGet("/login/{user}", async (HttpContext context, string user) =>
        {
            await context.SignInAsync(PrincipalOf(user));
            return context.Session.Id;
        });
        app.MapGet("/logout", (HttpContext context) => context.SignOutAsync());
        app.MapGet("/whoami", (HttpContext context) => context.User.Identity?.Name ?? "");
        app.MapGet("/secret", (HttpContext context) => $"secret of {context.User.Identity!.Name}").RequireAuthorization();
        app.MapGet("/owner", (HttpContext context) => context.Session.GetUserId() ?? "");
    }

    public static ClaimsPrincipal PrincipalOf(string user) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user), new Claim(ClaimTypes.Name, user)], "test"));
}
