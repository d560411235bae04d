using System.Globalization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Net.Http.Headers;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>A persistent sign-in is its session's lifetime and its cookie's; a plain one is not, whatever was before it in the same browser.</summary>
public sealed class RememberMeTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan Ticket = TimeSpan.FromDays(10);

    private Task<Site> StartRememberingAsync(
        Action<UserIndexOptions>? users = null, Action<SessionSecurityOptions>? security = null, bool sliding = true, TimeSpan? absolute = null, bool sessionFirst = true) => StartAsync(
        app =>
        {
            TwoSchemeSite.Map(app);
            app.MapGet("/keep/{user}/{hours:int}", (HttpContext context, string user, int hours, TimeProvider clock) => context.SignInAsync(
                SignInSite.PrincipalOf(user), new AuthenticationProperties { IsPersistent = true, ExpiresUtc = clock.GetUtcNow() + TimeSpan.FromHours(hours) }));
            app.MapGet("/keep-from/{user}/{from:int}/{to:int}", (HttpContext context, string user, int from, int to, TimeProvider clock) => context.SignInAsync(
                SignInSite.PrincipalOf(user),
                new AuthenticationProperties { IsPersistent = true, IssuedUtc = clock.GetUtcNow().AddHours(from), ExpiresUtc = clock.GetUtcNow().AddHours(to) }));
            app.MapGet("/idle/{minutes:int}", (HttpContext context, int minutes) => context.Session.SetIdleTimeout(TimeSpan.FromMinutes(minutes)));
            app.MapGet("/keep/{user}", (HttpContext context, string user) => context.SignInAsync(
                SignInSite.PrincipalOf(user), new AuthenticationProperties { IsPersistent = true }));
            app.MapGet("/partner/keep/{user}", (HttpContext context, string user) => context.SignInAsync(
                TwoSchemeSite.Partner, SignInSite.PrincipalOf(user), new AuthenticationProperties { IsPersistent = true }));
        },
        options: o => o.AbsoluteTimeout = absolute,
        services: services =>
        {
            TwoSchemeSite.AddServices(services);
            services.PostConfigureAll<CookieAuthenticationOptions>(o => (o.ExpireTimeSpan, o.SlidingExpiration) = (Ticket, sliding));
        },
        addOns: builder => builder.AddUserIndex(users).AddSecurity(security),
        afterSession: sessionFirst ? app => app.UseAuthentication().UseRouting().UseAuthorization() : null);

    /// <summary>The session's cookie as the answer sends it; null if it does not.</summary>
    private static async Task<SetCookieHeaderValue?> SentAsync(Browser browser, string path, string name = Browser.SessionCookie)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, path);
        response.EnsureSuccessStatusCode();
        return response.Headers.TryGetValues(HeaderNames.SetCookie, out var values)
            ? SetCookieHeaderValue.ParseList([.. values]).LastOrDefault(cookie => cookie.Name == name)
            : null;
    }

    private static void Ends(FakeTimeProvider clock, TimeSpan after, SetCookieHeaderValue? cookie)
    {
        Assert.NotNull(cookie?.Expires);
        Assert.Null(cookie.MaxAge);
        Assert.InRange(cookie.Expires.Value - clock.GetUtcNow(), after - TimeSpan.FromSeconds(2), after + TimeSpan.FromSeconds(2));
    }

    private async Task<TimeSpan> LifeAsync(Browser browser) => (await (await DatabaseAsync()).KeyTimeToLiveAsync(KeyOf(await browser.GetAsync("/id"))))!.Value;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_sign_ins_lifetime_is_the_sessions_and_its_cookies(bool sessionFirst)
    {
        var clock = StopClock();
        var site = await StartRememberingAsync(sessionFirst: sessionFirst);
        var browser = site.NewBrowser();
        Ends(clock, TimeSpan.FromHours(72), await SentAsync(browser, "/keep/ada/72"));
        Assert.InRange(await LifeAsync(browser), TimeSpan.FromHours(71.9), TimeSpan.FromHours(72.1));

        // Used by nobody for as long as no idle timeout of the site's allows.
        clock.Advance(TimeSpan.FromHours(30));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));

        // A cart from before is kept.
        var shopper = site.NewBrowser();
        await shopper.GetAsync("/set/cart/tea");
        Ends(clock, Ticket, await SentAsync(shopper, "/keep/ada"));
        Assert.Equal("tea", await shopper.GetAsync("/get/cart"));
    }

    [Theory]
    [InlineData("/login/ada")]
    [InlineData("/keep/ada/-1")]
    [InlineData("/keep/ada/0")]
    public async Task A_sign_in_that_is_not_persistent_or_over_already_changes_nothing(string signIn)
    {
        // A ticket of no hours is over in the very moment of its sign-in.
        StopClock(atSecond: true);
        var site = await StartRememberingAsync();
        var cookie = await SentAsync(site.NewBrowser(), signIn);
        Assert.NotNull(cookie);
        Assert.Null(cookie.Expires);
    }

    /// <summary>Also where the answer that renewed both cookies never arrived.</summary>
    [Fact]
    public async Task The_cookie_is_renewed_together_with_the_ticket_at_half_their_life()
    {
        var clock = StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        clock.Advance(Ticket * 0.4);
        Assert.Null(await SentAsync(browser, "/whoami"));
        clock.Advance(Ticket * 0.2);
        var (before, beside) = (browser.Copy(), browser.Copy());
        Ends(clock, Ticket, await SentAsync(browser, "/whoami"));
        Assert.Null(await SentAsync(browser, "/whoami"));
        Ends(clock, Ticket, await SentAsync(beside, "/whoami"));
        clock.Advance(Ticket * 0.1);
        Ends(clock, Ticket, await SentAsync(before, "/whoami"));
        clock.Advance(Ticket * 0.6);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        clock.Advance(Ticket * 1.1);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Equal("", await browser.GetAsync("/owner"));
    }

    [Fact]
    public async Task A_ticket_that_does_not_slide_is_not_outlived_by_the_cookie()
    {
        var clock = StopClock();
        var site = await StartRememberingAsync(sliding: false);
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        clock.Advance(Ticket * 0.9);
        Assert.Null(await SentAsync(browser, "/whoami"));
        Ends(clock, Ticket * 0.1, await SentAsync(browser, "/regenerate"));
    }

    [Fact]
    public async Task No_cookie_lives_past_the_absolute_timeout()
    {
        var clock = StopClock();
        var absolute = Ticket * 1.2;
        var site = await StartRememberingAsync(absolute: absolute);
        var browser = site.NewBrowser();
        Ends(clock, absolute, await SentAsync(browser, "/keep/ada/8760"));
        await browser.GetAsync("/keep/ada");
        clock.Advance(Ticket * 0.6);
        Ends(clock, absolute - (Ticket * 0.6), await SentAsync(browser, "/whoami"));
        clock.Advance(Ticket * 0.5);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));

        // Nor is it sent once more where it would say the same.
        Assert.Null(await SentAsync(browser, "/whoami"));
        clock.Advance(Ticket * 0.2);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Equal("", await browser.GetAsync("/owner"));
    }

    [Fact]
    public async Task Where_sign_ins_outlive_sessions_the_cookie_is_renewed_by_the_sessions_own_life()
    {
        var clock = StopClock(atSecond: true);
        var site = await StartRememberingAsync(o => o.EndSignInWithSession = false);
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        clock.Advance(Ticket * 0.5);
        Assert.Null(await SentAsync(browser, "/owner"));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Ends(clock, Ticket, await SentAsync(browser, "/owner"));
        Assert.Null(await SentAsync(browser, "/owner"));
    }

    [Theory]
    [InlineData("/login/ada")]
    [InlineData("/login/eve")]
    public async Task A_plain_sign_in_after_a_persistent_one_ends_with_the_browser(string signIn)
    {
        StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        var cookie = await SentAsync(browser, signIn);
        Assert.NotNull(cookie);
        Assert.Null(cookie.Expires);
        Assert.InRange(await LifeAsync(browser), TimeSpan.Zero, TimeSpan.FromMinutes(22));
        cookie = await SentAsync(browser, "/regenerate");
        Assert.Null(cookie!.Expires);
    }

    [Fact]
    public async Task After_sign_out_the_browsers_next_session_ends_with_it()
    {
        StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        var gone = await SentAsync(browser, "/logout");
        Assert.Equal(DateTimeOffset.UnixEpoch, gone!.Expires);
        var next = await SentAsync(browser, "/set/cart/tea");
        Assert.NotNull(next);
        Assert.Null(next.Expires);
        Assert.InRange(await LifeAsync(browser), TimeSpan.Zero, TimeSpan.FromMinutes(22));
    }

    [Fact]
    public async Task The_last_of_two_schemes_decides()
    {
        var clock = StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Ends(clock, Ticket, await SentAsync(browser, "/partner/keep/acme"));

        // Of the other scheme: the partner's session stays, and so does its cookie.
        Assert.Null(await SentAsync(browser, "/logout"));
        Assert.Equal("acme", await browser.GetAsync("/partner/whoami"));
        Assert.Null((await SentAsync(browser, "/login/ada"))!.Expires);
    }

    /// <summary>Writing the ticket again is no new sign-in, and no longer one.</summary>
    [Fact]
    public async Task Refreshing_the_ticket_keeps_its_end()
    {
        var clock = StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        clock.Advance(Ticket * 0.3);
        Ends(clock, Ticket * 0.7, await SentAsync(browser, "/refresh"));
        Assert.True(await LifeAsync(browser) > Ticket * 0.9);
    }

    [Fact]
    public async Task A_users_own_timeout_is_not_got_round_by_asking_to_be_remembered()
    {
        StopClock();
        var site = await StartRememberingAsync(security: o => o.TimeoutsOf = user => new UserTimeouts(user == "ada" ? TimeSpan.FromHours(1) : null, null));
        var (ada, eve) = (site.NewBrowser(), site.NewBrowser());
        await ada.GetAsync("/keep/ada");
        await eve.GetAsync("/keep/eve");
        Assert.InRange(await LifeAsync(ada), TimeSpan.Zero, TimeSpan.FromHours(1.1));
        Assert.InRange(await LifeAsync(eve), Ticket * 0.9, Ticket * 1.1);
    }

    [Fact]
    public async Task A_timeout_that_the_application_set_since_stays_when_the_next_sign_in_is_a_plain_one()
    {
        StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        await browser.GetAsync("/idle/120");
        await browser.GetAsync("/login/ada");
        Assert.InRange(await LifeAsync(browser), TimeSpan.FromMinutes(119), TimeSpan.FromMinutes(121));
    }

    /// <summary>Of a server whose clock is ahead: the ticket's end counts, not how long it would have lived from a moment that has not come.</summary>
    [Fact]
    public async Task A_ticket_from_the_future_keeps_its_session_until_its_end()
    {
        StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep-from/ada/1/72");
        Assert.InRange(await LifeAsync(browser), TimeSpan.FromHours(71.9), TimeSpan.FromHours(72.1));
    }

    /// <summary>Numbers that no server of ours wrote.</summary>
    [Theory]
    [InlineData("@pe", "99999999999999999", false)]
    [InlineData("@pe", "253402300800000", false)]
    [InlineData("@pe", "253402300799999", true)]
    [InlineData("@pe", "0", true)]
    [InlineData("@pe", "-1", false)]
    [InlineData("@pe", "soon", false)]
    [InlineData("@pl", "-5", false)]
    [InlineData("@pl", "253402300800000", false)]
    public async Task Numbers_out_of_range_are_read_as_none(string field, string value, bool isRead)
    {
        var clock = StopClock();
        var site = await StartRememberingAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        var key = KeyOf(await browser.GetAsync("/id"));
        await (await DatabaseAsync()).HashSetAsync(key, [new(field, value), new("@v", Random.Shared.NextInt64(1, long.MaxValue).ToString(CultureInfo.InvariantCulture))]);
        clock.Advance(Ticket * 0.6);

        // The ticket is renewed, and with it the cookie of a session that is known to be remembered.
        Assert.Equal(isRead, await SentAsync(browser, "/whoami") is not null);
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }
}
