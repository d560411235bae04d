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
}

public sealed class ReviewTimeoutOnGarnet(InProcessGarnet server) : ReviewTimeoutTests(server);

public sealed class ReviewTimeoutOnRedis(LocalRedis server) : ReviewTimeoutTests(server);
