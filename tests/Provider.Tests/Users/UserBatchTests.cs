using StackExchange.Redis;

namespace RedisSessions.Tests.Users;

/// <summary>More users, and more sessions of one user, than are asked for at a time: each is met, and once.</summary>
public sealed class UserBatchTests(LocalRedis server) : SignInTest(server)
{
    private const int Many = 1_200;

    private string Shard => $"{Fleet.Prefix}users:0";

    private Task<Site> StartAsync() => StartSignInSiteAsync(o => (o.ActivityShards, o.PruneInterval) = (1, TimeSpan.Zero));

    /// <summary>A page may end among users of one millisecond, and all of one page may be of one.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(700)]
    public async Task Active_users_are_met_once_however_many_were_active_in_one_millisecond(int ofOne)
    {
        var (site, db, now) = (await StartAsync(), await DatabaseAsync(), DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
        await db.SortedSetAddAsync(Shard, [.. Enumerable.Range(0, Many).Select(i => new SortedSetEntry($"user{i}", now + i / ofOne))]);
        await db.SortedSetAddAsync(Shard, "before", now - 1);
        var met = await Users(site).GetActiveUsersAsync(DateTimeOffset.FromUnixTimeMilliseconds(now)).ToListAsync();
        Assert.Equal(Many, met.Count);
        Assert.Equal(Many, met.DistinctBy(user => user.UserId).Count());
        Assert.All(met, user => Assert.Equal(now + int.Parse(user.UserId[4..]) / ofOne, user.LastActiveAt.ToUnixTimeMilliseconds()));
        Assert.Equal(met.OrderByDescending(user => user.LastActiveAt), met);
    }

    [Fact]
    public async Task Pruning_leaves_who_has_sessions_and_forgets_who_has_none()
    {
        var (site, db) = (await StartAsync(), await DatabaseAsync());
        var ends = DateTimeOffset.UtcNow.AddDays(1).ToUnixTimeMilliseconds();
        await db.SortedSetAddAsync(Shard, [.. Enumerable.Range(0, Many).Select(i => new SortedSetEntry($"user{i}", i))]);
        await Task.WhenAll(Enumerable.Range(0, Many).Where(i => i % 3 == 0).SelectMany(i => new[]
        {
            db.SortedSetAddAsync($"{Fleet.Prefix}user:{{user{i}}}", NewSecret(), ends),
            db.SortedSetAddAsync($"{Fleet.Prefix}user:{{user{i}}}:over", NewSecret(), ends),
        }));
        Assert.Equal(Many / 3 * 2, await Users(site).PruneAsync());
        var left = (await db.SortedSetRangeByRankAsync(Shard)).Select(user => int.Parse(((string)user!)[4..])).ToArray();
        Assert.Equal(Enumerable.Range(0, Many / 3).Select(i => i * 3), left);
    }

    [Fact]
    public async Task A_page_of_sessions_begins_where_the_one_before_ended()
    {
        var (site, ids) = (await StartAsync(), new HashSet<string>());
        for (var i = 0; i < 5; i++)
        {
            ids.Add(await site.NewBrowser().GetAsync("/login/ada"));
        }

        var pages = new List<string[]>();
        for (var skip = 0; skip < 6; skip += 2)
        {
            pages.Add([.. (await Users(site).ListAsync("ada", skip, take: 2)).Select(session => session.Id)]);
        }

        Assert.Equal([2, 2, 1], pages.Select(page => page.Length));
        Assert.Equal(ids.Order(), pages.SelectMany(page => page).Order());
    }

    /// <summary>Those that are spared stand in front of the others.</summary>
    [Fact]
    public async Task All_but_one_of_a_users_sessions_are_revoked()
    {
        var (site, db, over) = (await StartAsync(), await DatabaseAsync(), $"{Fleet.Prefix}user:{{ada}}:over");
        var (spared, others) = (await site.NewBrowser().GetAsync("/login/ada"), new List<string>());
        await db.SortedSetAddAsync(over, spared, 1);
        await db.SortedSetAddAsync(over, [.. Enumerable.Range(2, Many).Select(i => new SortedSetEntry(Guid.NewGuid().ToString(), i))]);
        for (var i = 0; i < 3; i++)
        {
            others.Add(await site.NewBrowser().GetAsync("/login/ada"));
        }

        Assert.Equal(3, await Users(site).RevokeAllAsync("ada", spared));
        Assert.Equal(spared, Assert.Single(await db.SortedSetRangeByRankAsync(over)));
        Assert.True(await site.Sessions.ExistsAsync(spared));
        foreach (var other in others)
        {
            Assert.False(await site.Sessions.ExistsAsync(other));
        }
    }

    /// <summary>Who is only remembered as having been active had none to end.</summary>
    [Fact]
    public async Task Users_without_sessions_are_not_counted_as_signed_out()
    {
        var (site, db) = (await StartAsync(), await DatabaseAsync());
        await site.NewBrowser().GetAsync("/login/ada");
        await db.SortedSetAddAsync(Shard, [.. Enumerable.Range(0, Many / 2).Select(i => new SortedSetEntry($"user{i}", i))]);
        var reports = new List<RevokeEveryoneProgress>();
        Assert.Equal(new RevokeEveryoneProgress(1, 1), await Users(site).RevokeEveryoneAsync(new Reports(reports)));
        Assert.Equal(2, reports.Count);
        Assert.Equal(default, await Users(site).RevokeEveryoneAsync());
    }

    private sealed class Reports(List<RevokeEveryoneProgress> all) : IProgress<RevokeEveryoneProgress>
    {
        public void Report(RevokeEveryoneProgress value) => all.Add(value);
    }
}
