using System.Net;
using Microsoft.AspNetCore.Authentication.Cookies;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// Finding 4: <c>[RequireRecentSignIn]</c> asks when this user's credentials were checked, in this user's session. Nothing but
/// that moment counts, however fresh a session or a ticket is.
/// </summary>
public sealed class RecentSignInTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan NotRecent = TimeSpan.FromMinutes(6);

    [Fact]
    public async Task A_stolen_bearer_is_not_recent_beside_a_fresh_session_of_the_attackers_own()
    {
        var site = await StartAttackedAsync();
        var attacker = site.NewBrowser();
        await attacker.GetAsync("/login/eve");
        BearerHandler.Use(attacker, "ada");
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(attacker, "/api/transfer"));
    }

    [Fact]
    public async Task A_bearer_that_creates_a_session_has_shown_no_credentials()
    {
        var site = await StartAttackedAsync();
        var attacker = site.NewBrowser();
        BearerHandler.Use(attacker, "ada");
        await attacker.GetAsync("/api/set/a/1");
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(attacker, "/api/transfer"));
    }

    [Fact]
    public async Task A_bearer_that_takes_over_an_anonymous_session_has_shown_no_credentials()
    {
        var site = await StartAttackedAsync();
        var attacker = site.NewBrowser();
        await attacker.GetAsync("/set/a/1");
        BearerHandler.Use(attacker, "ada");
        await attacker.GetAsync("/api/whoami");
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(attacker, "/api/transfer"));
    }

    [Fact]
    public async Task A_sign_in_from_before_the_library_is_as_old_as_its_ticket()
    {
        var clock = StopClock();
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(NotRecent);
        var site = await StartAttackedAsync();
        site.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(browser, "/transfer"));
    }

    /// <summary>One that slides does not say when it was made first: it may have slid just now.</summary>
    [Theory]
    [InlineData(true, HttpStatusCode.Redirect)]
    [InlineData(false, HttpStatusCode.OK)]
    public async Task A_fresh_ticket_from_before_the_library_is_a_recent_sign_in_if_it_does_not_slide(bool sliding, HttpStatusCode expected)
    {
        StopClock();
        void AddServices(IServiceCollection services)
        {
            CookieSite.AddServices(services);
            services.Configure<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme, o => o.SlidingExpiration = sliding);
        }

        var browser = (await StartAsync(SignInSite.Map, services: AddServices)).NewBrowser();
        await browser.GetAsync("/login/ada");
        (await StartAttackedAsync(o => o.AcceptEarlierSignIns = true, services: AddServices)).TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(expected, await StatusAsync(browser, "/transfer"));
    }

    [Fact]
    public async Task A_new_session_beside_an_old_ticket_is_not_a_sign_in()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(o => o.EndSignInWithSession = false);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(NotRecent);
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(browser, "/transfer"));

        var thief = site.NewBrowser();
        thief.SetCookie(SignInSite.AuthCookie, browser.Cookies[SignInSite.AuthCookie]);
        await thief.GetAsync("/set/a/1");
        Assert.Equal("ada", await thief.GetAsync("/whoami"));
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(thief, "/transfer"));
    }

    [Fact]
    public async Task Writing_the_ticket_again_does_not_renew_its_age()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(NotRecent);
        await browser.GetAsync("/refresh");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));

        // The password again is what renews it.
        await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
    }

    [Fact]
    public async Task Identitys_RefreshSignInAsync_does_not_renew_the_age_of_the_sign_in()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(map: IdentitySite.Map, services: IdentitySite.AddServices);
        var browser = site.NewBrowser();
        await browser.GetAsync("/register/ada");
        await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        clock.Advance(NotRecent);
        await browser.GetAsync("/refresh");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));
        await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
    }

    [Fact]
    public async Task A_single_sign_on_is_as_old_as_its_auth_time()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            OidcSite.Map(app);
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/oidc-sso/4711/60");
        Assert.Equal("4711", await browser.GetAsync("/whoami"));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));
        await browser.GetAsync("/oidc-sso/4711/1");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        clock.Advance(TimeSpan.FromMinutes(4.5));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));
    }

    /// <summary>An auth_time that is yet to come, or before the epoch, counts as none: the sign-in was now, and gets old.</summary>
    [Theory]
    [InlineData(-60)]
    [InlineData(100 * 366 * 24 * 60)]
    public async Task A_time_of_authentication_that_is_none_is_not_gone_by(int minutesAgo)
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            OidcSite.Map(app);
        });
        var browser = site.NewBrowser();
        await browser.GetAsync($"/oidc-sso/4711/{minutesAgo}");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        clock.Advance(NotRecent);
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));
    }

    /// <summary>It says whole seconds, so of one that is not over it knows less than the clock; and 0 says nothing.</summary>
    [Fact]
    public async Task A_time_of_authentication_counts_once_its_second_is_over()
    {
        var clock = StopClock(atSecond: true);
        clock.Advance(TimeSpan.FromMilliseconds(500));
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            OidcSite.Map(app);
        });
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (var (seconds, signedInAt) in new[] { (0, now), (1, 1_000), (now / 1_000 - 1, now - 1_500), (now / 1_000, now) })
        {
            await site.NewBrowser().GetAsync($"/oidc-at/{seconds}/{seconds}");
            Assert.Equal(signedInAt, Assert.Single(await Users(site).ListAsync($"{seconds}")).SignedInAt.ToUnixTimeMilliseconds());
        }
    }

    /// <summary>To the millisecond; and of a time that is yet to come, as far as servers' clocks differ.</summary>
    [Fact]
    public async Task A_sign_in_is_recent_for_as_long_as_the_page_says()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/transfer"));
        foreach (var (ahead, expected) in new[] { (60_000, HttpStatusCode.OK), (60_001, HttpStatusCode.Redirect) })
        {
            await (await DatabaseAsync()).HashSetAsync(key, [new("@s", clock.GetUtcNow().ToUnixTimeMilliseconds() + ahead), new("@v", 4_711 + ahead)]);
            Assert.Equal(expected, await StatusAsync(browser, "/transfer"));
        }
    }

    /// <summary>What the device list says is the same moment.</summary>
    [Fact]
    public async Task The_list_says_when_credentials_were_checked()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        var signedInAt = Assert.Single(await Users(site).ListAsync("ada")).SignedInAt;
        clock.Advance(NotRecent);
        await browser.GetAsync("/refresh");
        await browser.GetAsync("/regenerate");
        Assert.Equal(signedInAt, Assert.Single(await Users(site).ListAsync("ada")).SignedInAt);
    }
}
