using System.Net;
using System.Text;
using Microsoft.Extensions.Logging;
using RedisSessions.Tests.Attacks;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// A commit that fails comes before the response, so the response can be honest: by default the request fails; by option it goes
/// out as Microsoft's does, and the failure is logged.
/// </summary>
public abstract class CommitFailureTests(RedisServer server) : ServerTest(server)
{
    private bool _fails = true;

    private Task<Site> StartFailingAsync(CommitFailure? behavior = null) => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/redirect", (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                return Results.Redirect("/next");
            });
            app.MapGet("/nothing", (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                context.Response.StatusCode = StatusCodes.Status204NoContent;
            });
            app.MapGet("/stream", async (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                for (var i = 0; i < 3; i++)
                {
                    await context.Response.WriteAsync("part ");
                    await context.Response.Body.FlushAsync();
                }
            });
        },
        options: o => o.CommitFailure = behavior ?? o.CommitFailure,
        services: services => services.AddAuthorization(),
        addOns: builder => builder.AddUserIndex().AddSecurity(o => o.TimeoutsOf = _ => _fails ? throw new InvalidOperationException("TimeoutsOf fails") : default),
        afterSession: app => app.Use((context, next) =>
        {
            context.User = SignInSite.PrincipalOf("ada");
            return next(context);
        }));

    [Fact]
    public void By_default_a_commit_that_fails_fails_the_request() => Assert.Equal(CommitFailure.Throw, new RedisSessionOptions().CommitFailure);

    [Theory]
    [InlineData("/set/a/1")]
    [InlineData("/redirect")]
    [InlineData("/nothing")]
    [InlineData("/stream")]
    public async Task A_commit_that_fails_fails_the_request_and_acknowledges_nothing(string path)
    {
        var site = await StartFailingAsync();
        var browser = site.NewBrowser();
        var (status, body) = await browser.TryAsync(path);
        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.DoesNotContain("part ", body, StringComparison.Ordinal);
        _fails = false;
        await browser.GetAsync("/set/b/2");
        Assert.Equal("b", await browser.GetAsync("/keys"));
    }

    [Theory]
    [InlineData("/set/a/1", HttpStatusCode.OK)]
    [InlineData("/redirect", HttpStatusCode.Redirect)]
    [InlineData("/nothing", HttpStatusCode.NoContent)]
    [InlineData("/stream", HttpStatusCode.OK)]
    public async Task A_commit_that_fails_is_only_logged_by_option(string path, HttpStatusCode expected)
    {
        var site = await StartFailingAsync(CommitFailure.Log);
        Assert.Equal(expected, (await site.NewBrowser().TryAsync(path)).Status);
        await Eventually.TrueAsync(() => site.Log.Entries.Any(entry => entry.Level == LogLevel.Error && $"{entry.Exception}".Contains("TimeoutsOf fails", StringComparison.Ordinal)));
    }

    /// <summary>With a change, without which a commit that may have been made is not tried again.</summary>
    private static Task CommitAtLastAsync(ISession session, Action change) => Eventually.TrueAsync(
        async () =>
        {
            change();
            return await Record.ExceptionAsync(() => session.CommitAsync()) is null;
        },
        what: "Redis is back");

    /// <summary>The commit never reaches Redis; the request runs on while it is under way.</summary>
    private static async Task FailAsync(RedisProxy proxy, Func<Task> begin, Func<Task> meanwhile)
    {
        var gate = new Gate(proxy);
        var failing = begin();
        await gate.Reached;
        var other = meanwhile();
        proxy.Cut();
        proxy.BeforeCommand = null;
        gate.Open();
        await Assert.ThrowsAnyAsync<Exception>(() => failing);
        await Record.ExceptionAsync(() => other);
    }

    [Theory]
    [InlineData(false, "before=1 both=2 later=3 since=2 stays=0")]
    [InlineData(true, "both=2 later=3 since=2")]
    public async Task What_changes_while_a_commit_fails_is_committed_over_what_it_held(bool clears, string expected)
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(redis: proxy.Address, options: o => o.WaitForFailover = TimeSpan.Zero);
        var created = await site.Sessions.CreateAsync([new("both", "0"u8.ToArray()), new("stays", "0"u8.ToArray())]);
        var session = Open(site, created.SecretKey);
        await session.LoadAsync();
        session.SetString("before", "1");
        session.SetString("both", "1");
        session.SetIdleTimeout(TimeSpan.FromMinutes(60));
        await FailAsync(proxy, () => session.CommitAsync(), () =>
        {
            if (clears)
            {
                session.Clear();
            }

            session.SetString("both", "2");
            session.SetString("since", "2");
            session.SetIdleTimeout(TimeSpan.FromMinutes(120));
            return Task.CompletedTask;
        });
        await CommitAtLastAsync(session, () => session.SetString("later", "3"));
        var stored = (await site.Sessions.GetAsync(created.Id))!;
        Assert.Equal(expected, string.Join(' ', stored.Fields.OrderBy(field => field.Key).Select(field => $"{field.Key}={Encoding.UTF8.GetString(field.Value)}")));
        Assert.InRange(stored.ExpiresAt - stored.LastSeenAt, TimeSpan.FromMinutes(120), TimeSpan.FromMinutes(121.1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_a_failed_increment_would_have_created_is_created_by_the_next_commit(bool twice)
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(redis: proxy.Address, options: o => o.WaitForFailover = TimeSpan.Zero);
        await site.Sessions.ExistsAsync(NewSecret());
        var session = Open(site, NewSecret(), isNew: true);
        await FailAsync(proxy, () => session.IncrementAsync("hits"), () =>
        {
            if (twice)
            {
                return session.IncrementAsync("hits");
            }

            session.SetIdleTimeout(TimeSpan.FromMinutes(120));
            return Task.CompletedTask;
        });
        await CommitAtLastAsync(session, () => session.SetIdleTimeout(TimeSpan.FromMinutes(180)));
        Assert.True(await site.Sessions.ExistsAsync(session.Id));
    }
}

public sealed class CommitFailureOnGarnet(InProcessGarnet server) : CommitFailureTests(server);

public sealed class CommitFailureOnRedis(LocalRedis server) : CommitFailureTests(server);

/// <summary>The same where it is Redis that takes nothing more.</summary>
public sealed class FullRedisCommitFailureTests : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _sites = [];
    private RedisProcess? _redis;

    public FullRedisCommitFailureTests() => RedisServer.SkipUnlessInstalled();

    [Theory]
    [InlineData(CommitFailure.Throw, HttpStatusCode.InternalServerError)]
    [InlineData(CommitFailure.Log, HttpStatusCode.OK)]
    public async Task A_write_that_a_full_redis_refuses_is_acknowledged_only_by_option(CommitFailure behavior, HttpStatusCode expected)
    {
        _redis = await RedisProcess.StartAsync();
        var site = await Site.StartAsync(_redis.Address + RedisServer.Patient, Pages.Map, options: o => o.CommitFailure = behavior);
        _sites.Add(site);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await using var admin = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync($"{_redis.Address},allowAdmin=true");
        await admin.GetServers()[0].ConfigSetAsync("maxmemory-policy", "noeviction");
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "100kb");
        Assert.Equal(expected, (await browser.TryAsync("/set/a/2")).Status);
        Assert.Equal("1", await browser.GetAsync("/get/a"));

        // The in-memory server answers before the pipeline has come to its end, where the commit is tried once more.
        await Eventually.TrueAsync(() => site.Log.Entries.Any(entry => entry.Id is { Id: 1, Name: "ErrorClosingTheSession" }), what: "the request is over");
        await admin.GetServers()[0].ConfigSetAsync("maxmemory", "0");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        await browser.GetAsync("/set/a/3");
        Assert.Equal("3", await browser.GetAsync("/get/a"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var site in _sites)
        {
            await site.DisposeAsync();
        }

        _redis?.Dispose();
    }
}
