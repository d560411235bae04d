using System.Net;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace RedisSessions.Tests.Users;

/// <summary>A host with plain cookie authentication and AddUserIndex, no other line.</summary>
public abstract class UserIndexTests(RedisServer server) : ServerTest(server)
{
    private Task<Site> StartSignInSiteAsync(
        Action<UserIndexOptions>? options = null,
        string? redis = null,
        Action<WebApplication>? map = null,
        Action<IServiceCollection>? services = null,
        bool sessionFirst = false) => StartAsync(
            app =>
            {
                SignInSite.Map(app);
                map?.Invoke(app);
            },
            redis: redis,
            services: s =>
            {
                SignInSite.AddServices(s);
                services?.Invoke(s);
            },
            addOns: builder => builder.AddUserIndex(options),
            afterSession: sessionFirst
                ? app => app.UseAuthentication().UseRouting().UseAuthorization()
                : null);

    private static IUserSessions Users(Site site) => site.Services.GetRequiredService<IUserSessions>();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Signing_in_binds_the_session_under_a_new_id_and_keeps_the_cart(bool sessionFirst)
    {
        var site = await StartSignInSiteAsync(sessionFirst: sessionFirst);
        var browser = site.NewBrowser();
        browser.Headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
        await browser.GetAsync("/set/cart/tea");
        var anonymousId = await browser.GetAsync("/id");
        var planted = browser.Copy();
        var id = await browser.GetAsync("/login/ada");

        Assert.NotEqual(anonymousId, id);
        Assert.Equal(id, await browser.GetAsync("/id"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        Assert.Equal("secret of ada", await browser.GetAsync("/secret"));
        Assert.Equal("", await planted.GetAsync("/owner"));
        Assert.Equal("", await planted.GetAsync("/get/cart"));

        var session = Assert.Single(await Users(site).ListAsync("ada"));
        Assert.Equal(id, session.Id);
        Assert.Equal("Firefox on Windows", session.DeviceName);
        Assert.Equal(browser.Headers["User-Agent"], session.SignInUserAgent);
        Assert.InRange(session.SignedInAt, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow);
        Assert.False(session.IsCurrent);
        Assert.Equal(1, await Users(site).CountAsync("ada"));
        Assert.Empty(await Users(site).ListAsync("grace"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Signing_in_without_any_session_creates_and_binds_one()
    {
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("secret of ada", await browser.GetAsync("/secret"));
        Assert.Single(await Users(site).ListAsync("ada"));
    }

    [Fact]
    public async Task Another_users_data_is_not_carried_over()
    {
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/private/diary");
        await browser.GetAsync("/login/grace");
        Assert.Equal("", await browser.GetAsync("/get/private"));
        Assert.Equal("grace", await browser.GetAsync("/owner"));
        await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 0);
        Assert.Single(await Users(site).ListAsync("grace"));
    }

    [Fact]
    public async Task Signing_out_destroys_the_session_and_a_copied_authentication_cookie_gets_nothing()
    {
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        var thief = browser.Copy();
        await browser.GetAsync("/logout");
        Assert.False(await site.Sessions.ExistsAsync(id));
        Assert.Empty(browser.Cookies);

        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.DoesNotContain(SignInSite.AuthCookie, thief.Cookies.Keys);
        await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 0);

        // Nor does the authentication cookie alone, or with a session of the thief's own.
        var other = site.NewBrowser();
        var victim = site.NewBrowser();
        await victim.GetAsync("/login/ada");
        other.SetCookie(SignInSite.AuthCookie, victim.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await other.GetAsync("/whoami"));
        await other.GetAsync("/set/a/1");
        other.SetCookie(SignInSite.AuthCookie, victim.Cookies[SignInSite.AuthCookie]);
        Assert.Equal("", await other.GetAsync("/whoami"));
        Assert.Equal("1", await other.GetAsync("/get/a"));
        Assert.Equal("ada", await victim.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Revoking_a_session_ends_the_sign_in_on_every_server(bool sessionFirst)
    {
        var site = await StartSignInSiteAsync(sessionFirst: sessionFirst);
        var other = await StartSignInSiteAsync(sessionFirst: sessionFirst);
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        Assert.Equal(RevokeResult.BelongsToAnother, await Users(other).RevokeAsync("grace", id));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(RevokeResult.Revoked, await Users(other).RevokeAsync("ada", id));
        Assert.Equal(RevokeResult.NotFound, await Users(other).RevokeAsync("ada", id));
        Assert.Equal(RevokeResult.NotFound, await Users(other).RevokeAsync("ada", "not an id"));

        using var response = await browser.SendAsync(HttpMethod.Get, "/secret");
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.StartsWith("/Account/Login", response.Headers.Location!.PathAndQuery, StringComparison.Ordinal);
        Assert.DoesNotContain(SignInSite.AuthCookie, browser.Cookies.Keys);
    }

    [Fact]
    public async Task Expiry_and_destroy_end_the_sign_in_too()
    {
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        await site.Sessions.DestroyAsync(await browser.GetAsync("/login/ada"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.DoesNotContain(SignInSite.AuthCookie, browser.Cookies.Keys);

        var second = await browser.GetAsync("/login/ada");
        await (await DatabaseAsync()).KeyExpireAsync(KeyOf(second), TimeSpan.FromMilliseconds(1));
        await Eventually.TrueAsync(async () => !await site.Sessions.ExistsAsync(second));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Everyone_but_the_current_session_can_be_signed_out()
    {
        var site = await StartSignInSiteAsync(map: app => app.MapGet("/others", async (HttpContext context, IUserSessions users) =>
            $"{await users.RevokeAllAsync(context.User.Identity!.Name!, context.Session.Id)} {(await users.ListAsync("ada")).Single().IsCurrent}"));
        var browsers = Enumerable.Range(0, 5).Select(_ => site.NewBrowser()).ToArray();
        foreach (var browser in browsers)
        {
            await browser.GetAsync("/login/ada");
        }

        Assert.Equal(5, await Users(site).CountAsync("ada"));
        Assert.Equal("4 True", await browsers[2].GetAsync("/others"));
        Assert.Equal("ada", await browsers[2].GetAsync("/whoami"));
        Assert.Equal("", await browsers[0].GetAsync("/whoami"));
        Assert.Equal(1, await Users(site).RevokeAllAsync("ada"));
        Assert.Equal("", await browsers[2].GetAsync("/whoami"));
    }

    [Fact]
    public async Task Everyone_can_be_signed_out_with_progress_and_active_users_are_streamed()
    {
        var site = await StartSignInSiteAsync();
        var browsers = new List<Browser>();
        for (var i = 0; i < 12; i++)
        {
            var browser = site.NewBrowser();
            await browser.GetAsync($"/login/user{i % 6}");
            browsers.Add(browser);
        }

        var active = new List<string>();
        await foreach (var user in Users(site).GetActiveUsersAsync(DateTimeOffset.UtcNow.AddMinutes(-5)))
        {
            active.Add(user.UserId);
        }

        Assert.Equal(["user0", "user1", "user2", "user3", "user4", "user5"], active.Order());
        await foreach (var user in Users(site).GetActiveUsersAsync(DateTimeOffset.UtcNow.AddMinutes(5)))
        {
            Assert.Fail(user.UserId);
        }

        var reports = new List<RevokeEveryoneProgress>();
        var total = await Users(site).RevokeEveryoneAsync(new Report(reports));
        Assert.Equal(new RevokeEveryoneProgress(6, 12), total);
        Assert.Equal(total, reports[^1]);
        foreach (var browser in browsers)
        {
            Assert.Equal("", await browser.GetAsync("/whoami"));
        }
    }

    [Fact]
    public async Task Fifty_sign_ins_at_once_never_leave_more_than_the_limit()
    {
        var site = await StartSignInSiteAsync(o => o.MaxSessionsPerUser = 3);
        var browsers = Enumerable.Range(0, 50).Select(_ => site.NewBrowser()).ToArray();
        await Task.WhenAll(browsers.Select(browser => browser.GetAsync("/login/ada")));
        Assert.Equal(3, await Users(site).CountAsync("ada"));
        await Eventually.TrueAsync(async () => (await SignedInAsync()).Length == 3);
        Assert.Equal(3, (await Users(site).ListAsync("ada")).Count);

        async Task<Browser[]> SignedInAsync()
        {
            var signedIn = new List<Browser>();
            foreach (var browser in browsers)
            {
                if (await browser.GetAsync("/whoami") == "ada")
                {
                    signedIn.Add(browser);
                }
            }

            return [.. signedIn];
        }
    }

    [Fact]
    public async Task At_the_limit_the_least_recently_seen_session_goes()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSignInSiteAsync(o => o.MaxSessionsPerUser = 2);
        var first = site.NewBrowser();
        await first.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(2));
        var second = site.NewBrowser();
        await second.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(2));
        await first.GetAsync("/none");
        var id = await first.GetAsync("/id");
        await Eventually.TrueAsync(async () => (await Users(site).ListAsync("ada"))[0].Id == id && await (await DatabaseAsync()).SortedSetRankAsync($"{Fleet.Prefix}user:{{ada}}", id) == 1);
        var third = site.NewBrowser();
        await third.GetAsync("/login/ada");
        Assert.Equal("", await second.GetAsync("/whoami"));
        Assert.Equal("ada", await first.GetAsync("/whoami"));
        Assert.Equal("ada", await third.GetAsync("/whoami"));
    }

    [Fact]
    public async Task At_the_limit_new_sign_ins_can_be_rejected_but_dead_sessions_do_not_count()
    {
        var site = await StartSignInSiteAsync(
            o => (o.MaxSessionsPerUser, o.LimitBehavior) = (2, SessionLimitBehavior.RejectNew),
            map: app => app.MapGet("/try", async (HttpContext context) =>
            {
                try
                {
                    await context.SignInAsync(SignInSite.PrincipalOf("ada"));
                    return "in";
                }
                catch (SessionLimitReachedException)
                {
                    return "full";
                }
            }));
        var browsers = Enumerable.Range(0, 3).Select(_ => site.NewBrowser()).ToArray();
        Assert.Equal("in", await browsers[0].GetAsync("/try"));
        Assert.Equal("in", await browsers[1].GetAsync("/try"));
        Assert.Equal("full", await browsers[2].GetAsync("/try"));
        Assert.Equal("", await browsers[2].GetAsync("/whoami"));
        Assert.Equal("ada", await browsers[0].GetAsync("/whoami"));

        // Destroyed behind the index's back.
        await site.Sessions.DestroyAsync(await browsers[0].GetAsync("/id"));
        Assert.Equal("in", await browsers[2].GetAsync("/try"));
    }

    [Fact]
    public async Task Other_authentication_binds_at_the_first_request_with_a_session_and_creates_none()
    {
        var site = await StartAsync(
            SignInSite.Map,
            services: services => services.AddAuthorization(),
            addOns: builder => builder.AddUserIndex(),
            afterSession: app => app.Use((context, next) =>
            {
                if (context.Request.Headers["X-User"].ToString() is { Length: > 0 } user)
                {
                    context.User = SignInSite.PrincipalOf(user);
                }

                return next(context);
            }));
        var browser = site.NewBrowser();
        browser.Headers["X-User"] = "ada";
        await browser.GetAsync("/none");
        Assert.Equal(0, await Users(site).CountAsync("ada"));
        await browser.GetAsync("/set/a/1");
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 1);

        var anonymous = site.NewBrowser();
        await anonymous.GetAsync("/set/cart/tea");
        var before = await anonymous.GetAsync("/id");
        anonymous.Headers["X-User"] = "grace";
        Assert.Equal("tea", await anonymous.GetAsync("/get/cart"));
        Assert.NotEqual(before, await anonymous.GetAsync("/id"));
        Assert.Single(await Users(site).ListAsync("grace"));
        anonymous.Headers["X-User"] = "eve";
        Assert.Equal("", await anonymous.GetAsync("/get/cart"));
        Assert.Equal("eve", await anonymous.GetAsync("/owner"));
    }

    [Fact]
    public async Task A_session_can_be_bound_explicitly()
    {
        var site = await StartSignInSiteAsync(map: app =>
        {
            app.MapGet("/bind/{user}", async (HttpContext context, string user) => await context.Session.BindUserAsync(user));
            app.MapGet("/bind2/{user}", async (IUserSessions users, string user) => await users.BindAsync(user));
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/bind/ada");
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        var id = await browser.GetAsync("/id");
        await browser.GetAsync("/bind2/ada");
        Assert.Equal(id, await browser.GetAsync("/id"));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.Single(await Users(site).ListAsync("ada"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Users(site).BindAsync("ada"));
        await Assert.ThrowsAsync<ArgumentException>(() => Users(site).ListAsync(""));
    }

    [Fact]
    public async Task The_applications_own_cookie_events_still_run_an_events_type_included()
    {
        var site = await StartSignInSiteAsync(services: services =>
        {
            services.AddScoped<OwnEvents>();
            services.Configure<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme, o => o.EventsType = typeof(OwnEvents));
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada (validated)", await browser.GetAsync("/whoami"));
        await site.Sessions.DestroyAsync(await browser.GetAsync("/id"));
        using var refused = await browser.SendAsync(HttpMethod.Get, "/secret");
        Assert.Equal(418, (int)refused.StatusCode);
    }

    [Fact]
    public async Task A_request_under_way_while_the_id_changes_does_not_sign_the_browser_out()
    {
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        var late = browser.Copy();
        await browser.GetAsync("/regenerate");

        // It came with the old session cookie: it is anonymous, but its answer must not expire the cookies that the browser has.
        Assert.Equal("", await late.GetAsync("/whoami"));
        Assert.Contains(SignInSite.AuthCookie, late.Cookies.Keys);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Concurrent_requests_during_sign_in_lock_nobody_out()
    {
        var site = await StartSignInSiteAsync();
        for (var round = 0; round < 10; round++)
        {
            var browser = site.NewBrowser();
            await browser.GetAsync("/set/cart/tea");
            var during = Enumerable.Range(0, 5).Select(i => browser.GetAsync($"/set/k{i}/1"));
            await Task.WhenAll([browser.GetAsync("/login/ada"), .. during]);
            Assert.Equal("ada", await browser.GetAsync("/whoami"));
            Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        }
    }

    [Fact]
    public async Task A_sign_in_made_before_the_library_is_accepted_once_and_then_bound_or_refused_by_option()
    {
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var refused = browser.Copy();

        var site = await StartSignInSiteAsync();
        site.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        var session = Assert.Single(await Users(site).ListAsync("ada"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        await Users(site).RevokeAsync("ada", session.Id);
        Assert.Equal("", await browser.GetAsync("/whoami"));

        var strict = await StartSignInSiteAsync(o => o.AcceptEarlierSignIns = false);
        strict.TakeOver(refused);
        Assert.Equal("", await refused.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Without_EndSignInWithSession_the_sign_in_outlives_the_session()
    {
        var site = await StartSignInSiteAsync(o => o.EndSignInWithSession = false);
        var browser = site.NewBrowser();
        await site.Sessions.DestroyAsync(await browser.GetAsync("/login/ada"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_session_in_use_stays_in_the_index_and_comes_back_if_its_entry_was_lost()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        for (var i = 0; i < 5; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(15));
            await browser.GetAsync("/none");
            await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 1, what: $"round {i}");
        }

        await (await DatabaseAsync()).KeyDeleteAsync($"{Fleet.Prefix}user:{{ada}}");
        clock.Advance(TimeSpan.FromMinutes(1));
        browser.Headers["User-Agent"] = "curl/8";
        await browser.GetAsync("/none");
        await Eventually.TrueAsync(async () => (await Users(site).ListAsync("ada")) is [{ UserAgent: "curl/8" } session] && session.Id == id);
    }

    [Fact]
    public async Task Every_key_of_the_index_outlives_its_newest_entry_by_little_and_the_pruner_clears_users()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSignInSiteAsync(o => (o.ActivityShards, o.ActivityRetention, o.PruneInterval) = (1, TimeSpan.FromHours(2), TimeSpan.Zero));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        var db = await DatabaseAsync();
        var ttl = (await db.KeyTimeToLiveAsync($"{Fleet.Prefix}user:{{ada}}"))!.Value;
        Assert.InRange(ttl, TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(21));
        var activity = (await db.KeyTimeToLiveAsync($"{Fleet.Prefix}users:0"))!.Value;
        Assert.InRange(activity, TimeSpan.FromHours(2), TimeSpan.FromHours(3));

        Assert.Equal(0, await Users(site).PruneAsync());
        clock.Advance(TimeSpan.FromHours(2.1));
        Assert.Equal(1, await Users(site).PruneAsync());
        Assert.Equal(0, await db.SortedSetLengthAsync($"{Fleet.Prefix}users:0"));
    }

    [Fact]
    public async Task The_background_pruner_runs_on_one_server_at_a_time()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var sites = new List<Site>();
        for (var i = 0; i < 3; i++)
        {
            sites.Add(await StartSignInSiteAsync());
        }

        var lockKey = $"{Fleet.Prefix}users:pruning";
        var db = await DatabaseAsync();
        await Eventually.TrueAsync(() =>
        {
            // Again and again, because a host starts its background services in the background.
            clock.Advance(TimeSpan.FromMinutes(10));
            return Pruned() > 0;
        });

        // However often the others come round while the lock is there.
        for (var i = 0; i < 20; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(10));
            await db.PingAsync();
        }

        Assert.Equal(1, Pruned());
        int Pruned() => sites.Sum(site => site.Log.Ours.Count(entry => entry.Id.Name == "UserIndexPruned"));
        Assert.InRange((await db.KeyTimeToLiveAsync(lockKey))!.Value, TimeSpan.FromMinutes(8.5), TimeSpan.FromMinutes(9));
    }

    private sealed class Report(List<RevokeEveryoneProgress> reports) : IProgress<RevokeEveryoneProgress>
    {
        void IProgress<RevokeEveryoneProgress>.Report(RevokeEveryoneProgress value) => reports.Add(value);
    }

    private sealed class OwnEvents : CookieAuthenticationEvents
    {
        public override Task ValidatePrincipal(CookieValidatePrincipalContext context)
        {
            var identity = (ClaimsIdentity)context.Principal!.Identity!;
            var name = identity.FindFirst(ClaimTypes.Name)!;
            identity.RemoveClaim(name);
            identity.AddClaim(new Claim(ClaimTypes.Name, name.Value + " (validated)"));
            return Task.CompletedTask;
        }

        public override Task RedirectToLogin(RedirectContext<CookieAuthenticationOptions> context)
        {
            context.Response.StatusCode = 418;
            return Task.CompletedTask;
        }
    }
}

public sealed class UserIndexOnGarnet(InProcessGarnet server) : UserIndexTests(server);

public sealed class UserIndexOnRedis(LocalRedis server) : UserIndexTests(server);

public sealed class UserIndexInContainer(ContainerRedis server) : UserIndexTests(server);

public sealed class UserIndexOnGivenServer(GivenRedis server) : UserIndexTests(server);

public sealed class UserIndexOnCluster(LocalCluster server) : UserIndexTests(server);
