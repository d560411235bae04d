namespace RedisSessions.Tests.Migration;

/// <summary>While old servers still write: what a request writes to their store late brings no ended session back.</summary>
public abstract class ReviewMigrationTests(RedisServer server) : MigrationTest(server)
{
    private static bool IsScript(string command) => command is "EVALSHA" or "EVAL";

    /// <returns>A read whose import is held while the session is destroyed, and a browser with the same cookie.</returns>
    private async Task<(Task<string> Late, Browser Planted)> DestroyWhileImportingAsync(HeldRedis held)
    {
        var browser = new Browser(await StartOldAsync());
        await browser.GetAsync("/set/a/old");
        var site = await StartNewAsync();
        var slow = await StartNewAsync(redis: held.Address);
        site.TakeOver(browser);
        var other = browser.Copy();
        var planted = browser.Copy();
        slow.TakeOver(other);
        var importing = held.HoldAsync(IsScript);
        var late = other.GetAsync("/get/a");
        await importing;
        await browser.GetAsync("/destroy");
        return (late, planted);
    }

    [Theory]
    [InlineData("/destroy")]
    [InlineData("/regenerate")]
    public async Task A_commit_that_tells_the_old_store_late_does_not_bring_an_ended_session_back(string end)
    {
        using var held = new HeldRedis(Server.Address);
        var site = await StartNewAsync(writeBoth: true);
        var slow = await StartNewAsync(writeBoth: true, redis: held.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var other = browser.Copy();
        var planted = browser.Copy();
        slow.TakeOver(other);
        await other.GetAsync("/get/a");

        // The commit's script passes, and the next one, which writes the blob, waits.
        var scripts = 0;
        var reached = held.HoldAsync(command => IsScript(command) && ++scripts > 2);
        var late = other.TryAsync("/set/b/2");
        await reached;
        await browser.GetAsync(end);
        held.Release();
        await late;
        site.TakeOver(planted);
        Assert.Equal("", await planted.GetAsync("/keys"));
    }

    [Fact]
    public async Task What_was_read_before_a_session_was_destroyed_and_imported_after_that_is_withdrawn()
    {
        using var held = new HeldRedis(Server.Address);
        var (late, planted) = await DestroyWhileImportingAsync(held);
        held.Release();
        Assert.Equal("", await late);
        Assert.Equal("", await planted.GetAsync("/keys"));
    }

    /// <summary>Whoever met what should not have been there, and changed it, does not keep it alive.</summary>
    [Fact]
    public async Task What_was_imported_after_the_session_was_destroyed_is_withdrawn_also_when_somebody_changed_it_since()
    {
        using var held = new HeldRedis(Server.Address);
        var (late, planted) = await DestroyWhileImportingAsync(held);
        var confirming = held.HoldAsync(command => command is "DEL" or "UNLINK");
        await confirming;
        Assert.Equal("a", await planted.GetAsync("/keys"));
        await planted.GetAsync("/set/c/1");
        held.Release();
        Assert.Equal("", await late);
        Assert.Equal("", await planted.GetAsync("/keys"));
    }

    [Fact]
    public async Task An_old_server_sees_what_others_changed_while_the_id_changed()
    {
        using var held = new HeldRedis(Server.Address);
        var old = await StartOldAsync();
        var site = await StartNewAsync(writeBoth: true);
        var slow = await StartNewAsync(writeBoth: true, redis: held.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var other = browser.Copy();
        slow.TakeOver(browser);
        var reached = held.HoldAsync(command => command is "DEL" or "UNLINK");
        var moving = browser.GetAsync("/regenerate");
        await reached;
        await other.GetAsync("/set/b/2");
        held.Release();
        await moving;
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
        browser.Server = old;
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task The_old_id_is_not_imported_again_while_it_is_regenerated_away()
    {
        using var held = new HeldRedis(Server.Address);
        var site = await StartNewAsync(writeBoth: true);
        var slow = await StartNewAsync(writeBoth: true, redis: held.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var planted = browser.Copy();
        slow.TakeOver(browser);
        var reached = held.HoldAsync(command => command is "DEL" or "UNLINK");
        var moving = browser.GetAsync("/regenerate");
        await reached;
        await planted.GetAsync("/get/a");
        held.Release();
        await moving;
        Assert.Equal("", await planted.GetAsync("/keys"));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }
}

public sealed class ReviewMigrationOnGarnet(InProcessGarnet server) : ReviewMigrationTests(server);

public sealed class ReviewMigrationOnRedis(LocalRedis server) : ReviewMigrationTests(server);
