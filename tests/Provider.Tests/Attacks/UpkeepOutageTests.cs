using System.Net;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// What the library notes of a session by itself, with a request that changed nothing, fails no such request: Redis that went away after the session was read
/// is noticed by the next one. The next note is as good.
/// </summary>
public sealed class UpkeepOutageTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan Ticket = TimeSpan.FromDays(10);
    private readonly TimeSpan _later = Ticket * 0.6;

    private Action _goAway = () => { };

    private Task<Site> StartAsync(string redis, bool stores) => StartAsync(
        app =>
        {
            CookieSite.Map(app);
            app.MapGet("/keep/{user}", (HttpContext context, string user) => context.SignInAsync(SignInSite.PrincipalOf(user), new AuthenticationProperties { IsPersistent = true }));
            app.MapGet("/gone", (HttpContext context) =>
            {
                var read = $"{context.User.Identity!.Name} {context.Session.GetString("cart")}";
                _goAway();
                return read;
            });
            app.MapGet("/gone/commit", async (HttpContext context) =>
            {
                _goAway();
                await context.Session.CommitAsync();
                return context.Session.GetString("cart");
            });
            app.MapGet("/turn/lost", async (HttpContext context, bool set) =>
            {
                var id = context.Session.Id;
                await (await DatabaseAsync()).StringSetAsync($"{Fleet.Prefix}turn:{{{id}}}", 1, TimeSpan.FromMinutes(1));
                if (set)
                {
                    context.Session.SetString("cart", "empty");
                }

                return context.Session.GetString("cart");
            }).RequireExclusiveSession();
            app.MapGet("/gone/set", (HttpContext context) =>
            {
                _goAway();
                context.Session.SetString("cart", "empty");
            });
            app.MapGet("/gone/regenerate", async (HttpContext context) =>
            {
                _goAway();
                await context.Session.RegenerateIdAsync();
            });
        },
        redis: redis,
        services: services =>
        {
            CookieSite.AddServices(services);
            services.PostConfigureAll<CookieAuthenticationOptions>(o => (o.ExpireTimeSpan, o.SlidingExpiration) = (Ticket, true));
            services.AddSession(o => o.IOTimeout = Slow);
        },
        addOns: builder =>
        {
            builder.AddUserIndex().AddSecurity();
            if (stores)
            {
                builder.AddTicketStore();
            }
        },
        beforeSession: UseTestAddress,
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    /// <summary>A page that finds Redis away from a moment in it on.</summary>
    private async Task<(HttpStatusCode Status, string Body)> WhileGoneAsync(RedisProxy proxy, FakeTimeProvider clock, Browser browser, string path)
    {
        Gate? gate = null;
        _goAway = () => gate = new Gate(proxy);
        var answer = browser.TryAsync(path);
        await Eventually.TrueAsync(() =>
        {
            if (gate is { Reached.IsCompleted: true })
            {
                clock.Advance(Slow);
            }

            return answer.IsCompleted;
        });
        Assert.NotNull(gate);
        Assert.True(gate.Reached.IsCompleted, "Nothing was to be noted, so nothing was put to the test.");
        gate.Open();
        _goAway = () => { };
        return await answer;
    }

    [Theory]
    [InlineData("/login/ada", true)]
    [InlineData("/login/ada", false)]
    [InlineData("/keep/ada", true)]
    [InlineData("/keep/ada", false)]
    public async Task A_page_that_only_reads_is_served_though_the_sign_in_could_not_be_prolonged(string signIn, bool stores)
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(proxy.Address, stores);
        foreach (var path in (string[])["/gone", "/gone/commit"])
        {
            var browser = site.NewBrowser();
            await browser.GetAsync(signIn);
            await browser.GetAsync("/set/cart/tea");
            clock.Advance(_later);
            var (status, body) = await WhileGoneAsync(proxy, clock, browser, path);
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.EndsWith("tea", body);

            // With the next request it is prolonged, and then lives past its first end.
            Assert.Equal("ada tea", await browser.GetAsync("/gone"));
            clock.Advance(_later);
            Assert.Equal("ada tea", await browser.GetAsync("/gone"));
        }
    }

    [Fact]
    public async Task A_page_that_only_reads_is_served_though_its_network_could_not_be_noted()
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(proxy.Address, stores: false);
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        browser.Headers["X-Test-Address"] = "198.51.100.1";
        Assert.Equal((HttpStatusCode.OK, "ada tea"), await WhileGoneAsync(proxy, clock, browser, "/gone"));

        // The next request notes it.
        Assert.Equal("ada tea", await browser.GetAsync("/gone"));
        var id = await browser.GetAsync("/id");
        var suspicious = await site.Services.GetRequiredService<ISessionSecurity>().DetectSuspiciousActivityAsync("ada");
        Assert.Contains(suspicious.Findings, finding => finding.Reason == SuspiciousReason.ImpossiblePair && finding.SessionIds.Contains(id));
    }

    /// <summary>Another has had the session since, and so its notes are another's to take.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task A_page_that_lost_its_turn_is_served_if_it_only_read(bool set, bool isServed)
    {
        var clock = StopClock();
        var site = await StartAsync(Server.Address, stores: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        clock.Advance(_later);
        var (status, body) = await browser.TryAsync($"/turn/lost?set={set}");
        Assert.Equal(isServed, (status, body) == (HttpStatusCode.OK, "tea"));
        Assert.Equal("ada tea", await browser.GetAsync("/gone"));
    }

    /// <summary>What the page itself asked for is told to be lost.</summary>
    [Theory]
    [InlineData("/gone/set", true)]
    [InlineData("/gone/set", false)]
    [InlineData("/gone/regenerate", true)]
    [InlineData("/gone/regenerate", false)]
    public async Task A_page_that_changes_something_beside_it_fails(string path, bool stores)
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(proxy.Address, stores);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        clock.Advance(_later);
        Assert.NotEqual(HttpStatusCode.OK, (await WhileGoneAsync(proxy, clock, browser, path)).Status);
    }
}
