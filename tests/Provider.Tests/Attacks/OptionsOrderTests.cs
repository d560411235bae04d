using System.Net;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 21: what the application registered stays, and the order of the add-ons decides nothing.</summary>
public sealed class OptionsOrderTests(InProcessGarnet server) : AttackTest(server)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_applications_own_handler_of_authorization_results_is_still_asked(bool registeredFirst)
    {
        var site = await StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/admin", () => "admin").RequireAuthorization(policy => policy.RequireRole("admin"));
            },
            services: services =>
            {
                CookieSite.AddServices(services);
                if (registeredFirst)
                {
                    services.AddSingleton<IAuthorizationMiddlewareResultHandler, Teapot>();
                }
            },
            addOns: builder =>
            {
                builder.AddUserIndex().AddSecurity();
                if (!registeredFirst)
                {
                    builder.Services.AddSingleton<IAuthorizationMiddlewareResultHandler, Teapot>();
                }
            });
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal(418, (int)await StatusAsync(browser, "/admin"));
    }

    [Fact]
    public async Task A_step_up_challenges_the_schemes_of_its_policy()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(map: TwoSchemeSite.Map, services: TwoSchemeSite.AddServices);
        var browser = site.NewBrowser();
        await browser.GetAsync("/partner/login/grace");
        Assert.Equal("grace", await browser.GetAsync("/partner/whoami"));
        Assert.Equal("sent", await browser.GetAsync("/partner/transfer"));
        clock.Advance(TimeSpan.FromMinutes(6));
        using var response = await browser.SendAsync(HttpMethod.Get, "/partner/transfer");
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.StartsWith("/partner/login", response.Headers.Location!.PathAndQuery, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Timeouts_of_users_apply_in_either_order_of_the_add_ons(bool securityFirst)
    {
        static void Security(SessionSecurityOptions o) => o.TimeoutsOf = user => new UserTimeouts(user == "admin" ? TimeSpan.FromMinutes(5) : null, null);
        var site = await StartAttackedAsync(addOns: builder => _ = securityFirst
            ? builder.AddSecurity(Security).AddUserIndex()
            : builder.AddUserIndex().AddSecurity(Security));

        // At sign-in, and where an authenticated request creates the session.
        var browser = site.NewBrowser();
        await AssertShortAsync(await browser.GetAsync("/login/admin"));
        var client = site.NewBrowser();
        BearerHandler.Use(client, "admin");
        await client.GetAsync("/api/set/a/1");
        await AssertShortAsync(await client.GetAsync("/id"));

        async Task AssertShortAsync(string id) => Assert.InRange((await site.Sessions.GetTimeToLiveAsync(id))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(6));
    }

    /// <summary>The rest of what AddSecurity does, in the other order.</summary>
    [Fact]
    public async Task Security_before_the_index_protects_as_well()
    {
        var site = await StartAttackedAsync(addOns: builder => builder.AddSecurity().AddUserIndex());
        var owner = From(site, "192.0.2.1");
        await owner.GetAsync("/login/ada");
        var thief = owner.Copy();
        thief.Headers["User-Agent"] = Chrome;
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Equal("sent", await owner.GetAsync("/transfer"));
    }

    private sealed class Teapot : IAuthorizationMiddlewareResultHandler
    {
        private readonly AuthorizationMiddlewareResultHandler _default = new();

        public Task HandleAsync(RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult)
        {
            if (authorizeResult.Forbidden)
            {
                context.Response.StatusCode = 418;
                return Task.CompletedTask;
            }

            return _default.HandleAsync(next, context, policy, authorizeResult);
        }
    }
}
