using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// Microsoft's tests of a cache that does not answer in time, with a proxy that holds what is sent to Redis, or is away. Not on a
/// cluster, whose client finds its way past a proxy.
/// </summary>
public abstract class InBoxOutageTests(RedisServer server) : InBoxTest(server)
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(300);

    // Microsoft's: SessionLogsCacheLoadAsyncTimeoutException, with options handed to UseSession as there.
    [Fact]
    public async Task A_load_that_times_out_throws_and_is_logged_once()
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            _ => Task.CompletedTask,
            redis: redis.Address,
            beforeSession: app => app.Map("/own", branch =>
            {
                branch.UseSession(new SessionOptions { IOTimeout = Soon });
                branch.Run(LoadsInVainAsync);
            }));
        await TimesOutOnceAsync(site, redis, "/own");
    }

    // As the one before, for an endpoint, whose load was awaited before it ran.
    [Fact]
    public async Task A_load_that_times_out_before_an_endpoint_throws_there_and_is_logged_once()
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(LoadsInVainAsync, asEndpoint: true, redis: redis.Address, session: o => o.IOTimeout = Soon);
        await TimesOutOnceAsync(site, redis, "/");
    }

    private static async Task LoadsInVainAsync(HttpContext context)
    {
        var thrown = await Assert.ThrowsAsync<OperationCanceledException>(() => context.Session.LoadAsync());
        Assert.Equal("Timed out loading the session.", thrown.Message);
    }

    private async Task TimesOutOnceAsync(Site site, HeldRedis redis, string path)
    {
        var (browser, _) = await BrowserWithSessionAsync(site);
        _ = redis.HoldAsync();
        using var response = await browser.SendAsync(HttpMethod.Get, path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([(LogLevel.Warning, 8, "Loading the session timed out.")], InBoxEvents(site));
        Assert.Equal("SessionLoadingTimeout", Assert.Single(InBoxLog(site)).Id.Name);
    }

    // Microsoft's has no test of this: there a synchronous read knows no IOTimeout.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_synchronous_read_that_times_out_finds_an_unavailable_session_and_is_logged_once(bool asEndpoint)
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            context =>
            {
                Assert.Null(context.Session.GetString("a"));
                Assert.False(context.Session.IsAvailable);
                Assert.Equal("", context.Session.Id);
                return Task.CompletedTask;
            },
            asEndpoint,
            redis.Address,
            o => o.IOTimeout = Soon);
        var (browser, _) = await BrowserWithSessionAsync(site);
        _ = redis.HoldAsync();
        await browser.GetAsync("/");
        var (level, id, _) = Assert.Single(InBoxEvents(site));
        Assert.Contains((level, id), new[] { (LogLevel.Warning, 8), (LogLevel.Error, 6) });
    }

    // Microsoft's: SessionLogsCacheCommitTimeoutException. Whether the request fails is an option here.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_commit_that_times_out_is_logged_once_as_a_warning(bool asEndpoint)
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetInt32("key", 0);
                _ = redis.HoldAsync();
                return Task.CompletedTask;
            },
            asEndpoint,
            redis.Address,
            o => o.IOTimeout = Soon);
        await site.Sessions.CreateAsync();
        await FailsAsync(site.NewBrowser(), "/");
        var entry = Assert.Single(InBoxLog(site), logged => logged.Level >= LogLevel.Warning);
        Assert.Equal((LogLevel.Warning, 9, "SessionCommitTimeout"), (entry.Level, entry.Id.Id, entry.Id.Name));
        Assert.Equal("Committing the session timed out.", entry.Message);
        Assert.All(InBoxEvents(site).Where(logged => logged.Id != 9), logged => Assert.Equal((LogLevel.Information, 10, "Committing the session was canceled."), logged));
    }

    // As the one before. A difference: there the browser is told that all went well.
    [Fact]
    public async Task A_commit_that_times_out_before_the_response_fails_the_request()
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetInt32("key", 0);
                _ = redis.HoldAsync();
                return context.Response.WriteAsync("All is well.");
            },
            redis: redis.Address,
            session: o => o.IOTimeout = Soon);
        await site.Sessions.CreateAsync();
        Assert.True(await FailsAsync(site.NewBrowser(), "/"));
    }

    // Microsoft's has no test of this: the exception and its text.
    [Fact]
    public async Task An_explicit_commit_that_times_out_throws()
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(_ => Task.CompletedTask, redis: redis.Address);
        await site.Sessions.CreateAsync();
        var session = Open(site, NewSecret(), isNew: true, io: Soon);
        session.SetString("a", "1");
        _ = redis.HoldAsync();
        var thrown = await Assert.ThrowsAsync<OperationCanceledException>(() => session.CommitAsync());
        Assert.Equal("Timed out committing the session.", thrown.Message);
        Assert.Equal([(LogLevel.Warning, 9, "Committing the session timed out.")], InBoxEvents(site));
    }

    // Microsoft's: SessionLogsCacheRefreshException. A difference: nobody waits for a session to slide, so it cannot fail a request.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_cannot_slide_now_holds_up_nobody_and_logs_nothing(bool asEndpoint)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            context => context.Response.WriteAsync(context.Session.GetString("a") ?? ""),
            asEndpoint,
            redis.Address);
        var (browser, id) = await BrowserWithSessionAsync(site);
        Assert.Equal("1", await browser.GetAsync("/"));
        var db = await DatabaseAsync();
        clock.Advance(TimeSpan.FromMinutes(15));
        await db.KeyExpireAsync(KeyOf(id), TimeSpan.FromMinutes(5));

        // A script or a write; what reads is let through.
        _ = redis.HoldAsync(command => command.StartsWith("EVAL", StringComparison.Ordinal) || command.Contains("EXPIRE", StringComparison.Ordinal));
        var page = browser.Copy().GetAsync("/");
        await Task.WhenAny(page, Task.Delay(TimeSpan.FromSeconds(5)));
        var answered = page.IsCompleted;
        redis.Release();
        Assert.Equal("1", await page);
        Assert.True(answered, "The page waited for the session to slide.");
        await Eventually.TrueAsync(async () => await db.KeyTimeToLiveAsync(KeyOf(id)) > TimeSpan.FromMinutes(19));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
    }

    // Microsoft's: SessionLogsCacheReadException, exactly as there: no cookie.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task While_redis_is_known_to_be_away_a_visitor_without_a_cookie_has_an_unavailable_session_logged_once(bool asEndpoint)
    {
        using var redis = new HeldRedis(Server.Address);
        var available = true;
        var site = await StartPageAsync(
            context =>
            {
                available = context.Session.IsAvailable;
                if (!available)
                {
                    Assert.Null(context.Session.GetString("a"));
                    Assert.Equal("", context.Session.Id);
                    Assert.Empty(context.Session.Keys);
                }

                context.Session.SetString("a", "1");
                return Task.CompletedTask;
            },
            asEndpoint,
            redis.Address);
        await site.Sessions.CreateAsync();
        redis.Dispose();
        await KnowsThatRedisIsAwayAsync(site);
        site.Log.Clear();
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Get, "/");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.False(available);
        Assert.Empty(SetCookies(response));
        var entry = Assert.Single(InBoxLog(site));
        Assert.Equal((LogLevel.Error, 6, "SessionCacheReadException"), (entry.Level, entry.Id.Id, entry.Id.Name));
    }

    // Microsoft's: SessionLogsCacheLoadAsyncException, and what follows in the same request; with a cookie.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task While_redis_is_away_a_load_throws_and_a_request_logs_one_entry(bool asEndpoint)
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            async context =>
            {
                if (context.Request.Path == "/load")
                {
                    await Assert.ThrowsAnyAsync<RedisException>(() => context.Session.LoadAsync());
                }

                Assert.False(context.Session.IsAvailable);
                Assert.Equal("", context.Session.Id);
                context.Session.SetString("a", "2");
                await context.Session.CommitAsync();
                await context.Response.WriteAsync(context.Session.GetString("a") ?? "nothing");
            },
            asEndpoint,
            redis.Address);
        var (browser, _) = await BrowserWithSessionAsync(site);
        redis.Dispose();
        await KnowsThatRedisIsAwayAsync(site);
        foreach (var path in (string[])["/load", "/read"])
        {
            site.Log.Clear();
            Assert.Equal("nothing", await browser.GetAsync(path));
            var entry = Assert.Single(InBoxLog(site));
            Assert.Equal((LogLevel.Error, 6, "SessionCacheReadException"), (entry.Level, entry.Id.Id, entry.Id.Name));
        }
    }

    // Microsoft's: RequestAbortedIgnored has no counterpart for loads; whoever hands RequestAborted over wants it heeded.
    [Fact]
    public async Task A_load_given_the_requests_own_token_ends_with_the_request_and_logs_nothing()
    {
        using var redis = new HeldRedis(Server.Address);
        var thrown = new TaskCompletionSource<Exception?>();
        var left = new SemaphoreSlim(0);
        var site = await StartPageAsync(
            async context => thrown.SetResult(await Record.ExceptionAsync(() => context.Session.LoadAsync(context.RequestAborted))),
            redis: redis.Address,
            beforeSession: app => app.Use(async (HttpContext context, RequestDelegate next) =>
            {
                await next(context);
                left.Release();
            }));
        var (browser, _) = await BrowserWithSessionAsync(site);
        var reached = redis.HoldAsync();
        await AbortAsync(site, browser, reached);
        Assert.IsAssignableFrom<OperationCanceledException>(await thrown.Task);
        await left.WaitAsync();
        Assert.Empty(InBoxLog(site));
    }

    // Microsoft's: RequestAbortedIgnored, after a commit that was given the request's own token and may have arrived.
    [Fact]
    public async Task A_commit_given_the_requests_own_token_ends_with_the_request_and_the_value_is_stored_all_the_same()
    {
        using var redis = new HeldRedis(Server.Address);
        var reached = new TaskCompletionSource();
        var thrown = new TaskCompletionSource<Exception?>();
        var left = new SemaphoreSlim(0);
        var site = await StartPageAsync(
            async context =>
            {
                if (context.Request.Path != "/set")
                {
                    await context.Response.WriteAsync(context.Session.GetString("a") ?? "");
                    return;
                }

                await context.Session.LoadAsync();
                context.Session.SetString("a", "2");
                _ = redis.HoldAsync().ContinueWith(_ => reached.SetResult());
                thrown.SetResult(await Record.ExceptionAsync(() => context.Session.CommitAsync(context.RequestAborted)));
                redis.Release();
            },
            redis: redis.Address,
            beforeSession: app => app.Use(async (HttpContext context, RequestDelegate next) =>
            {
                await next(context);
                left.Release();
            }));
        var (browser, _) = await BrowserWithSessionAsync(site);
        await AbortAsync(site, browser, reached.Task);
        Assert.IsAssignableFrom<OperationCanceledException>(await thrown.Task);
        await left.WaitAsync();
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
        Assert.Equal("2", await browser.GetAsync("/get"));
    }

    private static async Task AbortAsync(Site site, Browser browser, Task when)
    {
        using var client = site.Server.CreateClient();
        client.DefaultRequestHeaders.Add("Cookie", $"{Browser.SessionCookie}={browser.Cookies[Browser.SessionCookie]}");
        using var abort = new CancellationTokenSource();
        var request = client.GetAsync("/set", abort.Token);
        await when;
        await abort.CancelAsync();
        Assert.NotNull(await Record.ExceptionAsync(() => request));
    }

    private static Task KnowsThatRedisIsAwayAsync(Site site) => Eventually.TrueAsync(
        async () => await Record.ExceptionAsync(() => site.Sessions.ExistsAsync(Guid.NewGuid().ToString())) is RedisConnectionException,
        what: "the site knows that Redis is away");
}

public sealed class InBoxOutageOnGarnet(InProcessGarnet server) : InBoxOutageTests(server);

public sealed class InBoxOutageOnRedis(LocalRedis server) : InBoxOutageTests(server);

public sealed class InBoxOutageInContainer(ContainerRedis server) : InBoxOutageTests(server);

public sealed class InBoxOutageOnGivenServer(GivenRedis server) : InBoxOutageTests(server);
