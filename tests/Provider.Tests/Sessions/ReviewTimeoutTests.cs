namespace RedisSessions.Tests.Sessions;

/// <summary>Time spans that are longer than somebody counts.</summary>
public abstract class ReviewTimeoutTests(RedisServer server) : ServerTest(server)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_idle_timeout_without_end_is_a_long_one(bool copies)
    {
        var site = await StartAsync(
            Pages.Map,
            options: o => o.LocalCache.SizeLimit = copies ? o.LocalCache.SizeLimit : 0,
            services: services => services.Configure<SessionOptions>(o => o.IdleTimeout = TimeSpan.MaxValue));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        var id = await browser.GetAsync("/id");
        Assert.NotNull(await site.Sessions.GetAsync(id, TestContext.Current.CancellationToken));
        var another = await StartAsync(Pages.Map, services: services => services.Configure<SessionOptions>(o => o.IdleTimeout = TimeSpan.MaxValue));
        another.TakeOver(browser);
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.Equal("ok", await browser.GetAsync("/set/b/2"));
        Assert.NotNull(await another.Sessions.GetAsync(id, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_input_timeout_longer_than_a_thread_can_wait_is_a_long_one()
    {
        var site = await StartAsync(
            Pages.Map,
            options: o => o.PreloadSession = false,
            services: services => services.Configure<SessionOptions>(o => o.IOTimeout = TimeSpan.FromDays(30)));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }

    /// <summary>Who touches a session by its id does not know its idle timeout; the precision follows from it all the same.</summary>
    [Theory]
    [InlineData(null, 10_500)]
    [InlineData(3_000, 13_000)]
    [InlineData(0, 10_000)]
    [InlineData(60_000, 20_000)]
    public async Task A_touch_slides_by_the_precision_of_the_sessions_own_idle_timeout(int? precision, int most)
    {
        var site = await StartAsync(Pages.Map, options: o => o.SlidePrecision = precision is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null);
        var cancellation = TestContext.Current.CancellationToken;
        var created = await site.Sessions.CreateAsync([new("a", [1])], TimeSpan.FromSeconds(10), cancellation);
        var key = KeyOf(created.Id);
        var database = await DatabaseAsync();
        foreach (var left in new[] { 2_000, 9_000 })
        {
            await database.KeyExpireAsync(key, TimeSpan.FromMilliseconds(left));
            Assert.True(await site.Sessions.TouchAsync(created.Id, cancellation));
            Assert.InRange((await site.Sessions.GetTimeToLiveAsync(created.Id, cancellation))!.Value.TotalMilliseconds, Math.Max(left, most - 5_000), most);
        }
    }
}

public sealed class ReviewTimeoutOnGarnet(InProcessGarnet server) : ReviewTimeoutTests(server);

public sealed class ReviewTimeoutOnRedis(LocalRedis server) : ReviewTimeoutTests(server);
