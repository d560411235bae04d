using System.Net;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using RedisSessions.Lifecycle;
using RedisSessions.Tests.Analytics;
using RedisSessions.Tests.Lifecycle;
using RedisSessions.Tests.Storage;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Docs;

/// <summary>
/// An operator writes an ACL from the table of commands in docs/keys.md. Everything works for a user who may do just what that
/// says, and Redis notes no command that it refused.
/// </summary>
public abstract class AclTests(RedisServer server) : AnalyticsTest(server)
{
    private readonly string _instance = $"i{Guid.NewGuid():N}:";
    private readonly string _user = $"u{Guid.NewGuid():N}";

    /// <summary>A connection string of a user who may use the sessions and these parts.</summary>
    private async Task<string> CreateUserAsync(params string[] parts)
    {
        await CommandTable.CreateUserAsync(await DatabaseAsync(), _user, [$"{Fleet.Prefix}*", $"{_instance}*"], [.. parts.Prepend("sessions").Prepend("connection")]);
        return $"{Server.Address},user={_user},password={CommandTable.Password}";
    }

    private async Task NothingWasRefusedAsync()
    {
        var log = (RedisResult[])(await (await DatabaseAsync()).ExecuteAsync("ACL", "LOG", 1_000))!;
        var refused = log
            .Select(entry => entry.ToDictionary())
            .Where(entry => (string?)entry["username"] == _user)
            .Select(entry => $"{entry["reason"]} {entry["object"]} ({entry["context"]})")
            .Order()
            .ToArray();
        Assert.True(refused.Length == 0, $"Refused: {string.Join(", ", refused)}");
    }

    private static void NothingWentWrong(Site site) => Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);

    private static void Map(WebApplication app)
    {
        SignInSite.Map(app);
        app.MapGet("/hit", async (HttpContext context) => $"{await context.Session.IncrementAsync("hits")}");
        app.MapGet("/sign-in", async (HttpContext context) =>
        {
            context.Session.SetString("user", "ada");
            await context.Session.RegenerateIdAsync();
        });
        app.MapGet("/wait", async (HttpContext context) => await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing)).CloseWithSession();
        app.MapGet("/timeout", (HttpContext context) => context.Session.SetIdleTimeout(TimeSpan.FromMinutes(7)));
        app.MapGet("/take-turns", (HttpContext context) => context.Session.SetString("turn", "taken")).RequireExclusiveSession(lease: TimeSpan.FromMilliseconds(100));
        app.MapGet("/remove/{key}", (HttpContext context, string key) => context.Session.Remove(key));
        app.MapGet("/track/{name}", (HttpContext context, string name) => context.Session.Track(name, $"data of {name}"));
    }

    private Task<Site> StartAsUserAsync(string redis, Action<RedisSessionBuilder>? addOns = null, Action<RedisSessionOptions>? options = null, Action<IServiceCollection>? services = null) =>
        StartAsync(
            Map,
            redis: redis,
            options: options,
            services: collection =>
            {
                SignInSite.AddServices(collection);
                services?.Invoke(collection);
            },
            addOns: addOns);

    private async Task UseSessionsAsync(Site site)
    {
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/set/b/2");
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
        await browser.GetAsync("/remove/b");
        await browser.GetAsync("/timeout");
        Assert.Equal("1", await browser.GetAsync("/hit"));
        var old = browser.Copy();
        await browser.GetAsync("/regenerate");
        await browser.GetAsync("/sign-in");
        Assert.Equal("a,hits,user", await browser.GetAsync("/keys"));
        Assert.Equal("", await old.GetAsync("/keys"));
        var id = await browser.GetAsync("/id");
        await browser.GetAsync("/clear");
        await browser.GetAsync("/set/c/3");
        Clock.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal("c", await browser.GetAsync("/keys"));
        await browser.GetAsync("/destroy");
        Assert.False(await site.Sessions.ExistsAsync(id));

        // A server that lost its scripts is sent them again.
        await (await Server.AdminAsync()).GetServers()[0].ScriptFlushAsync();
        Assert.Equal("1", await browser.GetAsync("/hit"));
        await browser.GetAsync("/set/d/4");
        Assert.Equal("d,hits", await browser.GetAsync("/keys"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sessions(bool copies)
    {
        var site = await StartAsUserAsync(await CreateUserAsync(), options: o => (o.AbsoluteTimeout, o.LocalCache.SizeLimit) = (TimeSpan.FromMinutes(24), copies ? o.LocalCache.SizeLimit : 0));
        await UseSessionsAsync(site);
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Exclusive_requests()
    {
        var site = await StartAsUserAsync(await CreateUserAsync());
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var pages = Task.WhenAll(Enumerable.Range(0, 5).Select(_ => browser.TryAsync("/take-turns")));
        await Eventually.TrueAsync(() =>
        {
            // Who waits for a turn looks again by the clock.
            Clock.Advance(TimeSpan.FromMilliseconds(5));
            return pages.IsCompleted;
        });
        Assert.All(await pages, page => Assert.Equal(HttpStatusCode.OK, page.Status));
        Assert.Equal("a,turn", await browser.GetAsync("/keys"));
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Live_connections()
    {
        var site = await StartAsUserAsync(await CreateUserAsync("live connections"), builder => builder.AddLiveConnections());
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        using var live = new InstrumentReader(site.Services, "redis_sessions.live.connections");
        var waiting = browser.TryAsync("/wait");
        await Eventually.TrueAsync(() => live.Read("request") == 1, what: "the connection is open");
        await browser.GetAsync("/sign-in");
        await browser.GetAsync("/get/user");
        await site.Sessions.DestroyAsync(await browser.GetAsync("/id"));
        await waiting;
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Values_with_a_lifetime()
    {
        await FieldExpiryOf.SkipUnlessAsync(Server);
        var site = await StartAsUserAsync(await CreateUserAsync("values with a lifetime"), options: o => o.RequireFieldExpiry = true);
        var session = Open(site, NewSecret(), isNew: true);
        session.SetString("code", "1", TimeSpan.FromMinutes(1));
        await session.CommitAsync();
        session.SetString("code", "2", TimeSpan.FromMinutes(1));
        await session.CommitAsync();
        Assert.Equal("2", await session.TakeStringAsync("code"));
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Waiting_for_replicas()
    {
        // There is none, which is told; but nothing is refused.
        var site = await StartAsUserAsync(
            await CreateUserAsync("waiting for replicas"), options: o => (o.WaitForReplicas.Commits.Replicas, o.WaitForReplicas.Commits.Timeout) = (1, TimeSpan.FromMilliseconds(500)));
        await Eventually.TrueAsync(async () =>
        {
            var session = Open(site, NewSecret(), isNew: true);
            session.Set("a", [1]);
            return (await Assert.ThrowsAsync<SessionNotReplicatedException>(() => session.CommitAsync())).InnerException is null;
        });
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Notified_copies()
    {
        var site = await StartAsUserAsync(await CreateUserAsync("notified copies"), options: o => o.LocalCache.Mode = LocalCacheMode.Notified);
        var notified = new NotifiedSite(site, Clock);
        await notified.ProvedAsync();
        await UseSessionsAsync(site);
        Assert.True(notified.Served > 0);
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Encrypted_sessions()
    {
        var site = await StartAsUserAsync(await CreateUserAsync(), builder => builder.AddEncryption());
        await UseSessionsAsync(site);
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task The_repository()
    {
        var site = await StartAsUserAsync(await CreateUserAsync(), options: o => o.AbsoluteTimeout = TimeSpan.FromHours(8));
        var sessions = site.Sessions;
        var id = (await sessions.CreateAsync([new("a", [1])], TimeSpan.FromMinutes(5))).Id;
        Assert.Equal([1], (await sessions.GetAsync(id))!.Fields["a"]);
        Assert.Equal([1], await sessions.GetFieldAsync(id, "a"));
        Assert.True(await sessions.SetFieldAsync(id, "b", [2]));
        Assert.True(await sessions.SetFieldsAsync(id, [new("c", [3]), new("d", [4])]));
        Assert.True(await sessions.RemoveFieldAsync(id, "c"));
        Assert.Equal(["a", "b", "d"], (await sessions.GetFieldNamesAsync(id))!.Order());
        Assert.True(await sessions.ExistsAsync(id));
        Assert.True(await sessions.TouchAsync(id));
        Assert.NotNull(await sessions.GetTimeToLiveAsync(id));
        Assert.NotNull(await sessions.ExtendAsync(id, TimeSpan.FromMinutes(1)));
        Assert.True(await sessions.DestroyAsync(id));
        await NothingWasRefusedAsync();
    }

    [Theory]
    [InlineData(SessionLimitBehavior.EvictOldest)]
    [InlineData(SessionLimitBehavior.RejectNew)]
    public async Task The_user_index(SessionLimitBehavior behavior)
    {
        var site = await StartAsUserAsync(await CreateUserAsync("user index"), builder => builder.AddUserIndex(o =>
        {
            (o.MaxSessionsPerUser, o.LimitBehavior, o.ActivityRetention) = (2, behavior, TimeSpan.FromHours(1));
            (o.RememberDevices, o.MaxDevicesPerUser) = (true, 1);
        }));
        await UseSessionsAsync(site);
        var users = site.Services.GetRequiredService<IUserSessions>();
        var (first, second, third) = (site.NewBrowser(), site.NewBrowser(), site.NewBrowser());
        await first.GetAsync("/login/ada");
        Clock.Advance(TimeSpan.FromSeconds(1));
        await second.GetAsync("/login/ada");
        Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(behavior == SessionLimitBehavior.RejectNew ? HttpStatusCode.InternalServerError : HttpStatusCode.OK, (await third.TryAsync("/login/ada")).Status);
        Assert.Equal(2, await users.CountAsync("ada"));
        Assert.Equal(2, (await users.ListAsync("ada")).Count);

        // The heartbeat.
        Clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("ada", await second.GetAsync("/whoami"));
        await second.GetAsync("/regenerate");
        Assert.Equal("ada", await second.GetAsync("/whoami"));
        Assert.Equal(RevokeResult.Revoked, await users.RevokeAsync("ada", await second.GetAsync("/id")));
        Assert.Equal("", await second.GetAsync("/whoami"));
        await second.GetAsync("/login/grace");
        await second.GetAsync("/logout");
        await second.GetAsync("/login/grace");
        var active = new List<string>();
        await foreach (var user in users.GetActiveUsersAsync(Clock.GetUtcNow() - TimeSpan.FromHours(1)))
        {
            active.Add(user.UserId);
        }

        Assert.Equal(["ada", "grace"], active.Order());
        Assert.Equal(1, await users.RevokeAllAsync("grace", null));
        Assert.Equal(1, (await users.RevokeEveryoneAsync()).Sessions);
        Assert.Equal("", await first.GetAsync("/whoami"));
        await third.GetAsync("/login/eve");
        var device = Assert.Single(await users.ListAsync("eve")).DeviceId!;
        Assert.True(await users.NameDeviceAsync("eve", device, "laptop"));
        Assert.Equal("laptop", Assert.Single(await users.ListAsync("eve")).GivenDeviceName);
        await second.GetAsync("/login/eve");
        Assert.True(await users.NameDeviceAsync("eve", (await users.ListAsync("eve"))[0].DeviceId!, null));
        Assert.Equal(2, await users.ForgetUserAsync("eve"));
        Clock.Advance(TimeSpan.FromHours(2));
        await users.PruneAsync();
        Assert.DoesNotContain(site.Log.Ours, entry => entry.Exception is not null);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Security()
    {
        var site = await StartAsUserAsync(await CreateUserAsync("security"), builder => builder.AddSecurity(o => o.UserAgentAction = BindingAction.Destroy));
        await UseSessionsAsync(site);
        var victim = site.NewBrowser();
        victim.Headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
        await victim.GetAsync("/set/cart/tea");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
        var id = await victim.GetAsync("/id");
        var thief = victim.Copy();
        thief.Headers["User-Agent"] = "curl/8";
        Assert.Equal("", await thief.GetAsync("/get/cart"));
        await Eventually.TrueAsync(async () => !await site.Sessions.ExistsAsync(id));
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Security_with_the_user_index()
    {
        var site = await StartAsUserAsync(await CreateUserAsync("user index", "security"), builder => builder.AddUserIndex().AddSecurity());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await site.Services.GetRequiredService<ISessionSecurity>().DetectSuspiciousActivityAsync("ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Analytics_alone()
    {
        foreach (var master in (await Server.AdminAsync()).GetServers())
        {
            await master.ConfigSetAsync("notify-keyspace-events", "Ex");
        }

        // The host's own sweep would take its turn as the clock moves, and the end be counted when that had come so far.
        var site = await StartAsUserAsync(await CreateUserAsync("analytics"), builder => builder.AddAnalytics(o => o.SweepInterval = TimeSpan.FromDays(10)));
        await UseSessionsAsync(site);
        var browser = site.NewBrowser();
        await browser.GetAsync("/track/seen");
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/track/bought");
        await FlushAsync(site);
        await browser.GetAsync("/regenerate");
        await FlushAsync(site);
        var id = await browser.GetAsync("/id");
        var analytics = Analytics(site);
        Assert.Contains(await analytics.GetEventsAsync(id), e => e.Name == "bought");
        Assert.NotEmpty(await analytics.GetEventCountsAsync(Today));
        await analytics.GetMetricsAsync();
        Assert.True((await analytics.GetDailyReportAsync(Today)).Created > 0);
        await analytics.GetRangeAsync(Today.AddDays(-1), Today);
        await SweepAsync(site);
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id));
        Clock.Advance(TimeSpan.FromHours(1));
        await SweepAsync(site);
        Assert.True((await analytics.GetDailyReportAsync(Today)).Expired > 0);
        NothingWentWrong(site);
        Assert.DoesNotContain(site.Log.Ours, entry => entry.Exception is not null);
        await site.DisposeAsync();
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Analytics_of_users()
    {
        var site = await StartAsUserAsync(await CreateUserAsync("user index", "analytics"), builder => builder.AddUserIndex().AddAnalytics());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await FlushAsync(site);
        Assert.Equal(1, (await Analytics(site).GetDailyReportAsync(Today)).UniqueUsers);
        await site.Services.GetRequiredService<IUserSessions>().RevokeAllAsync("ada");
        await FlushAsync(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Lifecycle()
    {
        var diary = new Diary();
        var site = await StartAsUserAsync(
            await CreateUserAsync("user index", "lifecycle"),
            builder => builder.AddUserIndex().AddLifecycle<DiaryLifecycle>(o => o.Fields.Add("a")),
            services: services => services.AddSingleton(diary));
        await UseSessionsAsync(site);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/login/ada");
        var id = await browser.GetAsync("/id");
        Clock.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        var watcher = site.Services.GetRequiredService<LifecycleWatcher>();
        await watcher.LookAsync(CancellationToken.None);
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id));
        Clock.Advance(TimeSpan.FromHours(2));
        await Eventually.TrueAsync(async () =>
        {
            await watcher.LookAsync(CancellationToken.None);
            return diary.Entries.Any(entry => entry.Session.SessionId == id);
        });

        // A call that was under way when the clock moved lost its lease, and is made again.
        Assert.DoesNotContain(site.Log.Ours, entry => entry.Exception is not null and not OperationCanceledException);
        await site.DisposeAsync();
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task The_cache()
    {
        var redis = await CreateUserAsync("cache") + RedisServer.Patient;
        await using var services = new ServiceCollection().AddLogging().AddRedisHashCache(redis, o => o.InstanceName = _instance).BuildServiceProvider();
        var cache = services.GetRequiredService<IDistributedCache>();
        var options = new[]
        {
            new DistributedCacheEntryOptions(),
            new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(1) },
            new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(1) },
            new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(2), SlidingExpiration = TimeSpan.FromMinutes(1) },
        };
        foreach (var length in new[] { 10, 100_000 })
        {
            foreach (var option in options)
            {
                await cache.SetAsync("k", new byte[length], option);
                for (var i = 0; i < 3; i++)
                {
                    Assert.Equal(length, (await cache.GetAsync("k"))!.Length);
                    Assert.Equal(length, cache.Get("k")!.Length);
                    var buffer = new System.Buffers.ArrayBufferWriter<byte>();
                    Assert.True(await ((IBufferDistributedCache)cache).TryGetAsync("k", buffer));
                    Assert.True(((IBufferDistributedCache)cache).TryGet("k", buffer));
                }

                await cache.RefreshAsync("k");
                cache.Refresh("k");
                cache.Set("k", new byte[length], option);
                await cache.RemoveAsync("k");
                cache.Remove("k");
                Assert.Null(await cache.GetAsync("k"));
            }
        }

        await NothingWasRefusedAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Migrated_sessions(bool writeBoth)
    {
        await using var former = new ServiceCollection().AddLogging().AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (Server.Address, _instance)).BuildServiceProvider();
        var site = await StartAsUserAsync(await CreateUserAsync("migration"), builder => builder.AddMicrosoftSessionMigration(_instance, o => o.WriteBoth = writeBoth));
        await UseSessionsAsync(site);

        // A session of Microsoft's stack: one value, "a" = "1".
        var secret = NewSecret();
        byte[] blob = [2, 0, 0, 1, .. new byte[16], 0, 1, (byte)'a', 0, 0, 0, 1, (byte)'1'];
        var cache = former.GetRequiredService<IDistributedCache>();
        await cache.SetAsync(secret, blob, new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(20) });
        var browser = site.NewBrowser();
        browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf(secret));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        await browser.GetAsync("/set/b/2");
        await browser.GetAsync("/regenerate");
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
        Assert.Null(await cache.GetAsync(secret));
        await browser.GetAsync("/destroy");
        Assert.Equal("", await browser.GetAsync("/keys"));

        // And one read where nothing was awaited first.
        await cache.SetAsync(secret, blob, new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(20) });
        Assert.Equal("1", Open(site, secret).GetString("a"));
        NothingWentWrong(site);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task The_health_check()
    {
        var site = await StartAsUserAsync(await CreateUserAsync("health check"), services: services => services.AddHealthChecks().AddRedisSession());
        var report = await site.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.All(report.Entries.Values, entry => Assert.Null(entry.Exception));
        Assert.Equal(HealthStatus.Healthy, report.Status);
        await NothingWasRefusedAsync();
    }

    [Fact]
    public async Task Keys_of_Data_Protection()
    {
        var site = await StartAsUserAsync(
            await CreateUserAsync("Data Protection keys"),
            builder => builder.PersistDataProtectionKeys(),
            services: services =>
            {
                services.RemoveAll<IDataProtectionProvider>();
                services.AddDataProtection();
            });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        await NothingWasRefusedAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await (await DatabaseAsync()).ExecuteAsync("ACL", "DELUSER", _user);
    }
}

public sealed class AclOnRedis(LocalRedis server) : AclTests(server);

// Not on Garnet: it has no ACL LOG, so it cannot say what it refused.
public sealed class AclInContainer(ContainerRedis server) : AclTests(server);
