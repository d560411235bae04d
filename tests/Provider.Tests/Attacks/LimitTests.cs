using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 16: the limit holds on every way to a session, and costs nobody a session that it need not.</summary>
public sealed class LimitTests(InProcessGarnet server) : AttackTest(server)
{
    private Task<Site> StartLimitedAsync(int limit, SessionLimitBehavior behavior) => StartAttackedAsync(
        o => (o.MaxSessionsPerUser, o.LimitBehavior) = (limit, behavior),
        map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/authenticated", (HttpContext context) => context.User.Identity?.IsAuthenticated == true);
            app.MapGet("/guest", async (HttpContext context) =>
            {
                await context.SignInAsync(new ClaimsPrincipal(new ClaimsIdentity("test")));
                return "in";
            });
            app.MapGet("/try/{user}", async (HttpContext context, string user) =>
            {
                try
                {
                    await context.SignInAsync(SignInSite.PrincipalOf(user));
                    return "in";
                }
                catch (SessionLimitReachedException exception)
                {
                    Assert.Contains("1 sessions", exception.Message);
                    return "full";
                }
            });
        });

    /// <summary>Left out of the index is not enough: it is the user's session all the same, and enters at its next heartbeat.</summary>
    [Fact]
    public async Task RejectNew_holds_where_an_authenticated_request_creates_the_session()
    {
        var clock = StopClock();
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        var client = site.NewBrowser();
        BearerHandler.Use(client, "ada");
        await StatusAsync(client, "/api/set/a/1");
        Assert.Equal("", await client.GetAsync("/owner"));
        Assert.Equal("", await client.GetAsync("/get/a"));
        clock.Advance(TimeSpan.FromMinutes(2));
        await StatusAsync(client, "/api/whoami");
        Assert.Equal("", await client.GetAsync("/owner"));
        Assert.Single(await Users(site).ListAsync("ada"));
        Assert.Equal(1, await Users(site).CountAsync("ada"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task RejectNew_keeps_the_page_of_a_visitor_whose_session_may_not_be_bound()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        await site.NewBrowser().GetAsync("/login/ada");
        var client = site.NewBrowser();
        await client.GetAsync("/set/cart/tea");
        BearerHandler.Use(client, "ada");
        Assert.Equal("ada", await client.GetAsync("/api/whoami"));
        Assert.Equal("tea", await client.GetAsync("/get/cart"));
        Assert.Equal("", await client.GetAsync("/owner"));
        Assert.Contains(site.Log.Ours, entry => entry.Id.Name == "SessionNotBound");
    }

    [Fact]
    public async Task RejectNew_counts_one_session_of_a_browser_whoever_signs_in_there_after_another()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        var shared = site.NewBrowser();
        foreach (var user in new[] { "grace", "ada", "ada", "grace" })
        {
            Assert.Equal("in", await shared.GetAsync($"/try/{user}"));
            Assert.Equal(user, await shared.GetAsync("/whoami"));
            Assert.Single(await Users(site).ListAsync(user));
        }
    }

    [Fact]
    public async Task RejectNew_lets_in_who_has_no_id_to_be_counted_by()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        var guests = new[] { site.NewBrowser(), site.NewBrowser() };
        foreach (var guest in guests)
        {
            Assert.Equal("in", await guest.GetAsync("/guest"));
            Assert.Equal("true", await guest.GetAsync("/authenticated"));
        }
    }

    [Fact]
    public async Task EvictOldest_holds_where_an_authenticated_request_creates_the_session()
    {
        var site = await StartLimitedAsync(2, SessionLimitBehavior.EvictOldest);
        for (var i = 0; i < 5; i++)
        {
            var client = site.NewBrowser();
            BearerHandler.Use(client, "ada");
            await client.GetAsync("/api/set/a/1");
        }

        await Eventually.TrueAsync(async () => (await Users(site).ListAsync("ada")).Count == 2, TimeSpan.FromSeconds(10), "the oldest have gone");
    }

    [Fact]
    public async Task A_rejected_sign_in_leaves_the_present_session_as_it_is()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        await site.NewBrowser().GetAsync("/login/ada");
        var shared = site.NewBrowser();
        await shared.GetAsync("/login/grace");
        await shared.GetAsync("/set/cart/tea");
        Assert.Equal("full", await shared.GetAsync("/try/ada"));
        Assert.Equal("grace", await shared.GetAsync("/whoami"));
        Assert.Equal("tea", await shared.GetAsync("/get/cart"));
        Assert.Single(await Users(site).ListAsync("grace"));
    }

    [Fact]
    public async Task A_rejected_sign_in_leaves_an_anonymous_visitors_cart()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        await site.NewBrowser().GetAsync("/login/ada");
        var visitor = site.NewBrowser();
        await visitor.GetAsync("/set/cart/tea");
        Assert.Equal("full", await visitor.GetAsync("/try/ada"));
        Assert.Equal("tea", await visitor.GetAsync("/get/cart"));
        Assert.Equal("", await visitor.GetAsync("/owner"));
        Assert.Equal("", await visitor.GetAsync("/whoami"));
    }

    /// <summary>A session that lives for a month is not for that reason the one used last.</summary>
    [Fact]
    public async Task EvictOldest_goes_by_last_use_not_by_expiry()
    {
        var clock = StopClock();
        var site = await StartLimitedAsync(2, SessionLimitBehavior.EvictOldest);
        var (remembered, daily) = (site.NewBrowser(), site.NewBrowser());
        await remembered.GetAsync("/remember/ada/30");
        clock.Advance(TimeSpan.FromMinutes(2));
        await remembered.GetAsync("/none");
        clock.Advance(TimeSpan.FromMinutes(2));
        await daily.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(2));
        await daily.GetAsync("/none");
        await site.NewBrowser().GetAsync("/login/ada");
        Assert.Equal("ada", await daily.GetAsync("/whoami"));
        Assert.Equal("", await remembered.GetAsync("/whoami"));
    }

    /// <summary>A commit must not put the heartbeat off, for ever where every request commits.</summary>
    [Fact]
    public async Task EvictOldest_spares_a_session_that_changes_with_every_request()
    {
        var clock = StopClock();
        var site = await StartLimitedAsync(2, SessionLimitBehavior.EvictOldest);
        var (busy, idle) = (site.NewBrowser(), site.NewBrowser());
        await busy.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromSeconds(1));
        await idle.GetAsync("/login/ada");
        for (var i = 0; i < 30; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(10));
            await busy.GetAsync($"/set/a/{i}");
        }

        await site.NewBrowser().GetAsync("/login/ada");
        Assert.Equal("ada", await busy.GetAsync("/whoami"));
        Assert.Equal("", await idle.GetAsync("/whoami"));
    }

    [Fact]
    public async Task An_eviction_is_an_event_that_names_the_session_and_its_user()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.EvictOldest);
        var evicted = await site.NewBrowser().GetAsync("/login/ada");
        Events.Clear();
        await site.NewBrowser().GetAsync("/login/ada");
        Assert.Contains(Events.All, e => e.SessionId == evicted && e.UserId == "ada");
    }

    [Fact]
    public async Task A_rejection_is_an_event_that_names_the_user()
    {
        var site = await StartLimitedAsync(1, SessionLimitBehavior.RejectNew);
        await site.NewBrowser().GetAsync("/login/ada");
        Events.Clear();
        Assert.Equal("full", await site.NewBrowser().GetAsync("/try/ada"));
        Assert.Contains(Events.All, e => e.UserId == "ada" && e.Detail!.Contains("(1)", StringComparison.Ordinal));
    }
}
