using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.Extensions.Time.Testing;
using StackExchange.Redis;

namespace RedisSessions.Tests.Live;

/// <summary>What keeps a session alive, and what does not; and what is told of live connections.</summary>
public sealed class LiveTrafficTests : OwnRedisTest
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(20);

    private async Task<(LiveSite Site, Browser Browser, Func<Task<TimeSpan>> Life, IDatabase Database, string Key)> BeginAsync(LiveTraffic keepAlive, string? redis = null)
    {
        redis ??= (await RedisAsync()).Address;
        var site = Keep(await LiveSite.StartAsync(redis + RedisServer.Patient, Fleet, options => options.KeepAlive = keepAlive, options: options => options.LocalCache.SizeLimit = 0));
        await site.HearsAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var connection = Keep(await ConnectionMultiplexer.ConnectAsync(redis));
        var (database, key) = (connection.GetDatabase(), $"{Fleet.Prefix}{{{await browser.GetAsync("/id")}}}");
        return (site, browser, async () => (await database.KeyTimeToLiveAsync(key))!.Value, database, key);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_call_of_a_hub_is_a_use_of_the_session(HttpTransportType transport)
    {
        var (site, browser, life, database, key) = await BeginAsync(LiveTraffic.Messages);
        await using var client = await site.ConnectAsync(browser, transport);
        await database.KeyExpireAsync(key, Idle / 2);
        await client.SayAsync("hello");
        await Eventually.TrueAsync(async () => await life() > Idle - TimeSpan.FromMinutes(1), what: "the session is slid");
    }

    public static TheoryData<HttpTransportType> Transports => [.. LiveSite.Transports];

    [Fact]
    public async Task A_message_over_a_socket_is_a_use_of_the_session()
    {
        var (site, browser, life, database, key) = await BeginAsync(LiveTraffic.Messages);
        using var socket = await site.OpenSocketAsync(browser);
        await database.KeyExpireAsync(key, Idle / 2);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        await Eventually.TrueAsync(async () => await life() > Idle - TimeSpan.FromMinutes(1), what: "the session is slid");
    }

    [Fact]
    public async Task Many_calls_slide_once()
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (site, browser, _, _, _) = await BeginAsync(LiveTraffic.Messages, proxy.Address);
        await using var client = await site.ConnectAsync(browser);
        var before = proxy.Snapshot();
        for (var i = 0; i < 100; i++)
        {
            await client.SayAsync("hello");
        }

        Assert.InRange((proxy.Snapshot() - before).Commands.Count(static command => command.StartsWith("EVAL", StringComparison.Ordinal)), 0, 20);
    }

    [Theory]
    [InlineData(HttpTransportType.LongPolling)]
    [InlineData(HttpTransportType.ServerSentEvents)]
    public async Task Polls_and_pings_are_none(HttpTransportType transport)
    {
        var (site, browser, life, database, key) = await BeginAsync(LiveTraffic.Messages);
        await using var client = await site.ConnectAsync(browser, transport, pings: TimeSpan.FromMilliseconds(100));
        await database.KeyExpireAsync(key, Idle / 2);
        var (polls, posts) = (site.Polls, site.Posts);
        await Eventually.TrueAsync(() => site.Polls > polls + 2 || site.Posts > posts, what: "the client polls and pings");
        Assert.InRange(await life(), TimeSpan.Zero, Idle / 2);

        await browser.GetAsync("/get/a");
        await Eventually.TrueAsync(async () => await life() > Idle - TimeSpan.FromMinutes(1), what: "a request slides it");
    }

    [Fact]
    public async Task An_open_connection_is_a_use_where_that_is_wanted()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var (site, browser, life, database, key) = await BeginAsync(LiveTraffic.Open);
        await using var client = await site.ConnectAsync(browser);
        await database.KeyExpireAsync(key, Idle / 2);
        await Eventually.TrueAsync(
            async () =>
            {
                clock.Advance(TimeSpan.FromSeconds(20));
                return await life() > Idle - TimeSpan.FromMinutes(1);
            },
            what: "the session is slid");
    }

    [Fact]
    public async Task Nothing_is_a_use_where_that_is_wanted()
    {
        var (site, browser, life, database, key) = await BeginAsync(LiveTraffic.Nothing);
        await using var client = await site.ConnectAsync(browser);
        await database.KeyExpireAsync(key, Idle / 2);
        await client.SayAsync("hello");
        await client.SayAsync("hello");
        Assert.InRange(await life(), TimeSpan.Zero, Idle / 2);
        Assert.Equal("1", await client.ReadAsync("a"));
        await Eventually.TrueAsync(async () => await life() > Idle - TimeSpan.FromMinutes(1), what: "reading the session slides it");
    }

    [Fact]
    public async Task Connections_are_counted_and_no_log_names_their_session()
    {
        var (site, browser, _, _, key) = await BeginAsync(LiveTraffic.Messages);
        using var open = new InstrumentReader(site.Services, "redis_sessions.live.connections");
        using var closed = new InstrumentReader(site.Services, "redis_sessions.live.closed");
        await using var client = await site.ConnectAsync(browser);
        await using var left = await site.ConnectAsync(browser);
        using var socket = await site.OpenSocketAsync(browser);
        await Eventually.TrueAsync(() => open.Read("hub") == 2 && open.Read("request") == 1, what: "three are open");
        await left.DisposeAsync();
        await Eventually.TrueAsync(() => open.Read("hub") == 1, what: "one was left");
        await browser.GetAsync("/destroy");
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => open.Read("hub") == 0 && open.Read("request") == 0 && closed.Read("signed-out hub") == 1 && closed.Read("signed-out request") == 1, what: "both are counted");
        Assert.DoesNotContain(site.Site.Log.Entries, entry => entry.Id.Id is >= 200 and < 210 && entry.Message.Contains(key[^37..^1], StringComparison.Ordinal));
    }
}
