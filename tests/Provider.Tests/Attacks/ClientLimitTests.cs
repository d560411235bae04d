using System.Globalization;
using System.Security.Claims;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Attacks;

/// <summary>Findings 7, 8, 15 and 23, from the sides that their own tests do not look at.</summary>
public sealed class ClientLimitTests(InProcessGarnet server) : AttackTest(server)
{
    private async Task<int> SessionsAsync() => (await KeysAsync("{*")).Length;

    /// <summary>Authenticated requests are bounded, too, and by user: nobody else's allowance is used up.</summary>
    [Fact]
    public async Task A_token_without_cookies_cannot_fill_redis_and_harms_no_other_user()
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 3);
        for (var i = 0; i < 10; i++)
        {
            await SetAsync("ada");
        }

        Assert.Equal(3, await SessionsAsync());
        Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.LimitReached);
        await SetAsync("grace");
        Assert.Equal(4, await SessionsAsync());
        Assert.Equal(3, await Users(site).CountAsync("ada"));

        async Task SetAsync(string user)
        {
            var client = From(site, "192.0.2.66");
            BearerHandler.Use(client, user);
            await client.GetAsync("/api/set/a/1");
        }
    }

    /// <summary>Whatever claims say who it is; and what the counter is called does not say it.</summary>
    [Fact]
    public async Task Every_authenticated_user_has_an_allowance_of_its_own()
    {
        const string Here = "https://idp.example", There = "https://other.example";
        Claim[][] users =
        [
            [Id("1", Here)], [Id("1", There)], [Id("2", Here)], [Id("3", Here), new("sub", "2", null, Here)], [new("sub", "4", null, Here)], [new("sub", "5", null, Here)],
            [new(ClaimTypes.Name, "x")], [new(ClaimTypes.Name, "y")], [Id("6", Here), new(ClaimTypes.Name, "z")], [Id("7", Here), new(ClaimTypes.Name, "z")],
        ];
        StopClock();
        var site = await StartAttackedAsync(
            addOns: builder => builder.AddSecurity(o => o.MaxCreationsPerMinute = 2),
            afterSession: app => app.Use((context, next) =>
            {
                context.User = new ClaimsPrincipal(new ClaimsIdentity(users[int.Parse(context.Request.Headers["X-User"].ToString(), CultureInfo.InvariantCulture)], "test"));
                return next(context);
            }));
        for (var i = 0; i < 2; i++)
        {
            await SetAsync();
        }

        Assert.Equal(2 * users.Length, await SessionsAsync());
        Assert.DoesNotContain(Events.All, e => e.Kind == SessionSecurityEventKind.LimitReached);
        await SetAsync();
        await SetAsync();
        Assert.Equal(2 * users.Length, await SessionsAsync());
        Assert.Equal(users.Length, Events.All.Count(e => e.Kind == SessionSecurityEventKind.LimitReached));
        Assert.All(await KeysAsync("rate:*"), key => Assert.Matches("rate:{user [0-9A-F]{32}}:", key));

        static Claim Id(string id, string issuer) => new(ClaimTypes.NameIdentifier, id, null, issuer);

        async Task SetAsync()
        {
            for (var user = 0; user < users.Length; user++)
            {
                var client = From(site, "192.0.2.66");
                client.Headers["X-User"] = user.ToString(CultureInfo.InvariantCulture);
                await client.GetAsync("/set/a/1");
            }
        }
    }

    [Fact]
    public async Task An_allowance_of_zero_is_no_limit_and_counts_nothing()
    {
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 0);
        for (var i = 0; i < 4; i++)
        {
            await From(site, "192.0.2.66").GetAsync("/set/a/1");
        }

        Assert.Equal(4, await SessionsAsync());
        Assert.Empty(await KeysAsync("rate:*"));
    }

    /// <summary>A commit that is refused says so once, leaves what is there, and the browser goes on with it.</summary>
    [Fact]
    public async Task A_refused_commit_is_reported_once_and_the_session_goes_on()
    {
        var site = await StartAttackedAsync(
            security: o => o.MaxFieldCount = 1,
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/late/{key}", async (HttpContext context, ISessionRepository sessions, string key) =>
                {
                    // What another request commits while this one holds the session.
                    context.Session.SetString(key, "1");
                    await sessions.SetFieldAsync(context.Session.Id, "other", [1]);
                    return "all is well";
                });
            });
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/login/ada");
        Events.Clear();
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => browser.GetAsync("/late/mine"));
        Assert.Contains("MaxFieldCount", refusal.Message, StringComparison.Ordinal);
        Assert.Single(Events.All, e => e is { Kind: SessionSecurityEventKind.LimitReached, UserId: "ada" });
        Assert.Equal("other", await browser.GetAsync("/keys"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>Who is over the bound, because it was lowered, may still take away.</summary>
    [Fact]
    public async Task A_session_that_is_over_its_bound_may_become_smaller()
    {
        var before = await StartAttackedAsync();
        var browser = From(before, "192.0.2.1");
        foreach (var key in new[] { "a", "b", "c" })
        {
            await browser.GetAsync($"/set/{key}/1234567890");
        }

        var site = await StartAttackedAsync(security: o => (o.MaxFieldCount, o.MaxSessionSize) = (1, 20), map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/remove/{key}", async (HttpContext context, ISessionRepository sessions, string key) =>
            {
                context.Session.Remove(key);
                await sessions.SetFieldAsync(context.Session.Id, "b", [1]);
            });
            app.MapGet("/replace/{key}", async (HttpContext context, ISessionRepository sessions, string key) =>
            {
                context.Session.SetString(key, "abcdefghij");
                await sessions.SetFieldAsync(context.Session.Id, "b", "abcdefghij"u8.ToArray());
            });
        });
        site.TakeOver(browser);

        // As large as it was, alone and beside what another request commits.
        await browser.GetAsync("/set/c/0987654321");
        await browser.GetAsync("/replace/c");
        await browser.GetAsync("/remove/a");
        await browser.GetAsync("/set/c/1");
        Assert.Equal("b,c", await browser.GetAsync("/keys"));
    }

    /// <summary>Two fields of 11 bytes, and no more; whatever they are called, and whoever else commits meanwhile.</summary>
    [Theory]
    [InlineData("b", "a", true)]
    [InlineData("a", "a", true)]
    [InlineData("b", "c", false)]
    [InlineData("@", "c", false)]
    [InlineData("b", "@", false)]
    public async Task A_session_is_filled_to_its_bound_and_not_beyond(string own, string others, bool fits)
    {
        var site = await StartAttackedAsync(security: o => (o.MaxFieldCount, o.MaxSessionSize) = (2, 22), map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/beside", async (HttpContext context, ISessionRepository sessions) =>
            {
                context.Session.SetString(own, "1234567890");
                await sessions.SetFieldAsync(context.Session.Id, others, "0987654321"u8.ToArray());
            });
        });
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/set/a/abcdefghij");
        if (fits)
        {
            // And again, when all of it is there.
            await browser.GetAsync("/beside");
            await browser.GetAsync("/beside");
        }
        else
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => browser.GetAsync("/beside"));
        }

        Assert.Equal(fits && own == others ? "a" : fits ? "a,b" : others == "@" ? "@,a" : "a,c", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task A_mismatch_that_is_only_reported_is_not_turned_away_and_keeps_its_cookie()
    {
        var site = await StartAttackedAsync(
            security: o => o.UserAgentAction = BindingAction.Log,
            afterSession: app => app.UseSessionValidation().UseAuthentication().UseRouting().UseAuthorization());
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/login/ada");
        browser.Headers["User-Agent"] = Chrome;
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Contains(Browser.SessionCookie, browser.Cookies.Keys);
        Assert.Contains(Events.All, e => e is { Kind: SessionSecurityEventKind.Mismatch, UserId: "ada" });
    }

    /// <summary>An owner whose address changes with every request causes a write now and then, not with every request.</summary>
    [Fact]
    public async Task Changing_networks_with_every_request_writes_little()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(logLevel: LogLevel.Critical);
        var browser = From(site, "192.0.2.1");
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        var versions = new HashSet<string?>();
        for (var i = 0; i < 20; i++)
        {
            browser.Headers["X-Test-Address"] = $"198.51.{i}.1";
            await browser.GetAsync("/none");
            versions.Add(await (await DatabaseAsync()).HashGetAsync(key, "@v"));
        }

        Assert.InRange(versions.Count, 1, 2);

        // A minute later a change is news again.
        clock.Advance(TimeSpan.FromMinutes(1) - TimeSpan.FromMilliseconds(1));
        Assert.False(await WritesAsync("203.0.113.1"));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(await WritesAsync("203.0.113.2"));

        async Task<bool> WritesAsync(string address)
        {
            browser.Headers["X-Test-Address"] = address;
            await browser.GetAsync("/none");
            return versions.Add(await (await DatabaseAsync()).HashGetAsync(key, "@v"));
        }
    }

    /// <summary>Nobody asks in how many networks nobody is, nor anybody where that is turned off.</summary>
    [Theory]
    [InlineData("/id", 10)]
    [InlineData("/login/ada", 0)]
    public async Task A_network_that_nobody_asks_for_is_not_noted(string begin, int window)
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.ImpossiblePairWindow = TimeSpan.FromSeconds(window));
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/set/a/1");
        var key = KeyOf(await browser.GetAsync(begin));
        var noted = await (await DatabaseAsync()).HashGetAllAsync(key);
        browser.Headers["X-Test-Address"] = "198.51.100.1";
        await browser.GetAsync("/none");
        Assert.Equal(noted.Single(field => field.Name == "@v").Value, await (await DatabaseAsync()).HashGetAsync(key, "@v"));
        Assert.DoesNotContain(noted, field => field.Name == "@wn" || field.Name == "@wt" || field.Name == "@wp");
    }

    [Theory]
    [InlineData("Created")]
    [InlineData(" signed in ")]
    public async Task A_name_that_reads_like_one_of_the_librarys_is_refused(string name)
    {
        var site = await StartAttackedAsync(addOns: builder => builder.AddUserIndex().AddSecurity().AddAnalytics());
        await Assert.ThrowsAsync<ArgumentException>(async () => await site.Services.GetRequiredService<ISessionAnalytics>().TrackAsync(NewSecret(), name));
    }
}
