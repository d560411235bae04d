using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using RedisSessions.Redis;

namespace RedisSessions.Tests.Live;

/// <summary>What is heard late, or not at all, or while a connection is being opened: it is closed all the same.</summary>
public sealed class LiveFaultTests : OwnRedisTest
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private async Task<LiveSite> ServerAsync(
        string redis, Action<LiveConnectionOptions>? live = null, Action<WebApplication>? behindSession = null)
    {
        var site = Keep(await LiveSite.StartAsync(redis + RedisServer.Patient, Fleet, live, behindSession: behindSession));
        await site.HearsAsync();
        return site;
    }

    [Theory]
    [InlineData("resp2")]
    [InlineData("resp3")]
    public async Task What_was_published_while_the_connection_was_broken_is_asked_about(string protocol)
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (here, there) = (await ServerAsync(redis.Address), await ServerAsync($"{proxy.Address},protocol={protocol}"));
        var browser = here.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        await using var client = await there.ConnectAsync(browser);
        Assert.Equal("", await client.ReadAsync("a"));

        // What Redis sends is lost with the connection that it was sent over.
        var mayArrive = new TaskCompletionSource();
        proxy.BeforeReply = _ => mayArrive.Task;
        Assert.True(await here.Site.Sessions.DestroyAsync(id));
        proxy.Cut();
        proxy.BeforeReply = null;
        mayArrive.SetResult();
        await client.Closed.WaitAsync(Bound);
    }

    [Fact]
    public async Task A_connection_that_is_opened_after_the_end_was_heard_is_closed()
    {
        var redis = await RedisAsync();
        var (reached, mayGo) = (new TaskCompletionSource(), new TaskCompletionSource());
        var site = await ServerAsync(redis.Address, behindSession: app => app.Use(async (context, next) =>
        {
            if (context.Request.Path == "/ws")
            {
                reached.SetResult();
                await mayGo.Task;
            }

            await next(context);
        }));
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        await using var witness = await site.ConnectAsync(browser);
        var opening = site.OpenSocketAsync(browser);
        await reached.Task.WaitAsync(Bound);
        Assert.True(await site.Site.Sessions.DestroyAsync(id));
        await witness.Closed.WaitAsync(Bound);

        mayGo.SetResult();
        await Assert.ThrowsAsync<WebSocketException>(async () =>
        {
            using var socket = await opening;
            await socket.ReceiveAsync(new byte[16], CancellationToken.None).WaitAsync(Bound);
        });
    }

    [Fact]
    public async Task Another_session_under_the_same_id_is_not_the_connections()
    {
        var redis = await RedisAsync();
        using var held = new HeldRedis(redis.Address);
        var (here, there) = (await ServerAsync(redis.Address), await ServerAsync(held.Address));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/old");
        var id = await browser.GetAsync("/id");
        await using var client = await there.ConnectAsync(browser);
        Assert.Equal("old", await client.ReadAsync("a"));

        var looks = held.HoldAsync(static command => command == "HMGET");
        Assert.True(await here.Site.Sessions.DestroyAsync(id));
        await looks.WaitAsync(Bound);
        await browser.GetAsync("/set/a/new");
        Assert.Equal(id, await browser.GetAsync("/id"));
        held.Release();
        await client.Closed.WaitAsync(Bound);
    }

    [Theory]
    [InlineData(HttpTransportType.WebSockets)]
    [InlineData(HttpTransportType.LongPolling)]
    public async Task A_hub_whose_method_does_not_return_is_closed(HttpTransportType transport)
    {
        var redis = await RedisAsync();
        var site = await ServerAsync(redis.Address);
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        await using var client = await site.ConnectAsync(browser, transport);
        await client.Connection.SendAsync(nameof(TalkHub.Wait));
        Assert.True(await site.Site.Sessions.DestroyAsync(id));
        await client.Closed.WaitAsync(Bound);
    }

    /// <summary>
    /// How long it takes. With <c>REDIS_SESSIONS_LIVE_TRIES=100</c> as often as that, with the second as the limit; every other time over a connection to Redis that was broken just before.
    /// </summary>
    [Fact]
    public async Task Revoking_closes_a_hub_on_another_server_again_and_again()
    {
        var (tries, limit) = Environment.GetEnvironmentVariable("REDIS_SESSIONS_LIVE_TRIES") is { } asked ? (int.Parse(asked, CultureInfo.InvariantCulture), TimeSpan.FromSeconds(1)) : (4, Bound);
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (here, there) = (await ServerAsync(redis.Address), await ServerAsync(proxy.Address));
        var times = new List<double>();
        for (var i = 0; i < tries; i++)
        {
            var browser = here.NewBrowser();
            var id = await browser.GetAsync("/login/ada");
            await using var client = await there.ConnectAsync(browser);
            await client.SayAsync("hello");
            var feed = there.Services.GetRequiredService<RedisFeed>();
            var epoch = feed.Epoch;
            if (i % 2 == 1)
            {
                proxy.Cut();
            }

            var watch = Stopwatch.StartNew();
            Assert.Equal(RevokeResult.Revoked, await here.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id));
            await client.Closed.WaitAsync(limit);
            times.Add(watch.Elapsed.TotalMilliseconds);
            await there.HearsAsync();
            Assert.Equal(i % 2 == 1, feed.Epoch != epoch);
        }

        times.Sort();
        TestContext.Current.TestOutputHelper!.WriteLine($"{tries} hubs closed; median {times[tries / 2]:F0} ms, slowest {times[^1]:F0} ms");
    }

    [Fact]
    public async Task A_tenants_connections_belong_to_the_tenants_session()
    {
        var redis = await RedisAsync();
        var tenant = new SessionTenant("acme");
        var site = Keep(await LiveSite.StartAsync(
            redis.Address + RedisServer.Patient, Fleet, options: options => options.TenantOf = context => context.Request.Cookies.ContainsKey("acme") ? tenant : null, withUsers: false));
        await site.HearsAsync();
        var browser = site.NewBrowser();
        browser.SetCookie("acme", "1");
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await using var client = await site.ConnectAsync(browser);
        Assert.Equal("1", await client.ReadAsync("a"));
        Assert.False(await site.Site.Sessions.DestroyAsync(id));
        Assert.True(await client.WriteAsync("a", "2"));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
        await browser.GetAsync("/regenerate");
        Assert.Equal("2", await client.ReadAsync("a"));
        await browser.GetAsync("/destroy");
        await client.Closed.WaitAsync(Bound);
    }

    [Fact]
    public async Task Who_has_no_session_is_left_alone()
    {
        var redis = await RedisAsync();
        var site = await ServerAsync(redis.Address);
        var (browser, other) = (site.NewBrowser(), site.NewBrowser());
        var id = await other.GetAsync("/login/ada");
        await using var client = await site.ConnectAsync(browser);
        await using var others = await site.ConnectAsync(other);
        using var socket = await site.OpenSocketAsync(browser);
        Assert.True(await site.Site.Sessions.DestroyAsync(id));
        await others.Closed.WaitAsync(Bound);
        Assert.Null(await client.ReadAsync("a"));
        Assert.False(await client.WriteAsync("a", "1"));
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        Assert.Equal(5, (await socket.ReceiveAsync(new byte[16], CancellationToken.None).WaitAsync(Bound)).Count);
    }
}
