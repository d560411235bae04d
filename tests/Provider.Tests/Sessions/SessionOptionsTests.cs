namespace RedisSessions.Tests.Sessions;

/// <summary>UseSession(options): a cookie whose name only the middleware knows.</summary>
public abstract class SessionOptionsTests(RedisServer server) : ServerTest(server)
{
    private const string Cookie = "shop";

    private KestrelSite? _site;

    private async Task<KestrelSite> StartShopAsync() => _site = await KestrelSite.StartPipelineAsync(
        Server.Address + RedisServer.Patient,
        Fleet,
        app =>
        {
            var options = new SessionOptions();
            options.Cookie.Name = Cookie;
            app.UseSession(options);
            Pages.Map(app);
            app.MapGet("/sign-in", async (HttpContext context) =>
            {
                context.Session.SetString("user", "ada");
                await context.Session.RegenerateIdAsync();
            });
        });

    [Theory]
    [InlineData("/regenerate")]
    [InlineData("/sign-in")]
    public async Task Regenerating_works_with_the_options_in_use_or_refuses_before_anything_is_deleted(string path)
    {
        var site = await StartShopAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var before = browser.Copy();
        var (status, _) = await browser.TryAsync(path);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal([Cookie], browser.Cookies.Keys);
        if ((int)status == StatusCodes.Status200OK)
        {
            Assert.NotEqual(before.Cookies[Cookie], browser.Cookies[Cookie]);
            Assert.Equal("", await before.GetAsync("/get/cart"));
        }
    }

    [Fact]
    public async Task Destroying_works_with_the_options_in_use_or_refuses_before_anything_is_deleted()
    {
        var site = await StartShopAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var before = browser.Copy();
        var (status, _) = await browser.TryAsync("/destroy");
        if ((int)status == StatusCodes.Status200OK)
        {
            Assert.Empty(browser.Cookies);
            Assert.Equal("", await before.GetAsync("/get/cart"));
        }
        else
        {
            Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (_site is not null)
        {
            await _site.DisposeAsync();
        }

        await base.DisposeAsync();
    }
}

public sealed class SessionOptionsOnGarnet(InProcessGarnet server) : SessionOptionsTests(server);

public sealed class SessionOptionsOnRedis(LocalRedis server) : SessionOptionsTests(server);
