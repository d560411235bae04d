using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Security;

/// <summary>
/// Decryption that fails for a while (a key ring that could not be read): the session is unavailable meanwhile, and all there
/// again afterwards.
/// </summary>
public abstract class TransientDecryptionTests : ServerTest
{
    private readonly KeyRing _keys = new();

    protected TransientDecryptionTests(RedisServer server)
        : base(server) => Fleet = new Fleet { Protection = _keys };

    private Task<Site> StartEncryptedAsync() => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/hit", async (HttpContext context) => $"{await context.Session.IncrementAsync("hits")}");
        },
        addOns: builder => builder.AddEncryption());

    /// <summary>A browser whose session one server wrote, on another that has no copy of it.</summary>
    private async Task<(Browser Browser, Site Site)> VisitorAsync()
    {
        var browser = (await StartEncryptedAsync()).NewBrowser();
        await browser.GetAsync("/set/name/Ada");
        await browser.GetAsync("/hit");
        await browser.GetAsync("/hit");
        var site = await StartEncryptedAsync();
        site.TakeOver(browser);
        return (browser, site);
    }

    [Fact]
    public async Task The_session_is_unavailable_for_the_request_and_that_is_logged()
    {
        var (browser, site) = await VisitorAsync();
        _keys.Fail = true;
        Assert.Equal("false", await browser.GetAsync("/available"));
        Assert.Equal("", await browser.GetAsync("/keys"));
        Assert.Contains(site.Log.Ours, entry => entry.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task A_value_is_read_again_as_soon_as_it_can_be_decrypted()
    {
        var (browser, _) = await VisitorAsync();
        _keys.Fail = true;
        Assert.Equal("", await browser.GetAsync("/get/name"));
        _keys.Fail = false;
        Assert.Equal("Ada", await browser.GetAsync("/get/name"));
        Assert.Equal("hits,name", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task Regenerating_meanwhile_drops_no_value()
    {
        var (browser, _) = await VisitorAsync();
        _keys.Fail = true;
        await browser.TryAsync("/regenerate");
        _keys.Fail = false;
        Assert.Equal("Ada", await browser.GetAsync("/get/name"));
    }

    [Fact]
    public async Task Regenerating_afterwards_drops_no_value()
    {
        var (browser, _) = await VisitorAsync();
        _keys.Fail = true;
        await browser.GetAsync("/get/name");
        _keys.Fail = false;
        await browser.GetAsync("/regenerate");
        Assert.Equal("Ada", await browser.GetAsync("/get/name"));
    }

    [Fact]
    public async Task An_increment_meanwhile_does_not_begin_again_at_zero()
    {
        var (browser, _) = await VisitorAsync();
        _keys.Fail = true;
        await browser.TryAsync("/hit");
        _keys.Fail = false;
        Assert.Equal("2", await browser.GetAsync("/get/hits"));
    }

    [Fact]
    public async Task What_is_set_meanwhile_takes_no_other_value_with_it()
    {
        var (browser, _) = await VisitorAsync();
        _keys.Fail = true;
        await browser.TryAsync("/set/other/1");
        await browser.TryAsync("/clear");
        _keys.Fail = false;
        Assert.Equal("Ada", await browser.GetAsync("/get/name"));
    }
}

public sealed class TransientDecryptionOnGarnet(InProcessGarnet server) : TransientDecryptionTests(server);

public sealed class TransientDecryptionOnRedis(LocalRedis server) : TransientDecryptionTests(server);
