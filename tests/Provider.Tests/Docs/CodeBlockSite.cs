using System.Security.Claims;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Docs;

/// <summary>The application around a code block: called by the program that is made of it, and therefore public.</summary>
public static class CodeBlockSite
{
    private const string Block = "/block";

    /// <summary>What a block takes for granted: authentication, and sessions where it is not about registering them.</summary>
    public static void Prepare(WebApplicationBuilder builder, string redis, bool hasSessions)
    {
        builder.WebHost.UseTestServer();
        builder.Logging.ClearProviders();
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();
        builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie().AddOpenIdConnect(o => (o.Authority, o.ClientId) = ("https://login.example.com", "shop"));
        builder.Services.AddAuthorization().AddAntiforgery().AddSingleton(TimeProvider.System);
        if (!hasSessions)
        {
            builder.Services.AddRedisSession(redis).AddUserIndex().AddSecurity().AddAnalytics();
        }
    }

    /// <summary>A block of a controller's.</summary>
    public static void MapBlock(WebApplication app, Func<HttpContext, ClaimsPrincipal, TimeProvider, Task> block) => app.MapGet(Block, async (HttpContext context, TimeProvider clock) =>
    {
        await block(context, new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, "ada")], "test")), clock);
        return "done";
    });

    /// <summary>Starts it, and sees that a session is kept and that what was mapped answers.</summary>
    public static async Task RunAsync(WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.MapGet("/count", async (HttpContext context) => $"{await context.Session.IncrementAsync("count")}");
        await app.StartAsync();
        var browser = new Browser(app.GetTestServer().CreateHandler());
        Assert.Equal("1", await browser.GetAsync("/count"));
        Assert.Equal("2", await browser.GetAsync("/count"));
        foreach (var endpoint in ((Microsoft.AspNetCore.Routing.IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<Microsoft.AspNetCore.Routing.RouteEndpoint>().Where(endpoint => endpoint.RoutePattern.Parameters.Count == 0))
        {
            using var response = await browser.SendAsync(HttpMethod.Get, endpoint.RoutePattern.RawText!);
            Assert.True((int)response.StatusCode < 500, $"{endpoint.RoutePattern.RawText} answered {response.StatusCode}");
        }

        await app.StopAsync();
    }
}
