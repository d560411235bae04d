using System.Buffers;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// Microsoft's tests of a cache that throws. Here Redis refuses, because a key holds something that is no session; the same on
/// every kind of server, and at the moment that a test chooses.
/// </summary>
public abstract class InBoxFailureTests(RedisServer server) : InBoxTest(server)
{
    private const string Broken = "no session";

    // Microsoft's: SessionLogsCacheReadException. There even without a cookie; here nothing is read then, so nothing can fail.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_cannot_be_read_is_empty_takes_nothing_and_is_logged_once(bool asEndpoint)
    {
        var site = await StartPageAsync(
            context =>
            {
                Assert.False(context.Session.TryGetValue("a", out var value));
                Assert.Null(value);
                Assert.Equal("", context.Session.Id);
                Assert.Empty(context.Session.Keys);
                Assert.False(context.Session.IsAvailable);
                context.Session.SetString("a", "2");
                context.Session.Remove("a");
                context.Session.Clear();
                Assert.Null(context.Session.GetString("a"));
                Assert.Throws<ArgumentNullException>(() => context.Session.Set("a", null!));
                return Task.CompletedTask;
            },
            asEndpoint);
        var (browser, id) = await BrowserWithSessionAsync(site);
        await BreakAsync(id);
        using var response = await browser.SendAsync(HttpMethod.Get, "/");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(SetCookies(response));
        var entry = Assert.Single(InBoxLog(site));
        Assert.Equal((LogLevel.Error, 6, "SessionCacheReadException"), (entry.Level, entry.Id.Id, entry.Id.Name));
        Assert.IsAssignableFrom<RedisException>(entry.Exception);
        Assert.Single(site.Log.Entries, logged => logged.Level >= LogLevel.Warning);
        Assert.Equal(Broken, await (await DatabaseAsync()).StringGetAsync(KeyOf(id)));
    }

    // Microsoft's: SessionLogsCacheLoadAsyncException.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_load_that_fails_throws_and_the_session_is_then_unavailable_and_that_is_logged_once(bool asEndpoint)
    {
        var site = await StartPageAsync(
            async context =>
            {
                await Assert.ThrowsAnyAsync<RedisException>(() => context.Session.LoadAsync());
                Assert.False(context.Session.IsAvailable);
                Assert.Equal("", context.Session.Id);
                Assert.Empty(context.Session.Keys);
            },
            asEndpoint);
        var (browser, id) = await BrowserWithSessionAsync(site);
        await BreakAsync(id);
        await browser.GetAsync("/");
        var entry = Assert.Single(InBoxLog(site));
        Assert.Equal((LogLevel.Error, 6, "SessionCacheReadException"), (entry.Level, entry.Id.Id, entry.Id.Name));
    }

    // Microsoft's: SessionLogsCacheReadException, SessionLogsCacheLoadAsyncException, both of which look for this text, as an alarm may.
    [Fact]
    public async Task A_session_that_cannot_be_read_is_logged_with_the_in_box_text_and_the_id_for_the_key()
    {
        var site = await StartPageAsync(context =>
        {
            Assert.False(context.Session.IsAvailable);
            return Task.CompletedTask;
        });
        var (browser, id) = await BrowserWithSessionAsync(site);
        await BreakAsync(id);
        await browser.GetAsync("/");
        Assert.Equal($"Session cache read exception, Id:{id}", Assert.Single(InBoxLog(site)).Message);
    }

    // Microsoft's has no test of this. A difference: there a load after a failed read says nothing.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_load_of_a_session_that_turned_out_to_be_unavailable_throws(bool asEndpoint)
    {
        var site = await StartPageAsync(
            async context =>
            {
                Assert.False(context.Session.IsAvailable);
                await Assert.ThrowsAnyAsync<RedisException>(() => context.Session.LoadAsync());
                Assert.False(context.Session.IsAvailable);
                await Assert.ThrowsAnyAsync<RedisException>(() => context.Session.LoadAsync());
            },
            asEndpoint);
        var (browser, id) = await BrowserWithSessionAsync(site);
        await BreakAsync(id);
        await browser.GetAsync("/");
        Assert.Single(InBoxLog(site));
    }

    // Microsoft's: SessionLogsCacheRefreshException. A difference: a request that leaves the session alone has nothing to refresh at
    // its end, so it fails at nothing.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_that_leaves_its_session_alone_does_not_mind_that_it_cannot_be_read(bool asEndpoint)
    {
        var site = await StartPageAsync(_ => Task.CompletedTask, asEndpoint);
        var (browser, id) = await BrowserWithSessionAsync(site);
        await BreakAsync(id);
        await browser.GetAsync("/");
        Assert.DoesNotContain(InBoxEvents(site), logged => logged.Id == 1);
        Assert.InRange(site.Log.Entries.Count(logged => logged.Level >= LogLevel.Warning), 0, 1);
    }

    // Microsoft's: SessionLogsCacheCommitException. A difference: "Session started" is logged when it has started, so not here.
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_commit_that_fails_is_logged_once_and_nothing_is_logged_as_started_or_stored(bool asEndpoint, bool isNew)
    {
        var site = await StartPageAsync(SetAndBreakAsync, asEndpoint);
        var browser = isNew ? site.NewBrowser() : (await BrowserWithSessionAsync(site)).Browser;
        await FailsAsync(browser, "/");
        var entry = Assert.Single(InBoxLog(site), logged => logged.Level >= LogLevel.Information);
        Assert.Equal((LogLevel.Error, 1, "ErrorClosingTheSession"), (entry.Level, entry.Id.Id, entry.Id.Name));
        Assert.Equal("Error closing the session.", entry.Message);
        Assert.IsAssignableFrom<RedisException>(entry.Exception);
    }

    // Microsoft's: SessionLogsCacheCommitException. A difference: there the browser is told that all went well.
    [Theory]
    [InlineData("/empty")]
    [InlineData("/body")]
    [InlineData("/redirect")]
    [InlineData("/written before it starts")]
    public async Task A_commit_that_fails_before_the_response_fails_the_request(string path)
    {
        var site = await StartPageAsync(async context =>
        {
            await SetAndBreakAsync(context);
            switch (context.Request.Path.Value)
            {
                case "/body":
                    await context.Response.WriteAsync("All is well.");
                    break;
                case "/redirect":
                    context.Response.Redirect("/thanks");
                    break;
                case "/written before it starts":
                    context.Response.BodyWriter.Write("All is well."u8);
                    await context.Response.CompleteAsync();
                    break;
            }
        });
        Assert.True(await FailsAsync(site.NewBrowser(), path));
        Assert.True(await FailsAsync((await BrowserWithSessionAsync(site)).Browser, path));
    }

    // Microsoft's has no test of this: what is committed explicitly throws to whoever asked for it, and the session stays as it is.
    [Fact]
    public async Task An_explicit_commit_that_fails_throws()
    {
        var site = await StartPageAsync(_ => Task.CompletedTask);
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("a", "1");
        await BreakAsync(session.Id);
        await Assert.ThrowsAnyAsync<RedisException>(() => session.CommitAsync());
        Assert.Equal("1", session.GetString("a"));

        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(session.Id));
        await session.CommitAsync();
        Assert.Equal("1", Open(site, secret).GetString("a"));
    }

    // Microsoft's: RefreshesSession_WhenSessionData_IsNotModified. Time passes for the site and, as Redis has a clock of its own, for
    // the key.
    [Theory]
    [InlineData("/leave alone", false)]
    [InlineData("/leave alone", true)]
    [InlineData("/read", false)]
    [InlineData("/read", true)]
    public async Task A_session_that_a_request_does_not_change_lives_on(string path, bool asEndpoint)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartPageAsync(
            context => context.Request.Path == "/leave alone" ? Task.CompletedTask : context.Response.WriteAsync(context.Session.GetString("a") ?? ""),
            asEndpoint,
            session: o => o.IdleTimeout = TimeSpan.FromMinutes(20));
        var (browser, id) = await BrowserWithSessionAsync(site);
        var db = await DatabaseAsync();
        for (var i = 0; i < 3; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(10));
            await db.KeyExpireAsync(KeyOf(id), TimeSpan.FromMinutes(10));
            await browser.GetAsync(path);
            await Eventually.TrueAsync(async () => await db.KeyTimeToLiveAsync(KeyOf(id)) > TimeSpan.FromMinutes(19));
        }

        Assert.Equal("1", await browser.GetAsync("/read"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
    }

    // Microsoft's has no test of this: the options handed to UseSession count, not those of the container.
    [Fact]
    public async Task The_idle_timeout_is_that_of_the_options_in_use()
    {
        var id = "";
        var site = await StartPageAsync(
            _ => Task.CompletedTask,
            session: o => o.IdleTimeout = TimeSpan.FromMinutes(5),
            beforeSession: app => app.Map("/own", branch =>
            {
                branch.UseSession(new SessionOptions { IdleTimeout = TimeSpan.FromHours(3) });
                branch.Run(context =>
                {
                    context.Session.SetString("a", "1");
                    id = context.Session.Id;
                    return Task.CompletedTask;
                });
            }));
        await site.NewBrowser().GetAsync("/own");
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(KeyOf(id)))!.Value, TimeSpan.FromMinutes(179), TimeSpan.FromMinutes(182));
    }

    // Microsoft's has no test of this. A difference: there an expired session gets a new id, here the id follows from the cookie.
    [Fact]
    public async Task An_expired_session_that_begins_again_keeps_its_id()
    {
        var site = await StartPageAsync(context =>
        {
            context.Session.SetString("a", "1");
            return context.Response.WriteAsync(context.Session.Id);
        });
        var (browser, id) = await BrowserWithSessionAsync(site);
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id));
        Assert.Equal(id, await browser.GetAsync("/"));
        Assert.True(await site.Sessions.ExistsAsync(id));
    }

    private async Task SetAndBreakAsync(HttpContext context)
    {
        await context.Session.LoadAsync();
        context.Session.SetString("a", "2");
        await BreakAsync(context.Session.Id);
    }

    private async Task BreakAsync(string id) => await (await DatabaseAsync()).StringSetAsync(KeyOf(id), Broken);
}

public sealed class InBoxFailureOnGarnet(InProcessGarnet server) : InBoxFailureTests(server);

public sealed class InBoxFailureOnRedis(LocalRedis server) : InBoxFailureTests(server);

public sealed class InBoxFailureInContainer(ContainerRedis server) : InBoxFailureTests(server);

public sealed class InBoxFailureOnGivenServer(GivenRedis server) : InBoxFailureTests(server);

public sealed class InBoxFailureOnCluster(LocalCluster server) : InBoxFailureTests(server);

/// <summary>With a redis-server of its own, because it forgets its scripts.</summary>
public sealed class InBoxForgottenScriptTests(LocalRedis server) : InBoxTest(server)
{
    // Microsoft's: RefreshesSession_WhenSessionData_IsNotModified, where Redis restarted or was told to forget its scripts.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_a_request_leaves_alone_lives_on_though_redis_forgot_its_scripts(bool asEndpoint)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        using var redis = await RedisProcess.StartAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        var site = await StartPageAsync(_ => Task.CompletedTask, asEndpoint, redis.Address);
        var (browser, id) = await BrowserWithSessionAsync(site);
        clock.Advance(TimeSpan.FromMinutes(15));
        await admin.GetDatabase().KeyExpireAsync(KeyOf(id), TimeSpan.FromMinutes(5));
        await admin.GetServers()[0].ScriptFlushAsync();
        await browser.GetAsync("/");
        await Eventually.TrueAsync(
            async () => await admin.GetDatabase().KeyTimeToLiveAsync(KeyOf(id)) > TimeSpan.FromMinutes(19),
            TimeSpan.FromSeconds(5),
            "the session slid");
    }
}
