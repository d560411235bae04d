namespace RedisSessions.Tests.Migration;

/// <summary>
/// A request that only reads and takes its time, while the session moves on: what it imported may create a session and never
/// overwrite one.
/// </summary>
public abstract class MigrationRaceTests(RedisServer server) : MigrationTest(server)
{
    private readonly SemaphoreSlim _read = new(0);
    private readonly SemaphoreSlim _go = new(0);

    private void MapSlow(WebApplication app)
    {
        app.MapGet("/slow/{key}", async (HttpContext context, string key) =>
        {
            var value = context.Session.GetString(key);
            _read.Release();
            await _go.WaitAsync();
            return value;
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_slow_reader_does_not_write_the_old_values_over_newer_ones(bool writeBoth)
    {
        var browser = new Browser(await StartOldAsync());
        await browser.GetAsync("/set/a/old");
        await browser.GetAsync("/set/b/old");
        var site = await StartNewAsync(writeBoth, map: MapSlow);
        site.TakeOver(browser);
        var slow = browser.Copy().GetAsync("/slow/a");
        await _read.WaitAsync();
        await browser.GetAsync("/set/a/new");
        _go.Release();
        Assert.Equal("old", await slow);
        Assert.Equal("new", await browser.GetAsync("/get/a"));
        Assert.Equal("old", await browser.GetAsync("/get/b"));
    }

    [Fact]
    public async Task A_slow_reader_of_what_an_old_server_wrote_last_does_not_write_it_over_newer_values()
    {
        var old = await StartOldAsync();
        var site = await StartNewAsync(writeBoth: true, map: MapSlow);
        var browser = new Browser(old);
        await browser.GetAsync("/set/a/first");
        site.TakeOver(browser);
        await browser.GetAsync("/set/a/second");
        browser.Server = old;
        await browser.GetAsync("/set/a/third");
        site.TakeOver(browser);
        var slow = browser.Copy().GetAsync("/slow/a");
        await _read.WaitAsync();
        await browser.GetAsync("/set/a/fourth");
        _go.Release();
        Assert.Equal("third", await slow);
        Assert.Equal("fourth", await browser.GetAsync("/get/a"));
        browser.Server = old;
        Assert.Equal("fourth", await browser.GetAsync("/get/a"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_slow_reader_does_not_bring_back_a_session_that_was_destroyed_meanwhile(bool writeBoth, bool wasImported)
    {
        var browser = new Browser(await StartOldAsync());
        await browser.GetAsync("/set/a/old");
        var site = await StartNewAsync(writeBoth, map: MapSlow);
        site.TakeOver(browser);
        var slower = browser.Copy();
        var slow = slower.GetAsync("/slow/a");
        await _read.WaitAsync();
        if (wasImported)
        {
            await browser.GetAsync("/set/b/new");
        }

        await browser.GetAsync("/destroy");
        _go.Release();
        Assert.Equal("old", await slow);
        Assert.Equal("", await slower.GetAsync("/get/a"));
        Assert.Equal("", await slower.GetAsync("/keys"));
        Assert.Empty(await BlobsAsync());
    }

    [Fact]
    public async Task A_slow_reader_does_not_bring_back_a_session_under_an_id_that_was_regenerated_away()
    {
        var browser = new Browser(await StartOldAsync());
        await browser.GetAsync("/set/a/old");
        var site = await StartNewAsync(map: MapSlow);
        site.TakeOver(browser);
        var planted = browser.Copy();
        var slow = browser.Copy().GetAsync("/slow/a");
        await _read.WaitAsync();
        await browser.GetAsync("/regenerate");
        _go.Release();
        Assert.Equal("old", await slow);
        Assert.Equal("old", await browser.GetAsync("/get/a"));
        Assert.Equal("", await planted.GetAsync("/get/a"));
    }
}

public sealed class MigrationRaceOnGarnet(InProcessGarnet server) : MigrationRaceTests(server);

public sealed class MigrationRaceOnRedis(LocalRedis server) : MigrationRaceTests(server);
