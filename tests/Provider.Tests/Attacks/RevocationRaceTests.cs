namespace RedisSessions.Tests.Attacks;

/// <summary>
/// A revocation is over everything that began before it: sessions whose life was changed since they were bound, and whatever
/// another server is in the middle of, however late it arrives.
/// </summary>
public abstract class RevocationRaceTests(RedisServer server) : AttackTest(server)
{
    // More than any of the operations below sends; a hold that comes too late to hold anything is a plain revocation.
    private const int MostCommands = 14;

    public static TheoryData<string, string> Extended
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var how in new[] { "SetIdleTimeout", "ExtendAsync" })
            {
                foreach (var found in new[] { "list", "count", "revoke", "revoke all", "revoke everyone" })
                {
                    data.Add(how, found);
                }
            }

            return data;
        }
    }

    /// <summary>Finding 5. Half an hour later the entry made at sign-in would be over; the session is not.</summary>
    [Theory]
    [MemberData(nameof(Extended))]
    public async Task A_session_whose_life_was_extended_after_binding_is_found_as_long_as_it_lives(string how, string foundBy)
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync(how == "SetIdleTimeout" ? "/remember/ada/30" : "/login/ada");
        if (how == "ExtendAsync")
        {
            Assert.NotNull(await site.Sessions.ExtendAsync(id, TimeSpan.FromDays(30)));
        }

        clock.Advance(TimeSpan.FromMinutes(30));
        Assert.True(await site.Sessions.ExistsAsync(id));
        switch (foundBy)
        {
            case "list":
                Assert.Equal(id, Assert.Single(await Users(site).ListAsync("ada")).Id);
                return;
            case "count":
                Assert.Equal(1, await Users(site).CountAsync("ada"));
                return;
            case "revoke":
                Assert.Equal(RevokeResult.Revoked, await Users(site).RevokeAsync("ada", id));
                break;
            case "revoke all":
                Assert.Equal(1, await Users(site).RevokeAllAsync("ada"));
                break;
            default:
                Assert.Equal(new RevokeEveryoneProgress(1, 1), await Users(site).RevokeEveryoneAsync());
                break;
        }

        Assert.False(await site.Sessions.ExistsAsync(id));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 5, where pruning comes in between: nobody used the session for longer than users are remembered.</summary>
    [Fact]
    public async Task Pruning_forgets_no_user_who_has_a_live_session()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var id = await site.NewBrowser().GetAsync("/remember/ada/90");
        clock.Advance(TimeSpan.FromDays(40));
        await Users(site).PruneAsync();
        Assert.Equal(new RevokeEveryoneProgress(1, 1), await Users(site).RevokeEveryoneAsync());
        Assert.False(await site.Sessions.ExistsAsync(id));
    }

    /// <summary>Finding 5, with a limit: a session that nobody finds does not count, and so there is one too many.</summary>
    [Fact]
    public async Task A_session_whose_life_was_extended_counts_towards_the_limit()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync(o => o.MaxSessionsPerUser = 1);
        var id = await site.NewBrowser().GetAsync("/remember/ada/30");
        clock.Advance(TimeSpan.FromMinutes(30));
        await site.NewBrowser().GetAsync("/login/ada");
        Assert.False(await site.Sessions.ExistsAsync(id));
    }

    /// <summary>
    /// Finding 6. One server is in the middle of it, held before each of its commands in turn; another revokes everything and says
    /// that it is done; then the first goes on.
    /// </summary>
    [Theory]
    [InlineData("/regenerate")]
    [InlineData("/login/ada")]
    [InlineData("/refresh")]
    public async Task What_is_under_way_during_a_revocation_does_not_survive_it(string operation)
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        var warm = slow.NewBrowser();
        foreach (var path in new[] { "/login/warm", "/regenerate", "/refresh" })
        {
            await warm.GetAsync(path);
        }

        // What that sent without waiting for it must not be what is held.
        await slow.Sessions.ExistsAsync(NewSecret());
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var browser = healthy.NewBrowser();
            if (operation != "/login/ada")
            {
                await browser.GetAsync("/login/ada");
            }

            var gate = new Gate(proxy, passes);
            slow.TakeOver(browser);
            var request = StatusAsync(browser, operation);
            await Task.WhenAny(gate.Reached, request);
            await Users(healthy).RevokeAllAsync("ada");
            gate.Open();
            await request;

            // On the same connection, and so behind everything that the request sent without waiting for it.
            proxy.BeforeCommand = null;
            await slow.Sessions.ExistsAsync(NewSecret());

            healthy.TakeOver(browser);
            var user = await browser.GetAsync("/whoami");
            Assert.True(user.Length == 0, $"{operation}, held before command {passes + 1}, survived the revocation.");
            Assert.Empty(await Users(healthy).ListAsync("ada"));
            Assert.Equal(0, await Users(healthy).CountAsync("ada"));
        }
    }

    /// <summary>Nobody has seen this user yet: no list of users leads to a sign-in that is under way.</summary>
    [Fact]
    public async Task A_first_sign_in_that_is_under_way_does_not_survive_a_revocation_of_everyone()
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");
        await slow.Sessions.ExistsAsync(NewSecret());
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var browser = slow.NewBrowser();
            var gate = new Gate(proxy, passes);
            var request = StatusAsync(browser, $"/login/new-{passes}");
            await Task.WhenAny(gate.Reached, request);
            await Users(healthy).RevokeEveryoneAsync();
            proxy.BeforeCommand = null;
            gate.Open();
            await request;
            healthy.TakeOver(browser);
            Assert.True((await browser.GetAsync("/whoami")).Length == 0, $"Held before command {passes + 1}, it survived the revocation.");
            Assert.Empty(await Users(healthy).ListAsync($"new-{passes}"));
        }
    }

    /// <summary>Finding 6. What arrives late enters nothing, so that no list shows and no limit counts what is over.</summary>
    [Fact]
    public async Task A_heartbeat_that_arrives_after_the_revocation_enters_nothing()
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var browser = healthy.NewBrowser();
            await browser.GetAsync("/login/ada");
            clock.Advance(TimeSpan.FromMinutes(2));
            var gate = new Gate(proxy, passes);
            slow.TakeOver(browser);
            var request = StatusAsync(browser, "/none");
            await Task.WhenAny(gate.Reached, request);
            await Users(healthy).RevokeAllAsync("ada");
            gate.Open();
            await request;
            proxy.BeforeCommand = null;
            await slow.Sessions.ExistsAsync(NewSecret());
            Assert.Equal(0, await Users(healthy).CountAsync("ada"));
        }
    }
}

public sealed class RevocationRacesOnGarnet(InProcessGarnet server) : RevocationRaceTests(server);

public sealed class RevocationRacesOnRedis(LocalRedis server) : RevocationRaceTests(server);
