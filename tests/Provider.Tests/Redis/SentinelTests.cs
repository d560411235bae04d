using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Redis;
using RedisSessions.Tests.Storage;
using StackExchange.Redis;

namespace RedisSessions.Tests.Redis;

/// <summary>Sentinels that promote another server: the one that was master before, dead, frozen or back again, gets nothing any more.</summary>
[Collection(Alone.Name)]
public sealed class SentinelTests : OwnRedisTest
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    private static async Task<long> CommandsAsync(RedisProcess server)
    {
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{server.Address},allowAdmin=true");
        return (await admin.GetServers()[0].InfoAsync("commandstats")).SelectMany(group => group)
            .Where(pair => pair.Key is "cmdstat_hget" or "cmdstat_hgetall" or "cmdstat_evalsha" or "cmdstat_eval")
            .Sum(pair => long.Parse(pair.Value.Split(',')[0]["calls=".Length..], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static Task IsConnectedToAsync(Site site, RedisProcess server) => Eventually.TrueAsync(
        () => site.Services.GetRequiredService<RedisConnection>().Database?.Multiplexer.GetEndPoints()[0].ToString() == server.Address,
        what: "it is connected to the master");

    private static async Task<RedisProcess> PromotedAsync(SentinelProcesses sentinels, RedisProcess former)
    {
        RedisProcess? master = null;
        await Eventually.TrueAsync(async () => (master = await sentinels.FindMasterAsync()) is not null && master != former, what: "another server is the master");
        return master!;
    }

    [Fact]
    public async Task A_dead_master_fails_no_request()
    {
        var sentinels = await SentinelsAsync();
        var site = await SiteAsync(sentinels.Address, options: o => o.WaitForFailover = Bound);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var former = sentinels.Servers[0];
        await using (var admin = await ConnectionMultiplexer.ConnectAsync(former.Address))
        {
            await admin.GetDatabase().ExecuteAsync("WAIT", 2, 5000);
        }

        former.Stop();
        Assert.Equal("ok", await browser.GetAsync("/set/b/2"));
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
        Assert.Equal("3", await Again(site.NewBrowser(), "3"));

        static async Task<string> Again(Browser stranger, string value)
        {
            await stranger.GetAsync($"/set/a/{value}");
            return await stranger.GetAsync("/get/a");
        }
    }

    [Fact]
    public async Task A_frozen_master_that_comes_back_gets_nothing_though_it_calls_itself_master()
    {
        var sentinels = await SentinelsAsync();
        var site = await SiteAsync(sentinels.Address, options: o => o.WaitForFailover = Bound);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var former = sentinels.Servers[0];
        former.Pause();
        RedisProcess master;
        try
        {
            Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
            master = await PromotedAsync(sentinels, former);
        }
        finally
        {
            former.Resume();
        }

        // What reached it while it was frozen it does now; it is a master until a Sentinel tells it otherwise.
        await IsConnectedToAsync(site, master);
        var before = await CommandsAsync(former);
        var watch = Stopwatch.StartNew();
        for (var i = 0; watch.Elapsed < TimeSpan.FromSeconds(1); i++)
        {
            Assert.Equal("ok", await browser.GetAsync($"/set/a/{i}"));
            Assert.Equal($"{i}", await browser.GetAsync("/get/a"));
        }

        Assert.Equal(before, await CommandsAsync(former));
    }

    /// <summary>It is empty, calls itself a master, and is the one that the host was connected to; only the Sentinels know better.</summary>
    [Fact]
    public async Task A_master_that_starts_again_is_not_gone_back_to_before_the_Sentinels_were_asked()
    {
        var sentinels = await SentinelsAsync();
        var ways = sentinels.Sentinels.Select(ProxyOf).ToArray();
        var address = $"{string.Join(',', ways.Select(way => way.Address))},serviceName={SentinelProcesses.ServiceName}";
        var site = await SiteAsync(address, options: o => o.WaitForFailover = Bound);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var former = sentinels.Servers[0];
        await using (var admin = await ConnectionMultiplexer.ConnectAsync(former.Address))
        {
            await admin.GetDatabase().ExecuteAsync("WAIT", 2, 5000);
        }

        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var way in ways)
        {
            way.BeforeReply = _ => gate.Task;
        }

        former.Stop();
        await PromotedAsync(sentinels, former);
        await former.StartAgainAsync();
        var request = browser.GetAsync("/get/a");
        Assert.NotSame(request, await Task.WhenAny(request, Task.Delay(500)));
        gate.SetResult();
        Assert.Equal("1", await request);
    }

    [Fact]
    public async Task Sentinels_that_hang_or_are_gone_are_done_without()
    {
        var sentinels = await SentinelsAsync();
        sentinels.Sentinels[0].Stop();
        var site = await SiteAsync(sentinels.Address + RedisServer.Patient, options: o => o.WaitForFailover = Bound);
        Assert.Equal("ok", await site.NewBrowser().GetAsync("/set/a/1"));
    }

    /// <summary>The servers of a fleet may learn of a fail-over at different times: none may use its copy on the word of a master that is none.</summary>
    [Fact]
    public async Task A_notified_copy_is_not_used_after_a_failover_until_the_new_master_is_heard()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var sentinels = await SentinelsAsync();
        async Task<NotifiedSite> StartAsync() => new(
            await SiteAsync(sentinels.Address, options: o => (o.WaitForFailover, o.LocalCache.Mode) = (Bound, LocalCacheMode.Notified)), clock);
        var (one, two) = (await StartAsync(), await StartAsync());
        await one.ProvedAsync();
        await two.ProvedAsync();
        var browser = one.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var elsewhere = browser.Copy();
        two.Site.TakeOver(elsewhere);
        await two.IsServedAsync(elsewhere, "/get/a", "1");

        var former = sentinels.Servers[0];
        former.Pause();
        RedisProcess master;
        try
        {
            await browser.GetAsync("/set/a/2");
            master = await PromotedAsync(sentinels, former);
        }
        finally
        {
            former.Resume();
        }

        // Its own clock stands still, so by age alone the last proof holds.
        await IsConnectedToAsync(two.Site, master);
        await browser.GetAsync("/set/a/3");
        Assert.Equal("3", await elsewhere.GetAsync("/get/a"));
        await two.ProvedAsync();
        await two.IsServedAsync(elsewhere, "/get/a", "3");
        await browser.GetAsync("/set/a/4");
        await Eventually.TrueAsync(async () => await elsewhere.GetAsync("/get/a") == "4", what: "the change is heard");
    }
}
