using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;

namespace RedisSessions.Tests.Attacks;

/// <summary>Endpoints that take several kinds of authentication, and requests that sign in or out too late.</summary>
public sealed class SeveralSchemesTests(InProcessGarnet server) : AttackTest(server)
{
    private Task<Site> StartSeveralAsync(bool excludesBearer = false, Action<IApplicationBuilder>? afterSession = null) => StartAttackedAsync(
        users: o =>
        {
            if (excludesBearer)
            {
                o.ExcludedSchemes.Add(BearerHandler.SchemeName);
            }
        },
        services: TwoSchemeSite.AddServices,
        map: app =>
        {
            TwoSchemeSite.Map(app);
            app.MapGet("/both", (HttpContext context) => context.Session.GetUserId() ?? "")
                .RequireAuthorization(new AuthorizeAttribute { AuthenticationSchemes = $"{CookieAuthenticationDefaults.AuthenticationScheme},{BearerHandler.SchemeName}" });
            app.MapGet("/late/whoami", (HttpContext context) => context.Response.WriteAsync(context.User.Identity!.Name!))
                .RequireAuthorization(new AuthorizeAttribute { AuthenticationSchemes = BearerHandler.SchemeName });
            app.MapGet("/late/logout", async (HttpContext context) =>
            {
                await context.Response.StartAsync();
                await context.SignOutAsync();
            });
        },
        afterSession: afterSession);

    /// <summary>The session is that scheme's, as if it had come alone.</summary>
    [Theory]
    [InlineData(false, "ada", "eve", "")]
    [InlineData(true, "", "", "tea")]
    public async Task Of_a_policy_of_several_schemes_the_one_that_knows_the_user_binds(bool isExcluded, string owner, string next, string cart)
    {
        var site = await StartSeveralAsync(isExcluded);
        var client = site.NewBrowser();
        await client.GetAsync("/set/cart/tea");
        BearerHandler.Use(client, "ada");
        Assert.Equal(owner, await client.GetAsync("/both"));
        Assert.Equal(owner, await client.GetAsync("/owner"));
        Assert.Equal("tea", await client.GetAsync("/get/cart"));
        BearerHandler.Use(client, "eve");
        Assert.Equal("eve", await client.GetAsync("/api/whoami"));
        Assert.Equal(next, await client.GetAsync("/owner"));
        Assert.Equal(cart, await client.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task Beside_a_sign_in_no_other_scheme_of_the_policy_binds_its_session()
    {
        var site = await StartSeveralAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        BearerHandler.Use(browser, "eve");
        Assert.Equal("ada", await browser.GetAsync("/both"));
        Assert.Equal(id, await browser.GetAsync("/id"));
        Assert.Equal(0, await Users(site).CountAsync("eve"));
    }

    /// <summary>The browser keeps the cookie that the response could not clear: what it names is there.</summary>
    [Fact]
    public async Task A_sign_out_that_comes_too_late_for_its_response_ends_nothing()
    {
        var site = await StartSeveralAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await Assert.ThrowsAnyAsync<Exception>(() => browser.GetAsync("/late/logout"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }

    /// <summary>A session is bound under a new id, and of that the browser could not be told.</summary>
    [Fact]
    public async Task Behind_a_response_that_has_started_nothing_is_bound()
    {
        var site = await StartSeveralAsync(afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization().Use(async (context, next) =>
        {
            if (context.Request.Headers.ContainsKey("X-Early"))
            {
                await context.Response.StartAsync();
            }

            await next(context);
        }));
        var client = site.NewBrowser();
        await client.GetAsync("/set/cart/tea");
        var id = await client.GetAsync("/id");
        BearerHandler.Use(client, "ada");
        client.Headers["X-Early"] = "1";
        Assert.Equal("ada", await client.GetAsync("/late/whoami"));
        client.Headers.Remove("X-Early");
        client.Headers.Remove("Authorization");
        Assert.Equal(id, await client.GetAsync("/id"));
        Assert.Equal("", await client.GetAsync("/owner"));
    }
}
