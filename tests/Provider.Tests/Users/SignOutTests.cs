using System.Net;

namespace RedisSessions.Tests.Users;

/// <summary>A session that ended, by whatever, ends the sign-in with it.</summary>
public abstract class SignOutTests(RedisServer server) : SignInTest(server)
{
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
    public async Task Without_EndSignInWithSession_the_sign_in_outlives_the_session()
    {
        var site = await StartSignInSiteAsync(o => o.EndSignInWithSession = false);
        var browser = site.NewBrowser();
        await site.Sessions.DestroyAsync(await browser.GetAsync("/login/ada"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    private sealed class Report(List<RevokeEveryoneProgress> reports) : IProgress<RevokeEveryoneProgress>
    {
        void IProgress<RevokeEveryoneProgress>.Report(RevokeEveryoneProgress value) => reports.Add(value);
    }
}

public sealed class SignOutOnGarnet(InProcessGarnet server) : SignOutTests(server);

public sealed class SignOutOnRedis(LocalRedis server) : SignOutTests(server);

public sealed class SignOutInContainer(ContainerRedis server) : SignOutTests(server);

public sealed class SignOutOnGivenServer(GivenRedis server) : SignOutTests(server);

public sealed class SignOutOnCluster(LocalCluster server) : SignOutTests(server);
