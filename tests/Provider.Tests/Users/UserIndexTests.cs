using Microsoft.Extensions.Time.Testing;
using StackExchange.Redis;

namespace RedisSessions.Tests.Users;

/// <summary>What is in the index is what is in use.</summary>
public abstract class UserIndexTests(RedisServer server) : SignInTest(server)
{
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
        var id = await site.NewBrowser().GetAsync("/login/ada");
        var db = await DatabaseAsync();
        var ttl = (await db.KeyTimeToLiveAsync($"{Fleet.Prefix}user:{{ada}}"))!.Value;
        Assert.InRange(ttl, TimeSpan.FromMinutes(21), TimeSpan.FromMinutes(22));
        var activity = (await db.KeyTimeToLiveAsync($"{Fleet.Prefix}users:0"))!.Value;
        Assert.InRange(activity, TimeSpan.FromHours(2.49), TimeSpan.FromHours(2.5));

        Assert.Equal(0, await Users(site).PruneAsync());
        clock.Advance(TimeSpan.FromHours(2.1));

        // As long as its hash is there the session is, whatever the clock says.
        Assert.Equal(0, await Users(site).PruneAsync());
        await db.KeyDeleteAsync(KeyOf(id));
        clock.Advance(TimeSpan.FromHours(2.1));
        Assert.Equal(1, await Users(site).PruneAsync());
        Assert.Equal(0, await db.SortedSetLengthAsync($"{Fleet.Prefix}users:0"));
    }

    /// <summary>Longer than any session that was begun before may live.</summary>
    [Fact]
    public async Task A_revocation_is_remembered_as_long_as_any_session_may_live_that_it_is_for()
    {
        var site = await StartSignInSiteAsync(o => (o.ActivityRetention, o.ActivityShards) = (TimeSpan.FromHours(2), 1));
        var db = await DatabaseAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        await Users(site).RevokeAllAsync("ada");
        Assert.InRange(await LeftAsync("user:{ada}:revoked"), TimeSpan.FromHours(2.99), TimeSpan.FromHours(3));
        id = await browser.GetAsync("/login/ada");
        await site.Sessions.ExtendAsync(id, TimeSpan.FromDays(90));
        await Eventually.TrueAsync(async () => await LeftAsync("user:{ada}:over") > TimeSpan.FromDays(90), what: "the entry lives as long as the session");
        await Users(site).RevokeAllAsync("ada", id);
        Assert.InRange(await LeftAsync("user:{ada}:revoked"), TimeSpan.FromDays(90), TimeSpan.FromDays(90.1));
        Assert.Equal(["at", id], (await db.HashKeysAsync($"{Fleet.Prefix}user:{{ada}}:revoked")).Select(field => (string)field!).OrderBy(field => field.Length));

        // Who is found by it is found as long; whoever else is active since.
        Assert.InRange(await LeftAsync("users:0"), TimeSpan.FromDays(90), TimeSpan.FromDays(90.1));
        await site.NewBrowser().GetAsync("/login/grace");
        Assert.InRange(await LeftAsync("users:0"), TimeSpan.FromDays(90), TimeSpan.FromDays(90.1));

        // What was spared is not spared for ever, and the keys of what has gone do not stay as long as that would have.
        await browser.GetAsync("/login/ada");
        Assert.Equal(RevokeResult.Revoked, await Users(site).RevokeAsync("ada", await browser.GetAsync("/id")));
        await site.NewBrowser().GetAsync("/login/ada");
        Assert.InRange(await LeftAsync("user:{ada}:over"), TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(23));
        await Users(site).RevokeAllAsync("ada");
        Assert.Equal("at", Assert.Single(await db.HashKeysAsync($"{Fleet.Prefix}user:{{ada}}:revoked")));

        async Task<TimeSpan> LeftAsync(string key) => (await db.KeyTimeToLiveAsync(Fleet.Prefix + key))!.Value;
    }

    [Fact]
    public async Task Where_sessions_live_longer_than_activity_is_remembered_a_revocation_is_remembered_as_long_as_they()
    {
        var site = await StartSignInSiteAsync(
            o => o.ActivityRetention = TimeSpan.FromHours(2), services: services => services.AddSession(o => o.IdleTimeout = TimeSpan.FromHours(5)));
        await site.NewBrowser().GetAsync("/login/ada");
        await Users(site).RevokeAllAsync("ada");
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync($"{Fleet.Prefix}user:{{ada}}:revoked"))!.Value, TimeSpan.FromHours(5.99), TimeSpan.FromHours(6));
    }

    /// <summary>However many sessions have gone, no reader waits for all of them: a thousand a call, and the next goes on.</summary>
    [Fact]
    public async Task A_reader_looks_after_a_thousand_entries_that_are_past_their_time()
    {
        var site = await StartSignInSiteAsync();
        await site.NewBrowser().GetAsync("/login/ada");
        var db = await DatabaseAsync();
        string[] gone = [.. Enumerable.Range(0, 1_500).Select(_ => Guid.NewGuid().ToString())];
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{ada}}", [.. gone.Select(id => new SortedSetEntry(id, 1))]);
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{ada}}:over", [.. gone.Select(id => new SortedSetEntry(id, 1))]);
        Assert.Equal(501, await Users(site).CountAsync("ada"));
        Assert.Equal(1, await Users(site).CountAsync("ada"));
    }

    /// <summary>Its session lives, and was not used since the entry was made: it counts, and for as long as that will.</summary>
    [Fact]
    public async Task An_entry_that_is_past_its_time_goes_on_with_its_session()
    {
        var site = await StartSignInSiteAsync(o => o.RefreshInterval = TimeSpan.FromMinutes(5));
        var id = await site.NewBrowser().GetAsync("/login/ada");
        var (db, over) = (await DatabaseAsync(), $"{Fleet.Prefix}user:{{ada}}:over");
        await db.SortedSetAddAsync(over, id, 1);
        Assert.Equal(1, await Users(site).CountAsync("ada"));
        var left = await db.SortedSetScoreAsync(over, id) - DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        Assert.InRange(TimeSpan.FromMilliseconds(left!.Value) - (await db.KeyTimeToLiveAsync(KeyOf(id)))!.Value, TimeSpan.FromMinutes(4.5), TimeSpan.FromMinutes(5.5));
    }

    /// <summary>The index only finds; whose a session is its hash says, to the letter.</summary>
    [Theory]
    [InlineData("grace")]
    [InlineData("Ada")]
    public async Task An_entry_of_anothers_session_does_not_count(string another)
    {
        var site = await StartSignInSiteAsync();
        var id = await site.NewBrowser().GetAsync("/login/ada");
        var db = await DatabaseAsync();
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{{another}}}", id, 1);
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{{another}}}:over", id, double.PositiveInfinity);
        Assert.Empty(await Users(site).ListAsync(another));
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{{another}}}", id, 1);
        await db.SortedSetAddAsync($"{Fleet.Prefix}user:{{{another}}}:over", id, 1);
        Assert.Equal(0, await Users(site).CountAsync(another));
        Assert.Equal(1, await Users(site).CountAsync("ada"));
    }

    /// <summary>What stands around an id in its keys is never taken for part of one.</summary>
    [Fact]
    public async Task A_user_may_be_called_whatever_the_keys_are_made_of()
    {
        var site = await StartSignInSiteAsync();
        string[] users = ["}x", ":}x", "::}x", "{x", "x}"];
        foreach (var user in users)
        {
            await site.NewBrowser().GetAsync($"/login/{Uri.EscapeDataString(user)}");
        }

        foreach (var user in users)
        {
            Assert.Equal(1, await Users(site).CountAsync(user));
            Assert.Single(await Users(site).ListAsync(user));
        }
    }

    [Fact]
    public async Task Users_are_spread_over_the_shards()
    {
        var site = await StartSignInSiteAsync(o => o.ActivityShards = 4);
        for (var i = 0; i < 20; i++)
        {
            await site.NewBrowser().GetAsync($"/login/user{i}");
        }

        var db = await DatabaseAsync();
        var lengths = await Task.WhenAll(Enumerable.Range(0, 4).Select(shard => db.SortedSetLengthAsync($"{Fleet.Prefix}users:{shard}")));
        Assert.Equal(20, lengths.Sum());
        Assert.All(lengths, length => Assert.InRange(length, 1, 12));
    }

    /// <summary>A key that is over at once would take along whose hash is still to be looked at.</summary>
    [Fact]
    public async Task The_keys_of_a_users_short_sessions_stay_for_a_minute()
    {
        var site = await StartSignInSiteAsync(
            o => o.RefreshInterval = TimeSpan.FromSeconds(1),
            services: services => services.AddSession(o => o.IdleTimeout = TimeSpan.FromSeconds(10)));
        await site.NewBrowser().GetAsync("/login/ada");
        foreach (var key in new[] { "user:{ada}", "user:{ada}:over" })
        {
            Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(Fleet.Prefix + key))!.Value, TimeSpan.FromSeconds(50), TimeSpan.FromSeconds(60));
        }
    }

    /// <summary>Whoever prolongs it, by its id and from outside, is not its user.</summary>
    [Fact]
    public async Task A_session_that_is_prolonged_makes_nobody_active()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSignInSiteAsync(o => o.ActivityShards = 1);
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        var db = await DatabaseAsync();
        clock.Advance(TimeSpan.FromMinutes(1));
        await site.Sessions.ExtendAsync(id, TimeSpan.FromDays(90));
        await Eventually.TrueAsync(
            async () => await db.KeyTimeToLiveAsync($"{Fleet.Prefix}users:0") > TimeSpan.FromDays(90), what: "the user is found as long as the session lives");
        Assert.Empty(await Users(site).GetActiveUsersAsync(clock.GetUtcNow()).ToListAsync());
        Assert.Single(await Users(site).GetActiveUsersAsync(clock.GetUtcNow() - TimeSpan.FromMinutes(1)).ToListAsync());

        // The user is; and one whom the index has lost is to be found again all the same.
        await browser.GetAsync("/none");
        await Eventually.TrueAsync(async () => await Users(site).GetActiveUsersAsync(clock.GetUtcNow()).AnyAsync(), what: "the heartbeat is noted");
        await db.KeyDeleteAsync($"{Fleet.Prefix}users:0");
        await site.Sessions.ExtendAsync(id, TimeSpan.FromDays(90));
        await Eventually.TrueAsync(async () => await db.SortedSetLengthAsync($"{Fleet.Prefix}users:0") == 1, what: "the user is found again");
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
}

public sealed class UserIndexOnGarnet(InProcessGarnet server) : UserIndexTests(server);

public sealed class UserIndexOnRedis(LocalRedis server) : UserIndexTests(server);

public sealed class UserIndexInContainer(ContainerRedis server) : UserIndexTests(server);

public sealed class UserIndexOnGivenServer(GivenRedis server) : UserIndexTests(server);

public sealed class UserIndexOnCluster(LocalCluster server) : UserIndexTests(server);

public sealed class UserIndexOnSentinel(LocalSentinel server) : UserIndexTests(server);

public sealed class UserIndexUnderAcl(AclRedis server) : UserIndexTests(server);
