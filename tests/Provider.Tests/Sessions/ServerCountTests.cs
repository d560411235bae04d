using System.Globalization;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Storage;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>What a request costs, counted by Redis itself: its commands, and what it passes on to replicas and the append-only file.</summary>
[Collection(Alone.Name)]
public sealed class ServerCountTests : OwnRedisTest
{
    private const int Requests = 50;

    // The client's, the replica's and this test's own.
    private static readonly HashSet<string> Housekeeping =
        ["ping", "info", "hello", "client", "config", "cluster", "subscribe", "echo", "sentinel", "role", "auth", "select", "get", "command", "replconf", "psync"];

    private static async Task<ConnectionMultiplexer> WithReplicaAsync(RedisProcess master)
    {
        var admin = await ConnectionMultiplexer.ConnectAsync($"{master.Address},allowAdmin=true");
        await Eventually.TrueAsync(async () => (await InfoAsync(admin, "replication")).GetValueOrDefault("slave0", "").Contains("state=online", StringComparison.Ordinal), what: "the replica follows");
        return admin;
    }

    private Task<RedisProcess> ReplicaOfAsync(RedisProcess master) => RedisAsync("--replicaof", "127.0.0.1", $"{master.Port}", "--repl-diskless-sync-delay", "0");

    // A master's own pings to its replicas count, too, so there are none.
    private Task<RedisProcess> MasterAsync() => RedisAsync("--repl-ping-replica-period", "3600", "--repl-diskless-sync-delay", "0");

    private static async Task<Dictionary<string, string>> InfoAsync(ConnectionMultiplexer admin, string section) =>
        (await admin.GetServers()[0].InfoAsync(section)).SelectMany(group => group).ToDictionary(pair => pair.Key, pair => pair.Value);

    private static async Task<Dictionary<string, long>> CommandsAsync(ConnectionMultiplexer admin) => (await InfoAsync(admin, "commandstats"))
        .Select(pair => (Name: pair.Key["cmdstat_".Length..].Split('|')[0], Calls: long.Parse(pair.Value.Split(',')[0]["calls=".Length..], CultureInfo.InvariantCulture)))
        .Where(command => !Housekeeping.Contains(command.Name))
        .GroupBy(command => command.Name)
        .ToDictionary(group => group.Key, group => group.Sum(command => command.Calls));

    private static string Difference(Dictionary<string, long> before, Dictionary<string, long> after) => string.Join(", ", after
        .Select(command => (command.Key, Calls: command.Value - before.GetValueOrDefault(command.Key)))
        .Where(command => command.Calls > 0)
        .OrderBy(command => command.Key, StringComparer.Ordinal)
        .Select(command => $"{command.Key} {command.Calls}"));

    [Fact]
    public async Task A_read_with_a_copy_is_one_HGET_and_reaches_no_replica()
    {
        var master = await MasterAsync();
        await ReplicaOfAsync(master);
        await using var admin = await WithReplicaAsync(master);
        var site = await SiteAsync(master.Address + RedisServer.Patient);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/get/a");

        var (commands, offset) = (await CommandsAsync(admin), (await InfoAsync(admin, "replication"))["master_repl_offset"]);
        for (var i = 0; i < Requests; i++)
        {
            Assert.Equal("1", await browser.GetAsync("/get/a"));
        }

        Assert.Equal($"hget {Requests}", Difference(commands, await CommandsAsync(admin)));
        Assert.Equal(offset, (await InfoAsync(admin, "replication"))["master_repl_offset"]);
    }

    [Theory]
    [InlineData("resp2")]
    [InlineData("resp3")]
    public async Task A_read_of_a_notified_copy_is_nothing_at_all(string protocol)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var master = await MasterAsync();
        await ReplicaOfAsync(master);
        await using var admin = await WithReplicaAsync(master);
        var site = new NotifiedSite(await SiteAsync($"{master.Address},protocol={protocol}{RedisServer.Patient}", options: o => o.LocalCache.Mode = LocalCacheMode.Notified), clock);
        await site.ProvedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await site.IsServedAsync(browser, "/get/a", "1");

        var (commands, offset) = (await CommandsAsync(admin), (await InfoAsync(admin, "replication"))["master_repl_offset"]);
        for (var i = 0; i < Requests; i++)
        {
            Assert.Equal("1", await browser.GetAsync("/get/a"));
        }

        Assert.Equal("", Difference(commands, await CommandsAsync(admin)));
        Assert.Equal(offset, (await InfoAsync(admin, "replication"))["master_repl_offset"]);
    }

    [Fact]
    public async Task A_read_without_a_copy_is_an_HGETALL_and_a_PTTL_and_reaches_no_replica()
    {
        var master = await MasterAsync();
        await ReplicaOfAsync(master);
        await using var admin = await WithReplicaAsync(master);
        var site = await SiteAsync(master.Address + RedisServer.Patient, options: o => o.LocalCache.SizeLimit = 0);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");

        var (commands, offset) = (await CommandsAsync(admin), (await InfoAsync(admin, "replication"))["master_repl_offset"]);
        for (var i = 0; i < Requests; i++)
        {
            Assert.Equal("1", await browser.GetAsync("/get/a"));
        }

        Assert.Equal($"hgetall {Requests}, pttl {Requests}", Difference(commands, await CommandsAsync(admin)));
        Assert.Equal(offset, (await InfoAsync(admin, "replication"))["master_repl_offset"]);
    }

    [Fact]
    public async Task A_write_is_one_HGET_and_one_script()
    {
        // On the wire: Redis counts what a script calls like any other command.
        var proxy = ProxyOf(await RedisAsync());
        var site = await SiteAsync(proxy.Address + RedisServer.Patient);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/set/a/2");
        var before = proxy.Snapshot();
        for (var i = 0; i < 5; i++)
        {
            await browser.GetAsync($"/set/a/{i}");
        }

        Assert.Equal(Enumerable.Repeat<string[]>(["HGET", "EVALSHA"], 5).SelectMany(pair => pair), (proxy.Snapshot() - before).Commands);
    }
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_write_that_needs_no_sliding_makes_its_script_look_at_nothing_but_the_version(bool isBounded)
    {
        var master = await RedisAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{master.Address},allowAdmin=true");
        var site = await SiteAsync(master.Address + RedisServer.Patient, addOns: isBounded ? builder => builder.AddSecurity() : null);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/set/a/2");

        var commands = await CommandsAsync(admin);
        for (var i = 0; i < Requests; i++)
        {
            await browser.GetAsync($"/set/a/{i}");
        }

        Assert.Equal($"evalsha {Requests}, hget {Requests}, hmget {Requests}, hset {Requests}", Difference(commands, await CommandsAsync(admin)));
    }

    [Fact]
    public async Task Writes_slide_a_session_when_a_read_would()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var master = await RedisAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{master.Address},allowAdmin=true");
        var site = await SiteAsync(master.Address + RedisServer.Patient);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/set/a/2");

        // As if it had been written long ago. Then ten minutes with a write every ten seconds, and one slide a minute.
        await admin.GetDatabase().KeyExpireAsync($"{Fleet.Prefix}{{{await browser.GetAsync("/id")}}}", TimeSpan.FromMinutes(1));
        for (var i = 0; i < 60; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(10));
            await browser.GetAsync($"/set/a/{i}");
        }

        await Eventually.TrueAsync(async () => await admin.GetDatabase().KeyTimeToLiveAsync($"{Fleet.Prefix}{{{await browser.GetAsync("/id")}}}") > TimeSpan.FromMinutes(20));
        Assert.InRange((await CommandsAsync(admin))["pttl"], 9, 14);
    }
}
