namespace RedisSessions.Tests.Attacks;

/// <summary>A browser whose session has ended learns why, whichever server ended it; and nobody else learns or makes up anything.</summary>
public abstract class EndReasonTests(RedisServer server) : AttackTest(server)
{
    private const string Page = "/Account/Login";

    private Task<Site> StartTellingAsync(Action<UserIndexOptions>? users = null, Action<SessionSecurityOptions>? security = null, string? redis = null) => StartAttackedAsync(
        o =>
        {
            o.EndedParameter = "ended";
            users?.Invoke(o);
        },
        security,
        redis: redis,
        map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/why", async (HttpContext context) => $"{await context.Session.GetEndReasonAsync()}");
            app.MapGet("/destroy-and-why", async (HttpContext context) =>
            {
                await context.Session.DestroyAsync();
                return $"{await context.Session.GetEndReasonAsync()}";
            });
        });

    /// <summary>Where a protected page sends the browser.</summary>
    private static async Task<string> SentToAsync(Browser browser)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, "/secret");
        return response.Headers.Location is { } location ? $"{location.AbsolutePath} {location.Query.Split('&').FirstOrDefault(part => part.StartsWith("ended"))}".TrimEnd() : "";
    }

    private async Task<(Site First, Site Second, Browser Browser, string Id)> SignInAsync(Action<UserIndexOptions>? users = null)
    {
        var (first, second) = (await StartTellingAsync(users), await StartTellingAsync(users));
        var browser = first.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        Assert.Equal("secret of ada", await browser.GetAsync("/secret"));
        Assert.Equal("", await browser.GetAsync("/why"));
        return (first, second, browser, id);
    }

    private async Task LearnsAsync(Browser browser, string id, SessionEndReason reason, string name)
    {
        Events.Clear();
        Assert.Equal($"{Page} ended={name}", await SentToAsync(browser));
        Assert.Equal($"{reason}", await browser.GetAsync("/why"));
        var told = Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.ReturnedAfterEnd);
        Assert.Equal((id, "ada", reason), (told.SessionId, told.UserId, told.EndReason));

        // Signing in again ends the talk of it.
        await browser.GetAsync("/login/ada");
        Assert.Equal("", await browser.GetAsync("/why"));
    }

    [Fact]
    public async Task A_session_revoked_on_another_server()
    {
        var (_, second, browser, id) = await SignInAsync();
        Assert.Equal(RevokeResult.Revoked, await Users(second).RevokeAsync("ada", id));
        await LearnsAsync(browser, id, SessionEndReason.Revoked, "revoked");
    }

    [Fact]
    public async Task Without_a_name_for_it_there_is_no_parameter()
    {
        var (_, second, browser, id) = await SignInAsync(o => o.EndedParameter = "");
        await Users(second).RevokeAsync("ada", id);
        using var response = await browser.SendAsync(HttpMethod.Get, "/secret");
        Assert.Equal("?ReturnUrl=%2Fsecret", response.Headers.Location?.Query);
    }

    [Fact]
    public async Task All_sessions_of_a_user_revoked()
    {
        var (_, second, browser, id) = await SignInAsync();
        await Users(second).RevokeAllAsync("ada");
        await LearnsAsync(browser, id, SessionEndReason.Revoked, "revoked");
    }

    [Fact]
    public async Task A_session_ended_by_its_id()
    {
        var (_, second, browser, id) = await SignInAsync();
        Assert.True(await second.Sessions.DestroyAsync(id));
        await LearnsAsync(browser, id, SessionEndReason.Revoked, "revoked");
    }

    [Fact]
    public async Task A_session_evicted_by_a_sign_in_elsewhere()
    {
        var (_, second, browser, id) = await SignInAsync(o => o.MaxSessionsPerUser = 1);
        await second.NewBrowser().GetAsync("/login/ada");
        await LearnsAsync(browser, id, SessionEndReason.Evicted, "evicted");
    }

    [Fact]
    public async Task A_password_changed_elsewhere()
    {
        var (_, second, browser, id) = await SignInAsync();
        var other = second.NewBrowser();
        await other.GetAsync("/login/ada");
        await other.GetAsync("/password");
        Assert.Equal("ada", await other.GetAsync("/whoami"));
        await LearnsAsync(browser, id, SessionEndReason.CredentialsChanged, "credentials-changed");
    }

    [Fact]
    public async Task A_session_that_expired()
    {
        var clock = StopClock();
        var (_, _, browser, id) = await SignInAsync();
        await (await DatabaseAsync()).KeyDeleteAsync($"{Fleet.Prefix}{{{id}}}");
        clock.Advance(TimeSpan.FromMinutes(30));
        await LearnsAsync(browser, id, SessionEndReason.Expired, "expired");
    }

    [Fact]
    public async Task A_copied_cookie_of_a_browser_that_signed_out()
    {
        var (_, _, browser, id) = await SignInAsync();
        var copy = browser.Copy();
        await browser.GetAsync("/logout");
        Assert.Equal(Page, await SentToAsync(browser));
        await LearnsAsync(copy, id, SessionEndReason.SignedOut, "signed-out");
    }

    [Fact]
    public async Task A_browser_that_the_session_is_not_bound_to()
    {
        var site = await StartTellingAsync(security: o => o.UserAgentAction = BindingAction.Destroy);
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/login/ada");
        var thief = browser.Copy();
        thief.Headers["User-Agent"] = Chrome;
        Assert.Equal($"{Page} ended=mismatch", await SentToAsync(thief));
        Assert.Equal($"{Page} ended=mismatch", await SentToAsync(browser));
        Assert.Equal("Mismatch", await browser.GetAsync("/why"));
        Assert.DoesNotContain(Events.All, e => e.Kind == SessionSecurityEventKind.SignedOut);
    }

    [Fact]
    public async Task A_request_that_ends_its_own_session_is_told_nothing()
    {
        var (_, _, browser, _) = await SignInAsync();
        Assert.Equal("", await browser.GetAsync("/destroy-and-why"));
    }

    [Fact]
    public async Task A_session_under_a_new_id_has_not_ended()
    {
        var (_, _, browser, id) = await SignInAsync();
        var late = browser.Copy();
        await browser.GetAsync("/regenerate");

        // For as long as a request that was under way then may take.
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync($"{Fleet.Prefix}moved:{{{id}}}"))!.Value, TimeSpan.FromSeconds(50), TimeSpan.FromSeconds(60));
        Assert.Equal("", await late.GetAsync("/why"));
        Assert.Equal(Page, await SentToAsync(late));
        Assert.Equal("secret of ada", await browser.GetAsync("/secret"));
    }

    [Fact]
    public async Task A_visitor_without_a_cookie_or_with_one_that_nobody_issued_is_told_nothing()
    {
        var (first, _, browser, id) = await SignInAsync();
        await first.Sessions.DestroyAsync(id);
        var stranger = first.NewBrowser();
        Assert.Equal(Page, await SentToAsync(stranger));
        Assert.Equal("", await stranger.GetAsync("/why"));
        stranger.SetCookie(Browser.SessionCookie, id);
        Assert.Equal(Page, await SentToAsync(stranger));
        Assert.Equal("", await stranger.GetAsync("/why"));
        Assert.Equal("Revoked", await browser.GetAsync("/why"));
    }

    /// <summary>A visitor who was never signed in has nothing to sign in again for.</summary>
    [Fact]
    public async Task An_anonymous_session_that_expired_is_not_announced_on_the_way_to_the_sign_in_page()
    {
        var site = await StartTellingAsync();
        var visitor = site.NewBrowser();
        await visitor.GetAsync("/set/a/1");
        var id = await visitor.GetAsync("/id");
        await (await DatabaseAsync()).KeyDeleteAsync($"{Fleet.Prefix}{{{id}}}");
        Assert.Equal("Expired", await visitor.GetAsync("/why"));
        Assert.Equal(Page, await SentToAsync(visitor));
    }

    [Fact]
    public async Task An_anonymous_session_that_somebody_ended_is_announced_there()
    {
        var site = await StartTellingAsync();
        var visitor = site.NewBrowser();
        await visitor.GetAsync("/set/a/1");
        Assert.True(await site.Sessions.DestroyAsync(await visitor.GetAsync("/id")));
        Assert.Equal($"{Page} ended=revoked", await SentToAsync(visitor));
    }

    [Fact]
    public async Task Setting_something_anew_forgets_why_the_former_session_ended()
    {
        var (first, _, browser, id) = await SignInAsync();
        await first.Sessions.DestroyAsync(id);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Equal("Revoked", await browser.GetAsync("/why"));
        await browser.GetAsync("/set/a/1");
        Assert.Equal(id, await browser.GetAsync("/id"));
        Assert.Equal("", await browser.GetAsync("/why"));
        await (await DatabaseAsync()).KeyDeleteAsync($"{Fleet.Prefix}{{{id}}}");
        Assert.Equal("Expired", await browser.GetAsync("/why"));
    }

    [Theory]
    [InlineData("revoked")]
    [InlineData("expired")]
    public async Task Ten_parallel_requests_that_come_back_are_one_return(string end)
    {
        var (first, second, browser, id) = await SignInAsync();
        await EndAsync(id);
        await ReturnAsync(id);

        // The next end is another, and the one before is told no more.
        var old = browser.Copy();
        var next = await browser.GetAsync("/login/ada");
        await EndAsync(next);
        await ReturnAsync(next);
        Events.Clear();
        Assert.Equal("", await old.GetAsync("/whoami"));
        Assert.Empty(Events.All);

        async Task EndAsync(string id)
        {
            if (end == "expired")
            {
                await (await DatabaseAsync()).KeyDeleteAsync($"{Fleet.Prefix}{{{id}}}");
            }
            else
            {
                await Users(second).RevokeAsync("ada", id);
            }
        }

        async Task ReturnAsync(string id)
        {
            Events.Clear();
            var word = end == "expired" ? "expired" : "revoked";
            var copies = Enumerable.Range(0, 10).Select(_ => browser.Copy()).ToArray();
            for (var i = 0; i < copies.Length; i++)
            {
                (i % 2 == 0 ? first : second).TakeOver(copies[i]);
            }

            Assert.All(await Task.WhenAll(copies.Select(SentToAsync)), sent => Assert.Equal($"{Page} ended={word}", sent));
            Assert.Equal(id, Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.ReturnedAfterEnd).SessionId);

            // The talk of it goes on, for as long as it would have.
            Assert.Equal($"{Page} ended={word}", await SentToAsync(browser.Copy()));
            Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.ReturnedAfterEnd);
            Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync($"{Fleet.Prefix}ended:{{{id}}}"))!.Value, TimeSpan.FromHours(23), TimeSpan.FromHours(24));
        }
    }

    /// <summary>Who writes to Redis can lie about a reason, and no more than that.</summary>
    [Fact]
    public async Task A_mark_brings_nothing_back_and_ends_nothing()
    {
        var (first, second, browser, id) = await SignInAsync();
        var db = await DatabaseAsync();
        await db.StringSetAsync($"{Fleet.Prefix}ended:{{{id}}}", "evicted");
        Assert.Equal("secret of ada", await browser.GetAsync("/secret"));
        Assert.Equal("", await browser.GetAsync("/why"));
        await Users(second).RevokeAsync("ada", id);
        await db.StringSetAsync($"{Fleet.Prefix}ended:{{{id}}}", "of a reason that a later version knows");
        Assert.Equal($"{Page} ended=revoked", await SentToAsync(browser));
        Assert.False(await first.Sessions.ExistsAsync(id));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_mark_holds_a_word_and_expires()
    {
        var (_, second, _, id) = await SignInAsync();
        await Users(second).RevokeAsync("ada", id, new SessionRevocation(By: "root", Note: "abuse"), TestContext.Current.CancellationToken);
        var db = await DatabaseAsync();
        Assert.Equal("revoked", await db.StringGetAsync($"{Fleet.Prefix}ended:{{{id}}}"));
        Assert.InRange((await db.KeyTimeToLiveAsync($"{Fleet.Prefix}ended:{{{id}}}"))!.Value, TimeSpan.FromHours(23), TimeSpan.FromHours(24));
        var revoked = Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.Revoked);
        Assert.Equal((SessionEndReason.Revoked, "root", "abuse"), (revoked.EndReason, revoked.By, revoked.Detail));
    }

    [Fact]
    public async Task With_a_retention_of_zero_nothing_is_kept_and_nothing_told()
    {
        var site = await StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapGet("/why", async (HttpContext context) => $"{await context.Session.GetEndReasonAsync()}");
            },
            options: o => o.EndReasonRetention = TimeSpan.Zero);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await site.Sessions.DestroyAsync(await browser.GetAsync("/id"));
        Assert.Equal("", await browser.GetAsync("/why"));
        Assert.Empty(await KeysAsync("ended:*"));
    }

    [Fact]
    public async Task Anothers_session_is_neither_ended_nor_marked()
    {
        var (first, second, browser, id) = await SignInAsync();
        Assert.Equal(RevokeResult.BelongsToAnother, await Users(second).RevokeAsync("grace", id));
        Assert.Empty(await KeysAsync("ended:*"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.True(await first.Sessions.ExistsAsync(id));
    }
}

public sealed class EndReasonOnRedisTests(LocalRedis server) : EndReasonTests(server);

public sealed class EndReasonOnClusterTests(LocalCluster server) : EndReasonTests(server);
