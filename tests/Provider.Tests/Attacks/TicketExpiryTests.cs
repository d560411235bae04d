using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 18: what a signed-in user kept in the session is read by that user, and so not after the ticket has expired.</summary>
public sealed class TicketExpiryTests(InProcessGarnet server) : AttackTest(server)
{
    private Task<Site> StartWithTicketAsync(bool sliding, TimeSpan? ticket = null, string? redis = null) => StartAttackedAsync(
        map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/login-for/{user}/{minutes:int}", (HttpContext context, string user, int minutes, TimeProvider clock) => context.SignInAsync(
                SignInSite.PrincipalOf(user),
                new AuthenticationProperties { ExpiresUtc = clock.GetUtcNow() + TimeSpan.FromMinutes(minutes) }));
        },
        services: services =>
        {
            AddSlowServices(services);
            services.Configure<CookieAuthenticationOptions>(
                CookieAuthenticationDefaults.AuthenticationScheme,
                o => (o.ExpireTimeSpan, o.SlidingExpiration) = (ticket ?? TimeSpan.FromMinutes(10), sliding));
        },
        redis: redis);

    [Theory]
    [InlineData("/login/ada")]
    [InlineData("/login-for/ada/10")]
    public async Task After_the_ticket_has_expired_an_anonymous_request_reads_nothing_of_the_users(string signIn)
    {
        var clock = StopClock();
        var site = await StartWithTicketAsync(sliding: false, signIn == "/login/ada" ? null : TimeSpan.FromDays(14));
        var browser = site.NewBrowser();
        await browser.GetAsync(signIn);
        await browser.GetAsync("/set/secret/diary");
        clock.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal("diary", await browser.GetAsync("/get/secret"));
        Assert.Single(await Users(site).ListAsync("ada"));
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Empty(await Users(site).ListAsync("ada"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Equal("", await browser.GetAsync("/get/secret"));
        Assert.Equal("", await browser.GetAsync("/owner"));
    }

    /// <summary>By the session alone, as for a request that shows no ticket.</summary>
    [Fact]
    public async Task The_session_is_over_with_the_millisecond_after_its_tickets_last()
    {
        var clock = StopClock();
        var site = await StartWithTicketAsync(sliding: false);
        var browser = site.NewBrowser();
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        await browser.GetAsync("/set/secret/diary");
        var anonymous = browser.Copy();
        anonymous.SetCookie(SignInSite.AuthCookie, "");
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        await (await DatabaseAsync()).HashSetAsync(key, [new("@e", now), new("@v", 4711)]);
        Assert.Equal("diary", await anonymous.GetAsync("/get/secret"));
        await (await DatabaseAsync()).HashSetAsync(key, [new("@e", now - 1), new("@v", 4712)]);
        Events.Clear();
        Assert.Equal("", await anonymous.GetAsync("/get/secret"));
        Assert.Equal(SessionEndReason.Expired, Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.SignedOut).EndReason);
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>The user sat down at a shared machine and went away; whoever comes next must find an empty shop.</summary>
    [Fact]
    public async Task What_an_anonymous_request_sets_after_that_is_not_the_users()
    {
        var clock = StopClock();
        var site = await StartWithTicketAsync(sliding: false);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/secret/diary");
        clock.Advance(TimeSpan.FromMinutes(11));
        await browser.GetAsync("/set/cart/tea");
        Assert.Equal("cart", await browser.GetAsync("/keys"));
        Assert.Empty(await Users(site).ListAsync("ada"));
    }

    /// <summary>The answer that renewed it was lost, and the next, a second later, renews it once more.</summary>
    [Fact]
    public async Task A_ticket_that_is_renewed_again_a_second_later_does_not_outlive_its_session()
    {
        var clock = StopClock(atSecond: true);
        var site = await StartWithTicketAsync(sliding: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(6));
        await browser.Copy().GetAsync("/whoami");
        clock.Advance(TimeSpan.FromSeconds(1));
        await browser.GetAsync("/whoami");
        clock.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromMilliseconds(500));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>The session's end is known to the millisecond, and the ticket's to the second: that is no change.</summary>
    [Fact]
    public async Task A_ticket_that_says_its_end_less_exactly_than_its_session_costs_no_write()
    {
        StopClock(atSecond: true).Advance(TimeSpan.FromMilliseconds(700));
        var browser = (await StartWithTicketAsync(sliding: true)).NewBrowser();
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        var version = await (await DatabaseAsync()).HashGetAsync(key, "@v");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(version, await (await DatabaseAsync()).HashGetAsync(key, "@v"));
    }

    /// <summary>Whether its session has ended nobody knows while Redis is away, so it does not live longer for that.</summary>
    [Fact]
    public async Task A_ticket_that_cannot_be_verified_does_not_slide()
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartWithTicketAsync(sliding: true, redis: proxy.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(6));
        var (lost, ticket) = (new Gate(proxy), browser.Cookies[SignInSite.AuthCookie]);
        var request = browser.GetAsync("/whoami");
        await Eventually.TrueAsync(() =>
        {
            clock.Advance(Slow);
            return request.IsCompleted;
        });
        Assert.Equal("ada", await request);
        Assert.Equal(ticket, browser.Cookies[SignInSite.AuthCookie]);
        proxy.BeforeCommand = null;
        lost.Open();
        await Eventually.TrueAsync(async () => await browser.GetAsync("/whoami") == "ada" && browser.Cookies[SignInSite.AuthCookie] != ticket, what: "it slides where it is verified");
    }

    [Fact]
    public async Task A_sliding_ticket_keeps_the_session_as_long_as_it_is_used_and_no_longer()
    {
        var clock = StopClock();
        var site = await StartWithTicketAsync(sliding: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/secret/diary");
        for (var i = 0; i < 10; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(6));
            Assert.Equal("ada", await browser.GetAsync("/whoami"));
            Assert.Equal("diary", await browser.GetAsync("/get/secret"));
        }

        Assert.Single(await Users(site).ListAsync("ada"));
        clock.Advance(TimeSpan.FromMinutes(11));
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Equal("", await browser.GetAsync("/get/secret"));
    }
}
