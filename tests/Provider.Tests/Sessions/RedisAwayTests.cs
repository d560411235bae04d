using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>Requests while Redis cannot be read: what they see, send and log is the same with a cookie and without one.</summary>
[Collection(Alone.Name)]
public sealed class RedisAwayTests : OwnRedisTest
{
    private static void Map(WebApplication app)
    {
        app.MapGet("/load", async (HttpContext context) =>
        {
            try
            {
                await context.Session.LoadAsync();
                return "loaded";
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException or OperationCanceledException)
            {
                return "threw";
            }
        });
        app.MapGet("/set-and-read", (HttpContext context) =>
        {
            context.Session.SetString("a", "1");
            return $"{context.Session.IsAvailable}:{context.Session.GetString("a")}:{string.Join(",", context.Session.Keys)}:{context.Session.Id}";
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_a_cookie_the_session_is_unavailable_and_none_is_sent(bool awayFromTheStart)
    {
        var redis = await RedisAsync();
        if (awayFromTheStart)
        {
            redis.Stop();
        }

        var site = await SiteAsync(redis.Address, Map);
        if (!awayFromTheStart)
        {
            await site.NewBrowser().GetAsync("/set/a/1");
            redis.Stop();
        }

        // Somebody with a cookie finds out that it is down.
        var known = site.NewBrowser();
        known.SetCookie(Browser.SessionCookie, Fleet.CookieOf(Guid.NewGuid().ToString()));
        await Eventually.TrueAsync(async () => await known.GetAsync("/available") == "false", what: "the session is unavailable");

        foreach (var (path, answer) in new[] { ("/available", "false"), ("/load", "threw"), ("/set-and-read", "False:::"), ("/set/a/1", "ok"), ("/keys", "") })
        {
            var stranger = site.NewBrowser();
            site.Log.Clear();
            using var response = await stranger.SendAsync(HttpMethod.Get, path);
            Assert.Equal((path, answer), (path, await response.Content.ReadAsStringAsync()));
            Assert.True(response.IsSuccessStatusCode);
            Assert.False(response.Headers.Contains("Set-Cookie"), $"{path} sent a cookie whose session is stored nowhere.");
            var logged = site.Log.Entries.Where(entry => entry.Level >= LogLevel.Warning).ToArray();
            Assert.True(logged.Length <= 1, $"{path} logged: {string.Join('\n', logged.AsEnumerable())}");
            if (path is "/set/a/1" or "/set-and-read")
            {
                Assert.Single(logged);
            }
        }

        await redis.StartAgainAsync();
        await Eventually.TrueAsync(async () =>
        {
            var stranger = site.NewBrowser();
            await stranger.GetAsync("/set/a/1");
            return await stranger.GetAsync("/get/a") == "1";
        });
    }

    [Fact]
    public async Task A_load_that_is_given_up_is_logged_once()
    {
        var redis = await RedisAsync();
        var site = await SiteAsync(redis.Address, ioTimeout: TimeSpan.FromMilliseconds(300), afterSession: app => app.Use((context, next) =>
            context.Request.Path == "/synchronous" ? context.Response.WriteAsync(context.Session.GetString("a") ?? "nothing") : next(context)));
        var browser = site.NewBrowser();
        await Eventually.TrueAsync(async () =>
        {
            using var response = await TrySendAsync(browser, "/set/a/1");
            return await browser.GetAsync("/get/a") == "1";
        });

        redis.Pause();
        try
        {
            foreach (var (path, answer) in new[] { ("/get/a", ""), ("/synchronous", "nothing"), ("/keys", ""), ("/set/a/2", "ok") })
            {
                site.Log.Clear();
                using var response = await TrySendAsync(browser, path);
                Assert.Equal(answer, await response!.Content.ReadAsStringAsync());
                Assert.Single(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
            }
        }
        finally
        {
            redis.Resume();
        }
    }
}
