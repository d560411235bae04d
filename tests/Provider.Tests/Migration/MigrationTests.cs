using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Migration;

/// <summary>A fleet on its way from Microsoft's stack to ours, and nobody notices.</summary>
public abstract class MigrationTests(RedisServer server) : MigrationTest(server)
{
    [Fact]
    public async Task A_session_continues_with_all_its_values_and_its_blob_goes_with_the_first_commit()
    {
        var browser = new Browser(await StartOldAsync());
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/set/@b/2");
        var cookie = browser.Cookies[Browser.SessionCookie];
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartNewAsync(redis: proxy.Address);
        site.TakeOver(browser);
        Assert.Equal("@b,a", await browser.GetAsync("/keys"));
        Assert.Equal(cookie, browser.Cookies[Browser.SessionCookie]);
        Assert.Empty(await BlobsAsync());
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        await browser.GetAsync("/set/a/3");
        var before = proxy.Snapshot();
        Assert.Equal("3", await browser.GetAsync("/get/a"));
        Assert.Equal(["HGET"], (proxy.Snapshot() - before).Commands);
    }

    [Fact]
    public async Task A_crash_between_writing_the_hash_and_removing_the_blob_loses_nothing()
    {
        var browser = new Browser(await StartOldAsync());
        await browser.GetAsync("/set/a/1");
        using var proxy = new RedisProxy(Server.Address);
        var dying = await StartNewAsync(redis: proxy.Address);
        proxy.BeforeCommand = command =>
        {
            if (command == "DEL" || command == "UNLINK")
            {
                proxy.Dispose();
                throw new ObjectDisposedException(nameof(RedisProxy));
            }

            return Task.CompletedTask;
        };
        dying.TakeOver(browser);
        Assert.Equal("", await browser.GetAsync("/keys"));
        Assert.Single(await BlobsAsync());

        var next = await StartNewAsync();
        next.TakeOver(browser);
        Assert.Equal("a", await browser.GetAsync("/keys"));
        await browser.GetAsync("/destroy");
        Assert.Empty(await BlobsAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_old_cookie_finds_nothing_after_regeneration_or_destruction(bool writeBoth)
    {
        foreach (var end in new[] { "/regenerate", "/destroy" })
        {
            var browser = new Browser(await StartOldAsync());
            await browser.GetAsync("/set/a/1");
            var site = await StartNewAsync(writeBoth);
            site.TakeOver(browser);
            var thief = browser.Copy();
            await browser.GetAsync(end);
            Assert.Equal("", await thief.GetAsync("/get/a"));
            Assert.Equal(end == "/regenerate" ? "1" : "", await browser.GetAsync("/get/a"));
        }
    }

    [Fact]
    public async Task A_foreign_truncated_or_hostile_blob_is_logged_and_taken_for_empty()
    {
        var site = await StartNewAsync();
        var db = await DatabaseAsync();
        foreach (var data in new byte[][] { [], [1, 2, 3], [2, 255, 255, 255, .. new byte[16], 0, 1], "hello world, this is not a session"u8.ToArray() })
        {
            var secret = NewSecret();
            await db.HashSetAsync(Instance + secret, [new("absexp", -1), new("sldexp", TimeSpan.FromMinutes(20).Ticks), new("data", data)]);
            var session = Open(site, secret);
            Assert.Empty(session.Keys);
            Assert.True(session.IsAvailable);
            Assert.Contains(site.Log.Ours, entry => entry is { Level: LogLevel.Warning, Id.Name: "MicrosoftSessionUnreadable" });
            site.Log.Clear();
            await db.KeyDeleteAsync(Instance + secret);
        }

        await db.StringSetAsync(Instance + "00000000-0000-0000-0000-000000000000", "not a hash");
        Assert.False(Open(site, "00000000-0000-0000-0000-000000000000").IsAvailable);
    }

    [Fact]
    public async Task A_rolling_deployment_loses_no_value_and_no_sign_in_in_ten_thousand_requests()
    {
        const int Browsers = 200;
        const int Requests = 10_000;
        var old = await StartOldAsync();
        var site = await StartNewAsync(writeBoth: true);
        var browsers = new List<Browser>();
        for (var i = 0; i < Browsers; i++)
        {
            var browser = new Browser(old);
            await browser.GetAsync($"/set/name/browser{i}");
            await browser.GetAsync($"/login/user{i}");
            browsers.Add(browser);
        }

        // Each browser is one visitor, whose requests follow each other and meet one server or the other.
        await Parallel.ForEachAsync(Enumerable.Range(0, Browsers), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, _) =>
        {
            var random = new Random(i);
            var browser = browsers[i];
            var expected = "";
            for (var request = 0; request < Requests / Browsers / 2; request++)
            {
                browser.Server = random.Next(2) == 0 ? old : site.Server.CreateHandler();
                if (random.Next(2) == 0)
                {
                    expected = $"{request}";
                    await browser.GetAsync($"/set/last/{expected}");
                }
                else
                {
                    Assert.Equal(expected, await browser.GetAsync("/get/last"));
                }

                browser.Server = random.Next(2) == 0 ? old : site.Server.CreateHandler();
                Assert.Equal(request % 2 == 0 ? $"browser{i}" : $"user{i}", await browser.GetAsync(request % 2 == 0 ? "/get/name" : "/whoami"));
            }

            // The last old server is gone.
            browser.Server = site.Server.CreateHandler();
            Assert.Equal(expected, await browser.GetAsync("/get/last"));
        });

        var after = await StartNewAsync();
        after.TakeOver(browsers[0]);
        Assert.Equal("browser0", await browsers[0].GetAsync("/get/name"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Written_both_ways_a_session_can_go_back_to_the_old_version()
    {
        var old = await StartOldAsync();
        var site = await StartNewAsync(writeBoth: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/begun/new");
        await browser.GetAsync("/regenerate");
        browser.Server = old;
        Assert.Equal("new", await browser.GetAsync("/get/begun"));
        await browser.GetAsync("/set/back/old");
        site.TakeOver(browser);
        Assert.Equal("back,begun", await browser.GetAsync("/keys"));
    }
}

public sealed class MigrationOnGarnet(InProcessGarnet server) : MigrationTests(server);

public sealed class MigrationOnRedis(LocalRedis server) : MigrationTests(server);
