using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Time.Testing;

namespace RedisSessions.Tests.Users;

/// <summary>No user has more sessions than the limit.</summary>
public abstract class SessionLimitTests(RedisServer server) : SignInTest(server)
{
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

        // By the index, whose times are this clock's; the list goes by TTLs, and those are Redis's.
        await Eventually.TrueAsync(async () => await (await DatabaseAsync()).SortedSetRankAsync($"{Fleet.Prefix}user:{{ada}}", id) == 1);
        var third = site.NewBrowser();
        await third.GetAsync("/login/ada");
        Assert.Equal("", await second.GetAsync("/whoami"));
        Assert.Equal("ada", await first.GetAsync("/whoami"));
        Assert.Equal("ada", await third.GetAsync("/whoami"));
    }

    /// <summary>Who signs in once more takes no second place, and makes room for nobody by it.</summary>
    [Fact]
    public async Task A_limit_that_was_lowered_holds_with_the_next_sign_in()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSignInSiteAsync(o => o.MaxSessionsPerUser = 3);
        var browsers = Enumerable.Range(0, 3).Select(_ => site.NewBrowser()).ToArray();
        foreach (var browser in browsers)
        {
            await browser.GetAsync("/login/ada");
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        // At the limit, in the browser that has been there longest.
        await browsers[0].GetAsync("/login/ada");
        await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 3, what: "the id from before has gone");
        clock.Advance(TimeSpan.FromSeconds(1));
        var strict = await StartSignInSiteAsync(o => o.MaxSessionsPerUser = 2);
        strict.TakeOver(browsers[1]);
        Assert.Equal("ada", await browsers[1].GetAsync("/whoami"));
        var (id, db, used) = (await browsers[1].GetAsync("/id"), await DatabaseAsync(), $"{Fleet.Prefix}user:{{ada}}");
        await Eventually.TrueAsync(async () => await db.SortedSetScoreAsync(used, id) == clock.GetUtcNow().ToUnixTimeMilliseconds(), what: "its heartbeat is noted");

        // In the browser that was used least lately, so that the next one goes.
        await db.SortedSetAddAsync(used, id, 1);
        await browsers[1].GetAsync("/login/ada");
        Assert.Equal(["ada", "ada", ""], [await browsers[0].GetAsync("/whoami"), await browsers[1].GetAsync("/whoami"), await browsers[2].GetAsync("/whoami")]);
        await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 2, what: "the id from before has gone");
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
        Assert.True(await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(await browsers[0].GetAsync("/id"))));
        Assert.Equal("in", await browsers[2].GetAsync("/try"));
    }
}

public sealed class SessionLimitOnGarnet(InProcessGarnet server) : SessionLimitTests(server);

public sealed class SessionLimitOnRedis(LocalRedis server) : SessionLimitTests(server);

public sealed class SessionLimitInContainer(ContainerRedis server) : SessionLimitTests(server);

public sealed class SessionLimitOnGivenServer(GivenRedis server) : SessionLimitTests(server);

public sealed class SessionLimitOnCluster(LocalCluster server) : SessionLimitTests(server);
