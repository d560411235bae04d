using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Users;

/// <summary>Sessions are bound to users as they sign in, under a new id.</summary>
public abstract class SignInTests(RedisServer server) : SignInTest(server)
{
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

        // The ticket lives for two weeks; the session, unused, for twenty minutes.
        Assert.InRange(session.ExpiresAt, DateTimeOffset.UtcNow.AddMinutes(15), DateTimeOffset.UtcNow.AddMinutes(21));
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

    /// <summary>A hostile header fills nothing, and one of any length that browsers have is kept whole.</summary>
    [Theory]
    [InlineData(256, 256)]
    [InlineData(257, 256)]
    [InlineData(5_000, 256)]
    public async Task Of_a_user_agent_no_more_is_kept_than_a_browser_says(int said, int kept)
    {
        var site = await StartSignInSiteAsync();
        var browser = site.NewBrowser();
        browser.Headers["User-Agent"] = new string('x', said);
        await browser.GetAsync("/login/ada");
        var session = Assert.Single(await Users(site).ListAsync("ada"));
        Assert.Equal((kept, kept), (session.SignInUserAgent!.Length, session.UserAgent!.Length));
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

public sealed class SignInOnGarnet(InProcessGarnet server) : SignInTests(server);

public sealed class SignInOnRedis(LocalRedis server) : SignInTests(server);

public sealed class SignInInContainer(ContainerRedis server) : SignInTests(server);

public sealed class SignInOnGivenServer(GivenRedis server) : SignInTests(server);

public sealed class SignInOnCluster(LocalCluster server) : SignInTests(server);

public sealed class SignInOnSentinel(LocalSentinel server) : SignInTests(server);

public sealed class SignInOverResp2(Resp2Redis server) : SignInTests(server);

public sealed class SignInUnderAcl(AclRedis server) : SignInTests(server);
