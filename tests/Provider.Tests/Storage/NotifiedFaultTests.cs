using Microsoft.Extensions.Time.Testing;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Tests.Storage;

/// <summary>What is heard late, or not at all: no request is served what is older than the greatest lag.</summary>
public sealed class NotifiedFaultTests : OwnRedisTest
{
    private static readonly TimeSpan MaxLag = TimeSpan.FromMilliseconds(500);

    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);

    public NotifiedFaultTests() => Fleet = new Fleet { Clock = _clock };

    public static TheoryData<string> Protocols => ["resp2", "resp3"];

    private async Task<NotifiedSite> ServerAsync(string address, string protocol = "resp3")
    {
        var site = new NotifiedSite(await SiteAsync($"{address},protocol={protocol}{RedisServer.Patient}", options: o => o.LocalCache.Mode = LocalCacheMode.Notified), _clock);
        await site.ProvedAsync();
        return site;
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_server_that_hears_nothing_asks_once_its_proof_is_older_than_the_greatest_lag(string protocol)
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (here, there) = (await ServerAsync(proxy.Address, protocol), await ServerAsync(redis.Address));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");

        // No connection breaks: nothing comes, that is all.
        var mayArrive = new TaskCompletionSource();
        proxy.BeforeReply = _ => mayArrive.Task;
        await there.BrowserOf(browser).GetAsync("/set/a/2");
        var served = here.Served;
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.Equal(served + 1, here.Served);

        var before = proxy.Snapshot();
        _clock.Advance(MaxLag + TimeSpan.FromMilliseconds(1));
        var asking = browser.GetAsync("/get/a");
        await Eventually.TrueAsync(() => (proxy.Snapshot() - before).Commands.Contains("HGET"), what: "it asks");
        Assert.False(asking.IsCompleted);
        proxy.BeforeReply = null;
        mayArrive.SetResult();
        Assert.Equal("2", await asking);
        await here.ProvedAsync();
        await here.IsServedAsync(browser, "/get/a", "2");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_server_that_lost_its_connection_asks_until_it_is_subscribed_again_and_then_about_every_copy(string protocol)
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (here, there) = (await ServerAsync(proxy.Address, protocol), await ServerAsync(redis.Address));
        var browser = here.NewBrowser();
        var elsewhere = there.BrowserOf(browser);
        await elsewhere.GetAsync("/set/a/0");
        browser = here.BrowserOf(elsewhere);
        for (var i = 1; i <= 3; i++)
        {
            await here.SeesAsync(browser, "/get/a", $"{i - 1}");
            await here.IsServedAsync(browser, "/get/a", $"{i - 1}");
            proxy.Cut();
            await elsewhere.GetAsync($"/set/a/{i}");
            await here.SeesAsync(browser, "/get/a", $"{i}");
            await here.ProvedAsync();
        }

        await here.IsServedAsync(browser, "/get/a", "3");
        await elsewhere.GetAsync("/set/a/4");
        await here.SeesAsync(browser, "/get/a", "4");
    }

    [Fact]
    public async Task A_message_that_overtakes_the_load_that_was_sent_before_it_is_not_forgotten()
    {
        // With RESP2 messages have a connection of their own.
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (here, there) = (await ServerAsync(proxy.Address, "resp2"), await ServerAsync(redis.Address));
        var elsewhere = there.NewBrowser();
        await elsewhere.GetAsync("/set/a/old-value");
        var (copies, key) = (here.Site.Services.GetRequiredService<SessionCopies>(), $"{Fleet.Prefix}{{{await elsewhere.GetAsync("/id")}}}");
        await HeardAsync(1);

        var (reached, mayArrive) = (new TaskCompletionSource(), new TaskCompletionSource());
        proxy.BeforeReply = async reply =>
        {
            if (reply.Span.IndexOf("old-value"u8) >= 0)
            {
                reached.TrySetResult();
                await mayArrive.Task;
            }
        };
        var browser = here.BrowserOf(elsewhere);
        var loading = browser.GetAsync("/get/a");
        await reached.Task;
        await elsewhere.GetAsync("/set/a/new-value");
        await HeardAsync(2);
        mayArrive.SetResult();
        Assert.Equal("old-value", await loading);
        Assert.Equal("new-value", await browser.GetAsync("/get/a"));

        Task HeardAsync(long messages) => Eventually.TrueAsync(() => copies.Expect(key)?.Heard == messages, what: $"{messages} messages were heard");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_redis_that_forgot_everything_is_asked(string protocol)
    {
        var redis = await RedisAsync();
        var here = await ServerAsync(redis.Address, protocol);
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");
        redis.Stop();
        await redis.StartAgainAsync();
        await here.SeesAsync(browser, "/available", "true");
        await here.ProvedAsync();
        await here.SeesAsync(browser, "/get/a", "");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_subscription_that_the_application_ended_is_made_again(string protocol)
    {
        var redis = await RedisAsync();
        var (here, there) = (await ServerAsync(redis.Address, protocol), await ServerAsync(redis.Address));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");
        await here.Site.Services.GetRequiredService<RedisConnection>().Database!.Multiplexer.GetSubscriber().UnsubscribeAllAsync();
        await there.BrowserOf(browser).GetAsync("/set/a/2");
        _clock.Advance(MaxLag + TimeSpan.FromMilliseconds(1));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
        await here.ProvedAsync();
        await here.IsServedAsync(browser, "/get/a", "2");
        await there.BrowserOf(browser).GetAsync("/set/a/3");
        await here.SeesAsync(browser, "/get/a", "3");
    }
}
