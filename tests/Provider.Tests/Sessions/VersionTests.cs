using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// Redis that forgets what it acknowledged (a failover, a restored backup, an append-only file that was not synced): two servers
/// must not come to the same version by different roads, or one of them never sees what the other wrote.
/// </summary>
public abstract class VersionTests(RedisServer server) : ServerTest(server)
{
    private async Task RestoreAsync(string id, HashEntry[] fields)
    {
        var db = await DatabaseAsync();
        await db.KeyDeleteAsync(KeyOf(id));
        await db.HashSetAsync(KeyOf(id), fields);
        await db.KeyExpireAsync(KeyOf(id), TimeSpan.FromMinutes(20));
    }

    [Theory]
    [InlineData("request")]
    [InlineData("repository")]
    public async Task A_commit_of_another_server_in_place_of_one_that_redis_lost_is_seen(string by)
    {
        var here = await StartAsync(Pages.Map);
        var elsewhere = await StartAsync(Pages.Map);
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        var backup = await (await DatabaseAsync()).HashGetAllAsync(KeyOf(id));
        await browser.GetAsync("/set/lost/1");
        Assert.Equal("a,lost", await browser.GetAsync("/keys"));

        await RestoreAsync(id, backup);
        if (by == "repository")
        {
            Assert.True(await elsewhere.Sessions.SetFieldAsync(id, "kept", "2"u8.ToArray()));
        }
        else
        {
            elsewhere.TakeOver(browser);
            await browser.GetAsync("/set/kept/2");
        }

        here.TakeOver(browser);
        Assert.Equal("a,kept", await browser.GetAsync("/keys"));
        Assert.Equal("2", await browser.GetAsync("/get/kept"));
    }

    [Fact]
    public async Task An_encrypted_increment_adds_to_what_redis_holds_and_not_to_a_sum_that_redis_lost()
    {
        var here = await StartAsync(addOns: builder => builder.AddEncryption());
        var elsewhere = await StartAsync(addOns: builder => builder.AddEncryption());
        var secret = NewSecret();
        var session = Open(here, secret, isNew: true);
        Assert.Equal(1, await session.IncrementAsync("hits"));
        var backup = await (await DatabaseAsync()).HashGetAllAsync(KeyOf(session.Id));
        Assert.Equal(101, await Open(here, secret).IncrementAsync("hits", 100));

        await RestoreAsync(session.Id, backup);
        Assert.Equal(2, await Open(elsewhere, secret).IncrementAsync("hits"));
        Assert.Equal(3, await Open(here, secret).IncrementAsync("hits"));
        Assert.Equal("3", Open(elsewhere, secret).GetString("hits"));
    }

    [Fact]
    public async Task A_request_that_loaded_before_redis_lost_a_commit_does_not_hide_another_servers_commit()
    {
        var holds = new SemaphoreSlim(0);
        var go = new SemaphoreSlim(0);
        var here = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/hold", async (HttpContext context) =>
            {
                context.Session.SetString("mine", "1");
                holds.Release();
                await go.WaitAsync();
            });
        });
        var elsewhere = await StartAsync(Pages.Map);
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        var backup = await (await DatabaseAsync()).HashGetAllAsync(KeyOf(id));
        await browser.GetAsync("/set/lost/1");
        var holding = browser.Copy().GetAsync("/hold");
        await holds.WaitAsync();

        await RestoreAsync(id, backup);
        var other = browser.Copy();
        elsewhere.TakeOver(other);
        await other.GetAsync("/set/kept/2");
        go.Release();
        await holding;
        Assert.Equal("a,kept,mine", await browser.GetAsync("/keys"));
    }
}

public sealed class VersionOnGarnet(InProcessGarnet server) : VersionTests(server);

public sealed class VersionOnRedis(LocalRedis server) : VersionTests(server);

public sealed class VersionInContainer(ContainerRedis server) : VersionTests(server);

/// <summary>The same with a redis-server that really comes back from its last snapshot.</summary>
public sealed class RestoredSnapshotTests : IAsyncDisposable
{
    private readonly List<Site> _sites = [];
    private RedisProcess? _redis;

    public RestoredSnapshotTests() => RedisServer.SkipUnlessInstalled();

    private async Task<Site> SiteAsync(Fleet fleet)
    {
        var site = await Site.StartAsync(_redis!.Address + RedisServer.Patient, Pages.Map, fleet);
        _sites.Add(site);
        return site;
    }

    [Fact]
    public async Task What_another_server_writes_after_redis_came_back_from_a_snapshot_is_seen()
    {
        _redis = await RedisProcess.StartAsync();
        var fleet = new Fleet();
        var (here, elsewhere) = (await SiteAsync(fleet), await SiteAsync(fleet));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using (var admin = await ConnectionMultiplexer.ConnectAsync($"{_redis.Address},allowAdmin=true"))
        {
            await admin.GetDatabase().ExecuteAsync("SAVE");
        }

        await browser.GetAsync("/set/lost/1");
        _redis.Stop();
        await _redis.StartAgainAsync();
        elsewhere.TakeOver(browser);
        await Eventually.TrueAsync(async () => await browser.GetAsync("/get/a") == "1");
        await browser.GetAsync("/set/kept/2");
        here.TakeOver(browser);
        await Eventually.TrueAsync(async () => await browser.GetAsync("/get/a") == "1");
        Assert.Equal("a,kept", await browser.GetAsync("/keys"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var site in _sites)
        {
            await site.DisposeAsync();
        }

        _redis?.Dispose();
    }
}
