using System.Collections.Concurrent;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Options;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>With AddTicketStore the ticket is in its session, and is worth something only there.</summary>
public sealed class TicketStoreTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan Ticket = TimeSpan.FromDays(10);
    private static readonly string Token = new('t', 20_000);

    private Task<Site> StartStoringAsync(
        bool stores = true, Action<UserIndexOptions>? users = null, bool sliding = true, string? redis = null, Action<SessionSecurityOptions>? security = null, Action<TicketStoreOptions>? store = null, Action<IServiceCollection>? services = null) => StartAsync(
        Map,
        redis: redis,
        services: collection =>
        {
            TwoSchemeSite.AddServices(collection);
            collection.PostConfigureAll<CookieAuthenticationOptions>(o => (o.ExpireTimeSpan, o.SlidingExpiration) = (Ticket, sliding));
            services?.Invoke(collection);
        },
        addOns: builder =>
        {
            builder.AddUserIndex(users).AddSecurity(security);
            if (stores)
            {
                builder.AddTicketStore(store);
            }
        },
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    private static void Map(WebApplication app)
    {
        TwoSchemeSite.Map(app);

        // As OpenID Connect with SaveTokens.
        app.MapGet("/tokens/{user}/{length:int?}", async (HttpContext context, string user, int? length) =>
        {
            var properties = new AuthenticationProperties();
            properties.StoreTokens([new AuthenticationToken { Name = "access_token", Value = Token[..(length ?? Token.Length)] }]);
            await context.SignInAsync(SignInSite.PrincipalOf(user), properties);
        });
        app.MapGet("/remove/{key}", (HttpContext context, string key, IOptionsMonitor<CookieAuthenticationOptions> options) =>
            options.Get(CookieAuthenticationDefaults.AuthenticationScheme).SessionStore!.RemoveAsync(key, context, context.RequestAborted));
        app.MapGet("/token", async (HttpContext context) => (await context.GetTokenAsync("access_token"))?.Length ?? 0);
    }

    private async Task<HashEntry[]> HashAsync(Browser browser) => await (await DatabaseAsync()).HashGetAllAsync(KeyOf(await browser.GetAsync("/id")));

    private static int AuthCookieLength(Browser browser) => browser.Cookies.Where(cookie => cookie.Key.StartsWith(SignInSite.AuthCookie, StringComparison.Ordinal)).Sum(cookie => cookie.Value.Length);

    [Fact]
    public async Task A_ticket_of_any_size_is_in_its_session_and_the_cookie_is_small()
    {
        var site = await StartStoringAsync(security: o => (o.MaxSessionSize, o.MaxFieldSize, o.MaxFieldCount) = (1_000, 1_000, 2));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/tokens/ada");
        Assert.InRange(AuthCookieLength(browser), 1, 1_000);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("20000", await browser.GetAsync("/token"));

        // It is none of the application's fields, and no size of theirs.
        await browser.GetAsync("/set/b/2");
        Assert.Equal("b,cart", await browser.GetAsync("/keys"));
        Assert.Equal(["b", "cart"], (await site.Sessions.GetFieldNamesAsync(await browser.GetAsync("/id")))!.Order());
        await browser.GetAsync("/clear");
        Assert.Equal("", await browser.GetAsync("/keys"));
        Assert.Equal("20000", await browser.GetAsync("/token"));

        // On any server, under a new id, too.
        (await StartStoringAsync()).TakeOver(browser);
        await browser.GetAsync("/regenerate");
        Assert.Equal("20000", await browser.GetAsync("/token"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }

    [Fact]
    public async Task A_dump_of_redis_shows_nothing_of_a_ticket()
    {
        var site = await StartStoringAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/tokens/ada");
        var entries = await HashAsync(browser);
        var stored = Assert.Single(entries, entry => entry.Value.Length() > 15_000);
        Assert.Equal("@t", stored.Name);
        Assert.DoesNotContain("tttttttt", (string?)stored.Value);
        Assert.DoesNotContain("tttttttt", Encoding.UTF8.GetString(Convert.FromBase64String(((string)stored.Value!).Replace('-', '+').Replace('_', '/').PadRight((((string)stored.Value!).Length + 3) / 4 * 4, '='))));
    }

    [Fact]
    public async Task Ticket_and_session_are_loaded_together()
    {
        StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var commands = new string[2];
        foreach (var stores in (bool[])[false, true])
        {
            var site = await StartStoringAsync(stores, redis: proxy.Address);
            var browser = site.NewBrowser();
            await browser.GetAsync("/login/ada");

            // A server without a copy.
            var other = await StartStoringAsync(stores, redis: proxy.Address);
            await other.NewBrowser().GetAsync("/login/warm");
            other.TakeOver(browser);
            var before = proxy.Snapshot();
            Assert.Equal("ada", await browser.GetAsync("/whoami"));
            Assert.Equal("ada", await browser.GetAsync("/owner"));

            // What the sign-ins left to be written meanwhile reads no session.
            commands[stores ? 1 : 0] = string.Join(' ', (proxy.Snapshot() - before).Commands.Where(command => command is "HGETALL" or "HGET" or "HMGET" or "PTTL"));
        }

        Assert.Equal("HGETALL PTTL HGET", commands[1]);

        Assert.Equal(commands[0], commands[1]);
    }

    [Theory]
    [InlineData("/logout")]
    [InlineData("/destroy")]
    [InlineData("revoke")]
    [InlineData("/login/ada/reader")]
    [InlineData("/refresh")]
    public async Task A_cookie_from_before_is_refused(string end)
    {
        var site = await StartStoringAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada/admin");
        var old = browser.Copy();
        if (end == "revoke")
        {
            Assert.Equal(1, await Users(site).RevokeAllAsync("ada"));
        }
        else
        {
            await browser.GetAsync(end);
        }

        // Alone, and beside the session that the browser has now.
        var replay = browser.Copy();
        replay.SetCookie(SignInSite.AuthCookie, old.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await replay.GetAsync("/role"));
        Assert.DoesNotContain(SignInSite.AuthCookie, replay.Cookies.Keys);
        Assert.Equal("", await old.GetAsync("/whoami"));
        Assert.Equal(end == "/login/ada/reader" ? "reader" : end == "/refresh" ? "admin" : "", await browser.GetAsync("/role"));
    }

    [Fact]
    public async Task A_cookie_is_worth_nothing_beside_another_browsers_session_or_none()
    {
        var site = await StartStoringAsync();
        var (office, home) = (site.NewBrowser(), site.NewBrowser());
        await office.GetAsync("/login/ada/admin");
        await home.GetAsync("/login/ada/reader");
        var mixed = home.Copy();
        mixed.SetCookie(SignInSite.AuthCookie, office.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await mixed.GetAsync("/role"));
        var alone = site.NewBrowser();
        alone.SetCookie(SignInSite.AuthCookie, office.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await alone.GetAsync("/whoami"));
        Assert.Equal("admin", await office.GetAsync("/role"));
        Assert.Equal("reader", await home.GetAsync("/role"));
    }

    /// <summary>Who can write to Redis has a session of his own, and an administrator's ticket to put into it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_ticket_copied_to_another_session_is_none(bool withNumber)
    {
        var site = await StartStoringAsync();
        var (admin, eve) = (site.NewBrowser(), site.NewBrowser());
        await admin.GetAsync("/login/ada/admin");
        await eve.GetAsync("/login/eve/reader");
        var copied = (await HashAsync(admin)).Where(entry => entry.Name == "@t" || (withNumber && (entry.Name == "@n" || entry.Name == "@u")));
        await (await DatabaseAsync()).HashSetAsync(KeyOf(await eve.GetAsync("/id")), [.. copied, new("@v", 4711)]);
        Assert.Equal("", await eve.GetAsync("/role"));
        Assert.Equal("", await eve.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_sliding_ticket_slides_in_its_session()
    {
        var clock = StopClock();
        var site = await StartStoringAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/tokens/ada");
        for (var i = 0; i < 4; i++)
        {
            clock.Advance(Ticket * 0.6);
            Assert.Equal("20000", await browser.GetAsync("/token"));
            Assert.InRange(AuthCookieLength(browser), 1, 1_000);
        }

        clock.Advance(Ticket * 1.1);
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sign_ins_from_before_the_option_go_on_and_are_kept_in_their_sessions_where_they_slide(bool sliding)
    {
        StopClock();
        var browser = (await StartStoringAsync(stores: false, sliding: sliding)).NewBrowser();
        await browser.GetAsync("/tokens/ada");
        Assert.InRange(AuthCookieLength(browser), 20_000, 100_000);
        var old = browser.Copy();

        var site = await StartStoringAsync(sliding: sliding);
        site.TakeOver(browser);
        site.TakeOver(old);
        Assert.Equal("20000", await browser.GetAsync("/token"));
        Assert.Equal("20000", await browser.GetAsync("/token"));
        Assert.Equal(sliding, AuthCookieLength(browser) < 1_000);
        Assert.Single(await Users(site).ListAsync("ada"));
        await browser.GetAsync("/logout");
        Assert.Equal("", await old.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sign_ins_from_before_the_library_are_bound_once_if_they_are_accepted(bool accepted)
    {
        StopClock();
        var before = await StartAsync(Map, services: TwoSchemeSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var site = await StartStoringAsync(users: o => o.AcceptEarlierSignIns = accepted);
        site.TakeOver(browser);
        Assert.Equal(accepted ? "ada" : "", await browser.GetAsync("/whoami"));
        Assert.Equal(accepted ? "ada" : "", await browser.GetAsync("/whoami"));
        if (accepted)
        {
            Assert.InRange(AuthCookieLength(browser), 1, 400);
            Assert.Contains(await HashAsync(browser), entry => entry.Name == "@t");
        }
    }

    [Fact]
    public async Task While_redis_is_away_nobody_is_signed_in_and_nobody_is_signed_out()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(
            Map,
            redis: proxy.Address,
            services: services =>
            {
                TwoSchemeSite.AddServices(services);
                services.AddSession(o => o.IOTimeout = Slow);
            },
            addOns: builder => builder.AddTicketStore(),
            afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        var healthy = await StartStoringAsync();
        var gate = new Gate(proxy);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Contains(SignInSite.AuthCookie, browser.Cookies.Keys);

        // Nor is one who signs in now, if the ticket fits into the cookie: 8,000 bytes of it.
        var late = site.NewBrowser();
        await StatusAsync(late, "/login/eve");
        var fitting = 7_000 + 8_000 - await CarriedBytesAsync(site, 7_000);
        Assert.Equal(8_000, await CarriedBytesAsync(site, fitting));
        Assert.NotEqual(System.Net.HttpStatusCode.OK, (await site.NewBrowser().TryAsync($"/tokens/eve/{fitting + 1}")).Status);
        gate.Open();
        healthy.TakeOver(browser);
        healthy.TakeOver(late);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("eve", await late.GetAsync("/whoami"));
        Assert.InRange(AuthCookieLength(late), 1, 400);
    }

    /// <summary>How large a ticket is that the cookie of a new sign-in carries.</summary>
    private static async Task<int> CarriedBytesAsync(Site site, int tokenLength)
    {
        var browser = site.NewBrowser();
        await browser.GetAsync($"/tokens/eve/{tokenLength}");
        var chunks = browser.Cookies.Where(cookie => cookie.Key.StartsWith(SignInSite.AuthCookie + "C", StringComparison.Ordinal)).OrderBy(cookie => cookie.Key, StringComparer.Ordinal);
        var options = site.Services.GetRequiredService<IOptionsMonitor<CookieAuthenticationOptions>>().Get(CookieAuthenticationDefaults.AuthenticationScheme);
        return TicketSerializer.Default.Serialize(options.TicketDataFormat.Unprotect(string.Concat(chunks.Select(cookie => cookie.Value)))!).Length;
    }

    /// <summary>A server that has not heard of a new key yet, or cannot read the key ring for a moment.</summary>
    [Fact]
    public async Task While_its_key_is_missing_nobody_is_signed_in_and_nobody_is_signed_out()
    {
        var keys = new KeyRing("RedisSessions.Tickets.v1");
        Fleet = new Fleet { Protection = keys };
        var site = await StartStoringAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        keys.Fail = true;
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Contains(site.Log.Ours, entry => entry.Exception is CryptographicException);
        keys.Fail = false;
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>Where the application has a store of its own, it is the one.</summary>
    [Fact]
    public async Task An_applications_own_store_is_left_to_it()
    {
        var own = new OwnStore();
        var site = await StartStoringAsync(services: services => services.Configure<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme, o => o.SessionStore = own));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Single(own.Tickets);
        Assert.DoesNotContain(await HashAsync(browser), entry => entry.Name == "@t");
        await browser.GetAsync("/logout");
        Assert.Empty(own.Tickets);
    }

    private sealed class OwnStore : ITicketStore
    {
        public ConcurrentDictionary<string, AuthenticationTicket> Tickets { get; } = new();

        public async Task<string> StoreAsync(AuthenticationTicket ticket)
        {
            var key = Guid.NewGuid().ToString();
            await RenewAsync(key, ticket);
            return key;
        }

        public Task RenewAsync(string key, AuthenticationTicket ticket)
        {
            Tickets[key] = ticket;
            return Task.CompletedTask;
        }

        public Task<AuthenticationTicket?> RetrieveAsync(string key) => Task.FromResult(Tickets.GetValueOrDefault(key));

        public Task RemoveAsync(string key)
        {
            Tickets.TryRemove(key, out _);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Schemes_are_told_apart()
    {
        var site = await StartStoringAsync(store: o => o.Schemes.Add(TwoSchemeSite.Partner));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.DoesNotContain(await HashAsync(browser), entry => entry.Name == "@t");
        await browser.GetAsync("/partner/login/acme");
        Assert.Contains(await HashAsync(browser), entry => entry.Name == "@t");
        Assert.Equal("acme", await browser.GetAsync("/partner/whoami"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
        await browser.GetAsync("/login/ada");
        Assert.DoesNotContain(await HashAsync(browser), entry => entry.Name == "@t");

        // Of one user, whose session goes on.
        await browser.GetAsync("/partner/login/ada");
        Assert.Contains(await HashAsync(browser), entry => entry.Name == "@t");
        await browser.GetAsync("/login/ada");
        Assert.DoesNotContain(await HashAsync(browser), entry => entry.Name == "@t");
    }

    [Fact]
    public async Task An_excluded_schemes_tickets_are_as_they_would_be_without_the_library()
    {
        var site = await StartStoringAsync(users: o => o.ExcludedSchemes.Add(CookieAuthenticationDefaults.AuthenticationScheme));
        var browser = site.NewBrowser();
        await browser.GetAsync("/tokens/ada");
        Assert.Equal("20000", await browser.GetAsync("/token"));
        Assert.InRange(AuthCookieLength(browser), 20_000, 100_000);
    }

    /// <summary>As the interface has it, which the application may use as well.</summary>
    [Fact]
    public async Task A_ticket_that_was_removed_from_the_store_is_none()
    {
        var site = await StartStoringAsync();
        var (browser, other) = (site.NewBrowser(), site.NewBrowser());
        await browser.GetAsync("/tokens/ada");
        await other.GetAsync("/tokens/ada");
        var numbers = await Task.WhenAll(new[] { browser, other }.Select(async of => (await HashAsync(of)).Single(entry => entry.Name == "@n").Value));
        await browser.GetAsync($"/remove/{numbers[1]}");
        Assert.Equal("20000", await browser.GetAsync("/token"));
        await browser.GetAsync($"/remove/{numbers[0]}");
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Equal("20000", await other.GetAsync("/token"));
    }

    /// <summary>The application's own check of a principal is not asked about nobody.</summary>
    [Fact]
    public async Task The_applications_validation_meets_only_tickets_that_are_there()
    {
        var met = new List<string?>();
        var site = await StartAsync(
            Map,
            services: services =>
            {
                TwoSchemeSite.AddServices(services);
                services.Configure<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme, o => o.Events.OnValidatePrincipal = context =>
                {
                    met.Add(context.Principal!.FindFirstValue(ClaimTypes.Name));
                    return Task.CompletedTask;
                });
            },
            addOns: builder => builder.AddTicketStore(),
            afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/whoami");
        await Users(site).RevokeAllAsync("ada");
        await browser.GetAsync("/whoami");
        Assert.Equal(["ada"], met);
    }

    [Fact]
    public async Task Sign_ins_that_outlive_their_sessions_are_refused_at_start_up()
    {
        var exception = await Assert.ThrowsAsync<OptionsValidationException>(() => StartStoringAsync(users: o => o.EndSignInWithSession = false));
        Assert.Contains("AddTicketStore", exception.Message);
    }
}
