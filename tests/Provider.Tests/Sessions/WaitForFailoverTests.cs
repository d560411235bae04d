using System.Diagnostics;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>Requests that meet a Redis which restarts, is demoted, promoted, loads its data or lacks its replicas; and one that stays away.</summary>
[Collection(Alone.Name)]
public sealed class WaitForFailoverTests : OwnRedisTest
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    private Task<Site> WaitingSiteAsync(string redis) => SiteAsync(redis, options: o => o.WaitForFailover = Bound);

    private static Task<ConnectionMultiplexer> AdminOf(RedisProcess redis) => ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");

    /// <summary>Whether something waits for as long as the trouble lasts.</summary>
    private static async Task<T> WaitsAsync<T>(Task<T> request, Func<Task> end)
    {
        Assert.True(await Task.WhenAny(request, Task.Delay(300)) != request, $"It did not wait: {(request.IsCompletedSuccessfully ? request.Result : request.Exception)}");
        await end();
        return await request;
    }

    [Fact]
    public async Task A_write_waits_until_a_replica_is_promoted()
    {
        var redis = await RedisAsync();
        var site = await WaitingSiteAsync(redis.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using var admin = await AdminOf(redis);
        var server = admin.GetServers()[0];

        // Of a master that is not there, so that it keeps what it has.
        await server.ExecuteAsync("REPLICAOF", "127.0.0.1", "1");
        Assert.Equal("ok", await WaitsAsync(browser.GetAsync("/set/a/2"), () => server.ExecuteAsync("REPLICAOF", "NO", "ONE")));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_write_waits_until_there_are_replicas_enough()
    {
        var redis = await RedisAsync();
        var site = await WaitingSiteAsync(redis.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using var admin = await AdminOf(redis);
        var server = admin.GetServers()[0];
        await server.ConfigSetAsync("min-replicas-to-write", "1");
        Assert.Equal("ok", await WaitsAsync(browser.GetAsync("/set/a/2"), () => server.ConfigSetAsync("min-replicas-to-write", "0")));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_read_waits_until_a_replica_has_a_master_again()
    {
        var redis = await RedisAsync("--replica-serve-stale-data", "no");
        var site = await WaitingSiteAsync(redis.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using var admin = await AdminOf(redis);
        var server = admin.GetServers()[0];
        await server.ExecuteAsync("REPLICAOF", "127.0.0.1", "1");
        Assert.Equal("1", await WaitsAsync(browser.GetAsync("/get/a"), () => server.ExecuteAsync("REPLICAOF", "NO", "ONE")));
    }

    /// <summary>The end of a request that read nothing waits for its load in the background, and whoever reads the session after that meets what the load met.</summary>
    [Fact]
    public async Task Who_reads_after_a_load_was_given_up_meets_the_clients_exception()
    {
        var redis = await RedisAsync();
        var (hasCommitted, mayRead) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var site = Keep(await Site.StartAsync(
            redis.Address,
            app =>
            {
                Pages.Map(app);
                app.MapGet("/late", [SessionPreload(false)] async (HttpContext context) =>
                {
                    await context.Session.CommitAsync();
                    hasCommitted.SetResult();
                    await mayRead.Task;
                    return (await Record.ExceptionAsync(() => context.Session.LoadAsync()))?.GetType().Name;
                });
            },
            Fleet,
            o => o.WaitForFailover = TimeSpan.FromMilliseconds(200),
            useSession: app => ((IApplicationBuilder)app).UseSession()));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/get/a");
        redis.Pause();
        var late = browser.GetAsync("/late");
        await hasCommitted.Task;
        redis.Stop();
        await Eventually.TrueAsync(() => site.Log.Entries.Any(entry => entry.Id.Id == 106), what: "the background has given up");
        mayRead.SetResult();
        Assert.Equal(nameof(RedisConnectionException), await late);
    }

    [Fact]
    public async Task All_wait_for_a_restart_whatever_they_do()
    {
        // With its data, as after a crash.
        var redis = await RedisAsync("--appendonly", "yes", "--appendfsync", "always");
        var site = await WaitingSiteAsync(redis.Address);
        var (reader, writer, leaving, turning, stranger) = (site.NewBrowser(), site.NewBrowser(), site.NewBrowser(), site.NewBrowser(), site.NewBrowser());
        foreach (var browser in new[] { reader, writer, leaving, turning })
        {
            await browser.GetAsync("/set/a/1");
        }

        redis.Stop();
        var requests = Task.WhenAll(
            reader.GetAsync("/get/a"), writer.GetAsync("/set/a/2"), leaving.GetAsync("/destroy"), turning.GetAsync("/regenerate"), stranger.GetAsync("/set/a/3"));
        await WaitsAsync(requests, () => redis.StartAgainAsync());
        Assert.Equal("1", (await requests)[0]);
        Assert.Equal("2", await writer.GetAsync("/get/a"));
        Assert.Equal("", await leaving.GetAsync("/get/a"));
        Assert.Equal("1", await turning.GetAsync("/get/a"));
        Assert.Equal("3", await stranger.GetAsync("/get/a"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= Microsoft.Extensions.Logging.LogLevel.Warning);
    }

    [Fact]
    public async Task A_synchronous_read_waits_too()
    {
        var redis = await RedisAsync("--appendonly", "yes", "--appendfsync", "always");
        var site = await SiteAsync(redis.Address, options: o => (o.WaitForFailover, o.PreloadSession) = (Bound, false));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        redis.Stop();
        Assert.Equal("1", await WaitsAsync(browser.GetAsync("/get/a"), () => redis.StartAgainAsync()));
    }

    [Fact]
    public async Task A_redis_that_stays_away_costs_the_first_requests_a_wait_and_later_ones_none()
    {
        var redis = await RedisAsync();
        var site = await SiteAsync(redis.Address, options: o => o.WaitForFailover = TimeSpan.FromSeconds(1));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        redis.Stop();
        var watch = Stopwatch.StartNew();
        Assert.Equal("", await browser.GetAsync("/get/a"));
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(0.9), TimeSpan.FromSeconds(3));
        watch.Restart();
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("", await browser.GetAsync("/get/a"));
            Assert.Equal("ok", await site.NewBrowser().GetAsync("/set/a/1"));
        }

        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"Ten pages took {watch.Elapsed}.");
    }

    [Fact]
    public async Task The_sessions_own_time_out_is_never_exceeded()
    {
        var redis = await RedisAsync();
        var site = await SiteAsync(redis.Address, options: o => o.WaitForFailover = Bound, ioTimeout: TimeSpan.FromMilliseconds(400));
        var browser = site.NewBrowser();
        await Eventually.TrueAsync(async () => (await browser.TryAsync("/set/a/1")).Status == System.Net.HttpStatusCode.OK);
        redis.Stop();
        var watch = Stopwatch.StartNew();
        Assert.Equal("", await browser.GetAsync("/get/a"));
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(0.3), TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task Without_a_wait_a_refused_commit_fails_at_once()
    {
        var redis = await RedisAsync();
        var site = await SiteAsync(redis.Address, options: o => o.WaitForFailover = TimeSpan.Zero);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using var admin = await AdminOf(redis);
        await admin.GetServers()[0].ExecuteAsync("REPLICAOF", "127.0.0.1", "1");
        var watch = Stopwatch.StartNew();
        Assert.Contains("READONLY", (await browser.TryAsync("/set/a/2")).Body, StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"The page took {watch.Elapsed}.");
    }

    [Fact]
    public async Task A_full_redis_is_not_waited_for()
    {
        var redis = await RedisAsync();
        var site = await WaitingSiteAsync(redis.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using var admin = await AdminOf(redis);
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "1");
        var watch = Stopwatch.StartNew();
        Assert.Contains("OOM", (await browser.TryAsync("/set/a/2")).Body, StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2), $"The page took {watch.Elapsed}.");
    }
}
