using System.Net;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Net.Http.Headers;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// That a sign-in slides is stored with requests that changed nothing themselves, and fails none of them: where Redis went away after the session was read, the next
/// request makes the same of it.
/// </summary>
public sealed class UpkeepOutageTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan Ticket = TimeSpan.FromDays(10);
    private readonly TimeSpan _later = Ticket * 0.6;

    private Action _goAway = () => { };
    private string? _token;

    private Task<Site> StartAsync(string redis, bool stores) => StartAsync(
        app =>
        {
            CookieSite.Map(app);
            app.MapGet("/keep/{user}", (HttpContext context, string user) => context.SignInAsync(SignInSite.PrincipalOf(user), new AuthenticationProperties { IsPersistent = true }));
            app.MapGet("/token", async (HttpContext context) => await context.GetTokenAsync("refresh_token") ?? "");
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
            services.PostConfigureAll<CookieAuthenticationOptions>(o =>
            {
                (o.ExpireTimeSpan, o.SlidingExpiration) = (Ticket, true);
                o.Events.OnValidatePrincipal = context =>
                {
                    if (_token is { } token && context.Properties.GetTokenValue("refresh_token") != token)
                    {
                        context.Properties.StoreTokens([new AuthenticationToken { Name = "refresh_token", Value = token }]);
                        context.ShouldRenew = true;
                    }

                    return Task.CompletedTask;
                };
            });
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
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    /// <summary>A page that finds Redis away from a moment in it on.</summary>
    /// <param name="proxy">Before Redis.</param>
    /// <param name="clock">The fleet's.</param>
    /// <param name="send">Sends the request.</param>
    /// <param name="arrives">Whether what was sent arrives after all, when nobody waits for it any more.</param>
    private async Task<T> WhileGoneAsync<T>(RedisProxy proxy, FakeTimeProvider clock, Func<Task<T>> send, bool arrives = false)
    {
        Gate? gate = null;
        _goAway = () => gate = new Gate(proxy);
        var answer = send();
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
        if (!arrives)
        {
            proxy.Cut();
        }

        gate.Open();
        _goAway = () => { };
        return await answer;
    }

    [Theory]
    [InlineData("/login/ada", true, false)]
    [InlineData("/login/ada", true, true)]
    [InlineData("/login/ada", false, false)]
    [InlineData("/keep/ada", true, false)]
    [InlineData("/keep/ada", true, true)]
    [InlineData("/keep/ada", false, false)]
    public async Task A_page_that_only_reads_is_served_though_the_sign_in_could_not_be_prolonged(string signIn, bool stores, bool arrives)
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
            var (status, body) = await WhileGoneAsync(proxy, clock, () => browser.TryAsync(path), arrives);
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.EndsWith("tea", body);

            // With the next request it is prolonged, and then lives past its first end.
            Assert.Equal("ada tea", await browser.GetAsync("/gone"));
            clock.Advance(_later);
            Assert.Equal("ada tea", await browser.GetAsync("/gone"));
        }
    }

    /// <summary>If it was stored, nobody sends the cookie again before half of its new life is over, and the one that the browser has would end before that.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_sessions_cookie_is_sent_with_its_new_end_whether_that_was_stored_or_not(bool arrives)
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(proxy.Address, stores: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/keep/ada");
        clock.Advance(_later);
        using var response = await WhileGoneAsync(proxy, clock, () => browser.SendAsync(HttpMethod.Get, "/gone"), arrives);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.InRange(CookieEndOf(response)!.Value - clock.GetUtcNow(), Ticket - TimeSpan.FromMinutes(1), Ticket);
        using var next = await browser.SendAsync(HttpMethod.Get, "/gone");
        Assert.Equal(arrives, CookieEndOf(next) is null);

        static DateTimeOffset? CookieEndOf(HttpResponseMessage response) => response.Headers.TryGetValues(HeaderNames.SetCookie, out var values)
            ? SetCookieHeaderValue.ParseList([.. values]).LastOrDefault(cookie => cookie.Name == Browser.SessionCookie)?.Expires
            : null;
    }

    /// <summary>A token that its provider gives once: the next request cannot make the same of the ticket.</summary>
    [Theory]
    [InlineData(0.1)]
    [InlineData(0.6)]
    public async Task A_ticket_that_the_application_has_changed_is_told_to_be_lost(double life)
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(proxy.Address, stores: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        clock.Advance(Ticket * life);
        _token = "second";
        Assert.NotEqual(HttpStatusCode.OK, (await WhileGoneAsync(proxy, clock, () => browser.TryAsync("/gone"))).Status);
        Assert.Equal("ada ", await browser.GetAsync("/gone"));
        Assert.Equal("second", await browser.GetAsync("/token"));
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
        Assert.NotEqual(HttpStatusCode.OK, (await WhileGoneAsync(proxy, clock, () => browser.TryAsync(path))).Status);
    }
}
