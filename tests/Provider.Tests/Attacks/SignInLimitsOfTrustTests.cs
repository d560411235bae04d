using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Options;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>What the pairing of tickets and sessions must not let through on its side roads.</summary>
public sealed class SignInLimitsOfTrustTests(InProcessGarnet server) : AttackTest(server)
{
    /// <summary>Finding 1. The page writes the ticket again while Redis is away, each way that applications do it.</summary>
    [Theory]
    [InlineData("/refresh")]
    [InlineData("/again")]
    public async Task A_revoked_principal_that_is_signed_in_again_in_a_hiccup_stays_revoked(string page)
    {
        using var proxy = new RedisProxy(Server.Address);
        Gate? gate = null;
        var healthy = await StartAttackedAsync();
        var slow = await StartSlowAsync(
            proxy.Address,
            app =>
            {
                CookieSite.Map(app);
                app.MapGet("/again", (HttpContext context) => context.SignInAsync(context.User));
            },
            () => gate?.Open());
        var browser = healthy.NewBrowser();
        await browser.GetAsync("/login/ada");
        var revoked = browser.Copy();
        await Users(healthy).RevokeAllAsync("ada");

        gate = new Gate(proxy);
        slow.TakeOver(revoked);
        await StatusAsync(revoked, page);
        gate.Open();
        healthy.TakeOver(revoked);
        Assert.Equal("", await revoked.GetAsync("/whoami"));
        Assert.Empty(await Users(healthy).ListAsync("ada"));

        // With the password it is another sign-in, whatever could not be verified before.
        gate = new Gate(proxy);
        slow.TakeOver(browser);
        Assert.Equal(System.Net.HttpStatusCode.OK, await StatusAsync(browser, "/login/ada"));
        gate.Open();
        healthy.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 14. The first to show a ticket from before the library has it; a copy that comes later is worth nothing.</summary>
    [Fact]
    public async Task An_earlier_ticket_is_bound_once()
    {
        var clock = StopClock();
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var (soon, late) = (browser.Copy(), browser.Copy());

        var site = await StartAttackedAsync();
        foreach (var one in new[] { browser, soon, late })
        {
            site.TakeOver(one);
        }

        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("", await late.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Single(await Users(site).ListAsync("ada"));
        await browser.GetAsync("/logout");
        Assert.Equal("", await soon.GetAsync("/whoami"));
        Assert.Empty(await Users(site).ListAsync("ada"));
    }

    /// <summary>What SessionMiddleware takes for no session's cookie is none to authentication before it, or the page would have another session than the sign-in.</summary>
    [Fact]
    public async Task An_earlier_ticket_beside_what_is_no_sessions_cookie_is_bound_to_the_pages_session()
    {
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf("not of a session's length"));
        var site = await StartAsync(SignInSite.Map, services: SignInSite.AddServices, addOns: builder => builder.AddUserIndex());
        site.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }

    /// <summary>Finding 14. Requests of one page come with it for a minute; the claim is there as long as the ticket.</summary>
    [Fact]
    public async Task An_earlier_ticket_is_shared_for_a_minute_and_claimed_for_its_life()
    {
        var clock = StopClock();
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var (soon, late) = (browser.Copy(), browser.Copy());
        var (site, database) = (await StartAttackedAsync(), await DatabaseAsync());
        foreach (var one in new[] { browser, soon, late })
        {
            site.TakeOver(one);
        }

        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        var claim = Assert.Single(await KeysAsync("signin:*"));
        Assert.InRange((await database.KeyTimeToLiveAsync(claim))!.Value, TimeSpan.FromDays(13.9), TimeSpan.FromDays(14));
        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("ada", await soon.GetAsync("/whoami"));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal("", await late.GetAsync("/whoami"));

        // What nobody wrote who knows the keys is worth nothing.
        foreach (var (i, written) in new[] { "", "x", ":", $"{clock.GetUtcNow().ToUnixTimeMilliseconds()}:x" }.Index())
        {
            var other = before.NewBrowser();
            await other.GetAsync($"/login/eve{i}");
            var first = other.Copy();
            site.TakeOver(first);
            await first.GetAsync("/whoami");
            var its = (await KeysAsync("signin:*")).Single(key => key != claim);
            await database.StringSetAsync(its, written.Length == 0 ? "7" : written);
            site.TakeOver(other);
            Assert.Equal("", await other.GetAsync("/whoami"));
            await database.KeyDeleteAsync(its);
        }
    }

    /// <summary>Finding 14. However a ticket is spelt it is one; and its claim is gone when no browser has it any more.</summary>
    [Fact]
    public async Task An_earlier_ticket_that_is_spelt_in_another_way_is_the_same()
    {
        var clock = StopClock();
        var before = await StartAsync(SignInSite.Map, services: services =>
        {
            SignInSite.AddServices(services);
            services.PostConfigureAll<CookieAuthenticationOptions>(o => o.ExpireTimeSpan = TimeSpan.FromDays(1_000));
        });
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var (other, ticket) = (browser.Copy(), browser.Cookies[SignInSite.AuthCookie]);
        Assert.NotEqual(0, ticket.Length % 4);
        other.SetCookie(SignInSite.AuthCookie, Uri.EscapeDataString(ticket.PadRight((ticket.Length + 3) / 4 * 4, '=')));
        var site = await StartAttackedAsync();
        site.TakeOver(browser);
        site.TakeOver(other);
        Assert.Equal("ada", await other.GetAsync("/whoami"));
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(Assert.Single(await KeysAsync("signin:*"))))!.Value, TimeSpan.FromDays(399), TimeSpan.FromDays(400));
    }

    /// <summary>Finding 14. A server that dies while it binds a ticket does not keep it for long.</summary>
    [Fact]
    public async Task A_claim_under_way_is_held_for_ten_seconds()
    {
        using var held = new HeldRedis(Server.Address);
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var site = await StartAttackedAsync(redis: held.Address);
        await site.NewBrowser().GetAsync("/login/warm");
        site.TakeOver(browser);
        var reached = held.HoldAsync(static command => command == "EVALSHA");
        var request = browser.GetAsync("/whoami");
        await reached;
        var claim = Assert.Single(await KeysAsync("signin:*"));
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(claim))!.Value, TimeSpan.FromSeconds(6), TimeSpan.FromSeconds(10));
        held.Release();
        Assert.Equal("ada", await request);
    }

    /// <summary>Finding 6. The ticket is older than the revocation, though nobody had shown it here before.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_earlier_ticket_does_not_come_back_over_a_later_revocation(bool ofEveryone)
    {
        var clock = StopClock();
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var site = await StartAttackedAsync();
        clock.Advance(TimeSpan.FromMinutes(1));
        _ = ofEveryone ? (await Users(site).RevokeEveryoneAsync()).Sessions : await Users(site).RevokeAllAsync("ada");
        clock.Advance(TimeSpan.FromMinutes(1));
        site.TakeOver(browser);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 6. The session that is spared goes on, under other ids too; no other does, and new sign-ins do.</summary>
    [Fact]
    public async Task A_session_that_is_spared_stays_signed_in_through_heartbeats_refreshes_and_new_ids()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/others", (HttpContext context, IUserSessions users) => users.RevokeAllAsync("ada", context.Session.Id));
        });
        var (here, there) = (site.NewBrowser(), site.NewBrowser());
        await here.GetAsync("/login/ada");
        await there.GetAsync("/login/ada");
        Assert.Equal("1", await here.GetAsync("/others"));
        Assert.Equal("", await there.GetAsync("/whoami"));
        foreach (var path in new[] { "/none", "/regenerate", "/refresh", "/none", "/regenerate" })
        {
            clock.Advance(TimeSpan.FromMinutes(2));
            await here.GetAsync(path);
            Assert.Equal("ada", await here.GetAsync("/whoami"));
            Assert.Equal(await here.GetAsync("/id"), Assert.Single(await Users(site).ListAsync("ada")).Id);
        }

        await there.GetAsync("/login/ada");
        Assert.Equal("ada", await there.GetAsync("/whoami"));
        Assert.Equal(2, (await Users(site).ListAsync("ada")).Count);
    }

    /// <summary>Finding 16. A server evicted a session, and died before it deleted the hash: whoever reads next does that.</summary>
    [Fact]
    public async Task An_eviction_that_was_not_ended_is_ended_by_the_next_reader()
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        var db = await DatabaseAsync();
        await db.SortedSetRemoveAsync($"{Fleet.Prefix}user:{{ada}}", id);
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{ada}}:over", id, 0);
        Assert.Empty(await Users(site).ListAsync("ada"));
        Assert.False(await site.Sessions.ExistsAsync(id));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 9. What cannot be chained is refused at start-up.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_factory_of_cookie_options_that_leaves_the_library_out_is_refused_at_start_up(bool registeredFirst)
    {
        static void Replace(IServiceCollection services) => services.AddSingleton<IOptionsFactory<CookieAuthenticationOptions>, OwnFactory>();
        var refused = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAttackedAsync(
            services: services =>
            {
                CookieSite.AddServices(services);
                if (registeredFirst)
                {
                    Replace(services);
                }
            },
            addOns: builder =>
            {
                builder.AddUserIndex();
                if (!registeredFirst)
                {
                    Replace(builder.Services);
                }
            }));
        Assert.Contains("PostConfigure<CookieAuthenticationOptions>", refused.Message, StringComparison.Ordinal);
    }

    private sealed class OwnFactory : IOptionsFactory<CookieAuthenticationOptions>
    {
        public CookieAuthenticationOptions Create(string name) => new();
    }
}
