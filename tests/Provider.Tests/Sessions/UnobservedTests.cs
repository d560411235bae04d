using System.Collections.Concurrent;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// What nobody waits for any more must not end as an unobserved task exception: applications log those, and some end the process.
/// </summary>
[Collection(Alone.Name)]
public sealed class UnobservedTests : OwnRedisTest
{
    private readonly ConcurrentQueue<Exception> _unobserved = new();

    private void Hear(object? sender, UnobservedTaskExceptionEventArgs arguments)
    {
        // Other tests' tasks may be collected just now; what this library or its client threw is what counts.
        if (arguments.Exception.Flatten().InnerExceptions.Any(exception => exception is RedisException or TimeoutException or OperationCanceledException))
        {
            _unobserved.Enqueue(arguments.Exception);
        }
    }

    private async Task AllAreObservedAsync(Func<Task> scenario)
    {
        // What earlier tests left behind is not this one's.
        Collect();
        TaskScheduler.UnobservedTaskException += Hear;
        try
        {
            await scenario();
            for (var i = 0; i < 20; i++)
            {
                // What fails after its request does so on the pool; each turn gives that a chance.
                Collect();
                await Task.Delay(10);
            }
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= Hear;
        }

        Assert.Empty(_unobserved);
    }

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
    }

    [Fact]
    public Task A_load_that_fails_and_that_nobody_waited_for_is_observed() => AllAreObservedAsync(async () =>
    {
        // As with abortConnect=true: the connection's task itself fails, at the moment that the test says.
        var connecting = new TaskCompletionSource<IConnectionMultiplexer>();
        var site = await SiteAsync("unused", options: o =>
        {
            o.Configuration = null;
            o.PreloadSession = false;
            o.ConnectionMultiplexerFactory = () => connecting.Task;
        });
        var browser = site.NewBrowser();
        browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf(Guid.NewGuid().ToString()));
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("none", await browser.GetAsync("/none"));
        }

        var ours = site.Sessions.ExistsAsync(Guid.NewGuid().ToString());
        connecting.SetException(new RedisConnectionException(ConnectionFailureType.UnableToConnect, CommandFlags.None, "It was not possible to connect."));
        await Assert.ThrowsAsync<RedisConnectionException>(() => ours);
    });

    [Fact]
    public Task A_load_with_abortConnect_while_redis_is_away_at_start_is_observed() => AllAreObservedAsync(async () =>
    {
        var redis = await RedisAsync();
        redis.Stop();
        var site = await SiteAsync($"{redis.Address},abortConnect=true,connectTimeout=500,connectRetry=1", options: o => o.PreloadSession = false);
        var browser = site.NewBrowser();
        browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf(Guid.NewGuid().ToString()));
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("none", await browser.GetAsync("/none"));
        }

        // Made by the same attempt, or by one that came after it.
        await Assert.ThrowsAnyAsync<RedisException>(() => site.Sessions.ExistsAsync(Guid.NewGuid().ToString()));
    });

    [Fact]
    public Task A_commit_that_fails_after_it_was_given_up_is_observed() => AllAreObservedAsync(async () =>
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var site = await SiteAsync(
            $"{proxy.Address},syncTimeout=60000,asyncTimeout=60000",
            app => app.MapGet("/silent", (HttpContext context) =>
            {
                redis.Pause();
                context.Session.SetString("a", "2");
            }),
            ioTimeout: TimeSpan.FromMilliseconds(300));
        var browser = site.NewBrowser();
        await Eventually.TrueAsync(async () =>
        {
            using var response = await TrySendAsync(browser, "/set/a/1");
            return await browser.GetAsync("/get/a") == "1";
        });

        try
        {
            using var response = await TrySendAsync(browser, "/silent");

            // Behind the commit on the same connection: it fails after the commit did.
            var ours = site.Sessions.ExistsAsync(Guid.NewGuid().ToString());
            proxy.Cut();
            await Assert.ThrowsAnyAsync<RedisException>(() => ours);
        }
        finally
        {
            redis.Resume();
        }
    });
}
