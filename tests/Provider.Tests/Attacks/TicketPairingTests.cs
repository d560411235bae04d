using Microsoft.AspNetCore.Authentication;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>A ticket and its session belong together: one of them without the other, or beside another's, is worth nothing.</summary>
public sealed class TicketPairingTests(InProcessGarnet server) : AttackTest(server)
{
    /// <summary>Finding 1. Redis is slow for a moment, just while the ticket is validated, and quick again when the page runs.</summary>
    [Theory]
    [InlineData("/set/a/1")]
    [InlineData("/api/set/a/1")]
    public async Task A_revoked_cookie_does_not_come_back_to_life_in_a_hiccup_of_redis(string page)
    {
        using var proxy = new RedisProxy(Server.Address);
        Gate? gate = null;
        var healthy = await StartAttackedAsync();
        var slow = await StartSlowAsync(
            proxy.Address,
            app =>
            {
                SignInSite.Map(app);
                app.MapGet("/api/set/{key}/{value}", (HttpContext context, string key, string value) => context.Session.SetString(key, value)).RequireAuthorization();
            },
            () => gate?.Open());

        var browser = healthy.NewBrowser();
        await browser.GetAsync("/login/ada");
        var revoked = browser.Copy();
        Assert.Equal(1, await Users(healthy).RevokeAllAsync("ada"));

        gate = new Gate(proxy);
        slow.TakeOver(revoked);
        await StatusAsync(revoked, page);
        gate.Open();

        healthy.TakeOver(revoked);
        Assert.Equal("", await revoked.GetAsync("/whoami"));
        Assert.Empty(await Users(healthy).ListAsync("ada"));
        Assert.Equal(0, await Users(healthy).CountAsync("ada"));
    }

    /// <summary>Nobody guesses a sign-in's number, nor finds another ticket of the same.</summary>
    [Fact]
    public async Task A_sign_ins_number_has_128_bits()
    {
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var site = await StartAttackedAsync();
        site.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Matches("signin:{[0-9a-f]{32}}$", Assert.Single(await KeysAsync("signin:*")));
        var numbers = new HashSet<string?>();
        for (var i = 0; i < 20; i++)
        {
            numbers.Add(await (await DatabaseAsync()).HashGetAsync(KeyOf(await site.NewBrowser().GetAsync("/login/ada")), "@n"));
        }

        Assert.All(numbers, number => Assert.Matches("^[0-9a-f]{32}$", number));
        Assert.Equal(20, numbers.Count);

        // Not a short one that was made longer: every place varies.
        Assert.All(Enumerable.Range(0, 32), place => Assert.True(numbers.Select(number => number![place]).Distinct().Count() > 1));
    }

    /// <summary>Finding 2. The old ticket says what the user was then.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_earlier_ticket_is_worth_nothing_beside_a_later_session_of_the_same_user(bool signsOut)
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada/admin");
        var old = browser.Cookies[SignInSite.AuthCookie];
        if (signsOut)
        {
            await browser.GetAsync("/logout");
        }

        await browser.GetAsync("/login/ada/reader");
        var replay = browser.Copy();
        replay.SetCookie(SignInSite.AuthCookie, old);
        Assert.Equal("", await replay.GetAsync("/role"));
        Assert.Equal("", await replay.GetAsync("/whoami"));
        Assert.Equal("reader", await browser.GetAsync("/role"));
    }

    /// <summary>Finding 2, between two browsers of one user.</summary>
    [Fact]
    public async Task A_ticket_is_worth_nothing_beside_the_session_of_the_same_user_in_another_browser()
    {
        var site = await StartAttackedAsync();
        var (office, home) = (site.NewBrowser(), site.NewBrowser());
        await office.GetAsync("/login/ada/admin");
        await home.GetAsync("/login/ada/reader");
        var mixed = home.Copy();
        mixed.SetCookie(SignInSite.AuthCookie, office.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await mixed.GetAsync("/role"));
        Assert.Equal("reader", await home.GetAsync("/role"));

        // A new id is the same sign-in.
        await office.GetAsync("/regenerate");
        Assert.Equal("admin", await office.GetAsync("/role"));
    }

    /// <summary>
    /// An administrator goes on as a user, with the properties of the own ticket: nobody has shown that user's credentials on a device, nothing of
    /// one is for the other, and from then on it is that user's session like any other.
    /// </summary>
    [Fact]
    public async Task A_ticket_that_is_written_again_for_another_user_is_that_users()
    {
        var site = await StartAttackedAsync(o => o.RememberDevices = true, map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/become/{user}", async (HttpContext context, string user) =>
                await context.SignInAsync(SignInSite.PrincipalOf(user), (await context.AuthenticateAsync()).Properties));
        });

        // Before: no reason to keep a later sign-in out.
        await Users(site).RevokeAllAsync("grace");
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/private/diary");
        Events.Clear();
        await browser.GetAsync("/become/grace");
        Assert.Equal(("grace", "grace", ""), (await browser.GetAsync("/whoami"), await browser.GetAsync("/owner"), await browser.GetAsync("/get/private")));
        Assert.DoesNotContain(Events.All, e => e.Kind == SessionSecurityEventKind.NewDevice);
        Assert.Empty(await Users(site).ListAsync("ada"));
        Assert.Equal(1, await Users(site).RevokeAllAsync("grace"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 13. Redis did not answer at sign-in; the ticket from then must end with the sign-in all the same.</summary>
    [Fact]
    public async Task A_copy_made_while_redis_was_slow_is_worth_nothing_after_sign_out()
    {
        var site = await StartAttackedAsync();
        var browser = await SignedInWhileSlowAsync(site);
        var thief = browser.Copy();
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        await browser.GetAsync("/logout");
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Empty(await Users(site).ListAsync("ada"));
    }

    /// <summary>Finding 13. It is this library's sign-in, not one from before it.</summary>
    [Fact]
    public async Task A_sign_in_made_while_redis_is_slow_is_honoured_without_AcceptEarlierSignIns()
    {
        var site = await StartAttackedAsync(o => o.AcceptEarlierSignIns = false);
        var browser = await SignedInWhileSlowAsync(site, o => o.AcceptEarlierSignIns = false);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }

    /// <summary>Finding 14. A page from before the library with ten pictures: ten requests, one sign-in.</summary>
    [Fact]
    public async Task Ten_parallel_requests_with_an_earlier_sign_in_are_one_session_and_stay_signed_in()
    {
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");

        var site = await StartAttackedAsync(o => o.MaxSessionsPerUser = 3);
        var requests = Enumerable.Range(0, 10).Select(_ => browser.Copy()).ToArray();
        await Task.WhenAll(requests.Select(async request =>
        {
            site.TakeOver(request);
            Assert.Equal("ada", await request.GetAsync("/whoami"));
        }));

        // Whichever answer came last, and so whichever cookies the browser keeps.
        foreach (var last in requests)
        {
            Assert.Equal("ada", await last.GetAsync("/whoami"));
        }

        Assert.Single(await Users(site).ListAsync("ada"));
    }
}
