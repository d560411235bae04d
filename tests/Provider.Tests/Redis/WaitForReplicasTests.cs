using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Redis;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Redis;

/// <summary>What is to be on a replica before its caller goes on is there, or the caller is told; a replica that is stopped for real does not have it.</summary>
[Collection(Alone.Name)]
public sealed class WaitForReplicasTests : OwnRedisTest
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMilliseconds(500);

    private async Task<(RedisProcess Master, RedisProcess Replica)> StartAsync()
    {
        var master = await RedisAsync("--repl-diskless-sync-delay", "0");
        var replica = await RedisAsync("--replicaof", "127.0.0.1", $"{master.Port}");
        await using var admin = await ConnectionMultiplexer.ConnectAsync(master.Address);

        // What a replica gets as a whole it has at once. What comes behind that, its master sends only when it has said so, which it does once a second.
        var answers = 0;
        await Eventually.TrueAsync(
            async () =>
            {
                await admin.GetDatabase().StringSetAsync("in-step", answers);
                return (int)await admin.GetDatabase().ExecuteAsync("WAIT", 1, 1000) == 1 && ++answers == 2;
            },
            what: "the replica is in step");
        return (master, replica);
    }

    private Task<Site> SiteAsync(string redis, Action<WaitForReplicasOptions> wait, Action<RedisSessionOptions>? options = null, Action<RedisSessionBuilder>? addOns = null) => SiteAsync(
        redis + RedisServer.Patient,
        app =>
        {
            app.MapGet("/login/{user}", (HttpContext context, string user) => context.SignInAsync(SignInSite.PrincipalOf(user)));
            app.MapGet("/whoami", (HttpContext context) => context.User.Identity?.Name ?? "");
            app.MapGet("/commit", async (HttpContext context) =>
            {
                context.Session.SetString("a", "explicit");
                try
                {
                    await context.Session.CommitAsync();
                    return "reached";
                }
                catch (SessionNotReplicatedException exception)
                {
                    return $"{exception.Replicas} of {exception.Wanted}";
                }
            });
            app.MapGet("/count", async (HttpContext context) => $"{await context.Session.IncrementAsync("n")}");
            app.MapGet("/take/{key}", async (HttpContext context, string key) => await context.Session.TakeStringAsync(key) ?? "");
        },
        o =>
        {
            foreach (var kind in new[] { o.WaitForReplicas.Commits, o.WaitForReplicas.SignIns, o.WaitForReplicas.Revocations })
            {
                kind.Timeout = Timeout;
            }

            wait(o.WaitForReplicas);
            options?.Invoke(o);
        },
        services: services =>
        {
            SignInSite.AddServices(services);
            services.AddHealthChecks().AddRedisSession();
        },
        addOns: addOns);

    private string KeyOf(string id) => $"{Fleet.Prefix}{{{id}}}";

    private static async Task<HealthReportEntry> HealthAsync(Site site) =>
        (await site.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["redis_session"];

    [Fact]
    public async Task What_is_acknowledged_is_on_the_replica_and_what_is_not_is_told_and_not_undone()
    {
        var (master, replica) = await StartAsync();
        var site = await SiteAsync(master.Address, wait => wait.Commits.Replicas = 1);
        using var unmet = new InstrumentReader(site.Services, "redis_sessions.replicas.not_reached");
        await using var reader = await ConnectionMultiplexer.ConnectAsync(replica.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/0");
        var id = await browser.GetAsync("/id");
        for (var i = 1; i <= 20; i++)
        {
            await browser.GetAsync($"/set/a/{i}");
            Assert.Equal(i, (int)await reader.GetDatabase().HashGetAsync(KeyOf(id), "a", CommandFlags.PreferReplica));
        }

        Assert.Equal("1", await browser.GetAsync("/count"));
        Assert.Equal("20", await browser.GetAsync("/take/a"));
        Assert.Equal(HealthStatus.Healthy, (await HealthAsync(site)).Status);
        Assert.Null(unmet.Read("commit"));

        replica.Pause();
        try
        {
            var watch = Stopwatch.StartNew();
            Assert.Equal("0 of 1", await browser.GetAsync("/commit"));
            Assert.True(watch.Elapsed >= Timeout, $"{watch.Elapsed}");
            Assert.Equal("explicit", await browser.GetAsync("/get/a"));
            Assert.Equal(HttpStatusCode.InternalServerError, (await browser.TryAsync("/set/a/failed")).Status);
            Assert.Equal("failed", await browser.GetAsync("/get/a"));
            Assert.Equal(HttpStatusCode.InternalServerError, (await browser.TryAsync("/count")).Status);
            Assert.Equal("2", await browser.GetAsync("/get/n"));
            Assert.Equal(HttpStatusCode.InternalServerError, (await browser.TryAsync("/take/a")).Status);
            Assert.Equal("", await browser.GetAsync("/get/a"));
            Assert.Equal(4, unmet.Read("commit"));
            Assert.Equal(4, site.Log.Entries.Count(entry => entry.Id.Id == 146));
            var health = await HealthAsync(site);
            Assert.Equal((HealthStatus.Degraded, 4L), (health.Status, health.Data["not_on_replicas"]));
        }
        finally
        {
            replica.Resume();
        }

        await Eventually.TrueAsync(async () => await browser.GetAsync("/commit") == "reached");
        Assert.Equal(HealthStatus.Healthy, (await HealthAsync(site)).Status);
    }

    [Fact]
    public async Task Who_waits_holds_up_nobody()
    {
        var (master, replica) = await StartAsync();
        var site = await SiteAsync(master.Address, wait => (wait.Commits.Replicas, wait.Commits.Timeout) = (1, TimeSpan.FromSeconds(10)));
        var (writer, reader) = (site.NewBrowser(), site.NewBrowser());
        await writer.GetAsync("/set/a/1");
        await reader.GetAsync("/set/a/1");
        replica.Pause();
        Task<string>[] writing;
        try
        {
            // Many that wait are answered together.
            writing = [.. Enumerable.Range(0, 20).Select(_ => site.NewBrowser().GetAsync("/set/a/2"))];
            await Eventually.TrueAsync(() => site.Log.Entries.Count(entry => entry.Id.Name == "SessionStarted") == 22);
            for (var i = 0; i < 20; i++)
            {
                Assert.Equal("1", await reader.GetAsync("/get/a"));
            }

            Assert.DoesNotContain(writing, task => task.IsCompleted);
        }
        finally
        {
            replica.Resume();
        }

        Assert.All(await Task.WhenAll(writing), answer => Assert.Equal("ok", answer));
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{master.Address},allowAdmin=true");
        var asked = (await admin.GetServers()[0].InfoRawAsync("commandstats"))!.Split('\n').Single(line => line.StartsWith("cmdstat_wait:", StringComparison.Ordinal));
        var calls = int.Parse(asked.Split('=', ',')[1], System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(calls, 1, 10);
    }

    [Fact]
    public async Task Sign_ins_and_revocations_are_waited_for_by_themselves_and_done_all_the_same()
    {
        var (master, replica) = await StartAsync();
        var site = await SiteAsync(master.Address, wait => (wait.SignIns.Replicas, wait.Revocations.Replicas) = (1, 1), addOns: builder => builder.AddUserIndex());
        var users = site.Services.GetRequiredService<IUserSessions>();
        var (first, second, third, fourth) = (site.NewBrowser(), site.NewBrowser(), site.NewBrowser(), site.NewBrowser());
        var ids = new List<string>();
        foreach (var browser in new[] { first, second, third })
        {
            await browser.GetAsync("/login/ada");
            ids.Add(await browser.GetAsync("/id"));
        }

        Assert.Equal(RevokeResult.Revoked, await users.RevokeAsync("ada", ids[0]));
        replica.Pause();
        try
        {
            Assert.Equal("ok", await second.GetAsync("/set/a/1"));
            Assert.Equal(HttpStatusCode.InternalServerError, (await fourth.TryAsync("/login/grace")).Status);
            await Assert.ThrowsAsync<SessionNotReplicatedException>(() => users.RevokeAsync("ada", ids[1]));
            Assert.False(await site.Sessions.ExistsAsync(ids[1]));
            await Assert.ThrowsAsync<SessionNotReplicatedException>(() => users.RevokeAllAsync("ada"));
            Assert.False(await site.Sessions.ExistsAsync(ids[2]));
            await Assert.ThrowsAsync<SessionNotReplicatedException>(() => users.RevokeEveryoneAsync());
            var created = await site.Sessions.CreateAsync([new("a", [1])]);
            await Assert.ThrowsAsync<SessionNotReplicatedException>(() => site.Sessions.DestroyAsync(created.Id));
            Assert.False(await site.Sessions.ExistsAsync(created.Id));
            var leaving = site.NewBrowser();
            await leaving.GetAsync("/set/a/1");
            var id = await leaving.GetAsync("/id");
            Assert.Equal(HttpStatusCode.InternalServerError, (await leaving.TryAsync("/destroy")).Status);
            Assert.False(await site.Sessions.ExistsAsync(id));
        }
        finally
        {
            replica.Resume();
        }

        await Eventually.TrueAsync(async () => (await fourth.TryAsync("/login/grace")).Status == HttpStatusCode.OK);
        await users.RevokeAllAsync("grace");
        Assert.Equal("", await fourth.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_connection_that_broke_answers_for_nothing_that_was_before()
    {
        var (master, _) = await StartAsync();
        var proxy = ProxyOf(master);
        await using var shared = new RedisConnection(factory: null, proxy.Address + RedisServer.Patient);
        await using var own = new RedisConnection(factory: null, proxy.Address + RedisServer.Patient);
        await using var waiter = new ReplicaWaiter(shared, own, Fleet.Prefix, replicas: 1, onDisk: false, TimeSpan.FromSeconds(20));
        var database = await shared.GetDatabaseAsync();
        Assert.True((await AskAsync(cut: false)).IsReached);

        // Redis may have begun anew in between, and have lost what it acknowledged before.
        Assert.False((await AskAsync(cut: true)).IsReached);
        Assert.True((await AskAsync(cut: false)).IsReached);

        async Task<ReplicaAnswer> AskAsync(bool cut)
        {
            var scope = await waiter.BeginAsync();
            await database.StringSetAsync($"{Fleet.Prefix}a", 1);
            if (cut)
            {
                proxy.Cut();
                foreach (var connection in new[] { shared, own })
                {
                    await Eventually.TrueAsync(async () =>
                    {
                        try
                        {
                            await connection.Database!.PingAsync();
                            return true;
                        }
                        catch (RedisException)
                        {
                            return false;
                        }
                    });
                }
            }

            scope.Touch($"{Fleet.Prefix}a");
            return await scope.EndAsync();
        }
    }

    /// <summary>That a sign-in slid is noted again where it is lost.</summary>
    [Fact]
    public async Task What_a_page_did_not_change_itself_is_waited_for_by_nobody()
    {
        var (master, _) = await StartAsync();
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await SiteAsync(master.Address, wait => (wait.Commits.Replicas, wait.SignIns.Replicas) = (2, 1), addOns: builder => builder.AddUserIndex());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await using var reader = await ConnectionMultiplexer.ConnectAsync(master.Address);
        var before = await EndAsync();
        clock.Advance(TimeSpan.FromDays(8));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.InRange(await EndAsync() - before, (long)TimeSpan.FromDays(7).TotalMilliseconds, (long)TimeSpan.FromDays(9).TotalMilliseconds);

        async Task<long> EndAsync() => (long)await reader.GetDatabase().HashGetAsync(KeyOf(await browser.GetAsync("/id")), "@e");
    }

    [Fact]
    public async Task More_replicas_than_there_are_is_told_as_what_it_is()
    {
        var (master, _) = await StartAsync();
        var site = await SiteAsync(master.Address, wait => wait.Commits.Replicas = 2);
        Assert.Equal("1 of 2", await site.NewBrowser().GetAsync("/commit"));
    }

    [Fact]
    public async Task What_cannot_be_waited_for_fails_at_start_up()
    {
        var redis = await RedisAsync();
        await using var given = await ConnectionMultiplexer.ConnectAsync(redis.Address);
        var wrong = await Assert.ThrowsAsync<OptionsValidationException>(() => SiteAsync(
            redis.Address, wait => wait.Commits.Replicas = 1, o => o.ConnectionMultiplexerFactory = () => Task.FromResult<IConnectionMultiplexer>(given)));
        Assert.Contains("a connection of its own", wrong.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<OptionsValidationException>(() => SiteAsync(redis.Address, wait => wait.SignIns.Replicas = -1));
        await Assert.ThrowsAsync<OptionsValidationException>(() => SiteAsync(redis.Address, wait => wait.Revocations.Timeout = TimeSpan.Zero));

        // No append-only file, or no such command.
        var refused = await Assert.ThrowsAsync<NotSupportedException>(() => SiteAsync(redis.Address, wait => wait.Commits.OnDisk = true));
        Assert.Contains("WAITAOF", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task On_disk_is_on_disk()
    {
        var redis = await RedisAsync("--appendonly", "yes", "--appendfsync", "everysec");
        await using var admin = await ConnectionMultiplexer.ConnectAsync(redis.Address);
        try
        {
            await admin.GetDatabase().ExecuteAsync("WAITAOF", 0, 0, 1);
        }
        catch (RedisServerException)
        {
            Assert.Skip("This redis-server has no WAITAOF (before 7.2).");
        }

        var site = await SiteAsync(redis.Address, wait => (wait.Commits.OnDisk, wait.Commits.Timeout) = (true, TimeSpan.FromSeconds(10)));
        Assert.Equal("reached", await site.NewBrowser().GetAsync("/commit"));
    }
}

/// <summary>In a cluster the node that has the session is asked, behind Sentinels the master.</summary>
public abstract class WaitForReplicasSomewhereTests(RedisServer server) : ServerTest(server)
{
    protected abstract int Replicas { get; }

    [Fact]
    public async Task The_right_server_is_asked()
    {
        var site = await StartAsync(Pages.Map, options: o =>
        {
            (o.WaitForReplicas.Commits.Replicas, o.WaitForReplicas.Revocations.Replicas) = (Replicas, Replicas);
            o.WaitForReplicas.Commits.Timeout = o.WaitForReplicas.Revocations.Timeout = TimeSpan.FromSeconds(20);
        });
        for (var i = 0; i < 12; i++)
        {
            var browser = site.NewBrowser();
            Assert.Equal("ok", await browser.GetAsync("/set/a/1"));
            await browser.GetAsync("/destroy");
        }

        var more = await StartAsync(Pages.Map, options: o => (o.WaitForReplicas.Commits.Replicas, o.WaitForReplicas.Commits.Timeout) = (Replicas + 1, TimeSpan.FromMilliseconds(50)));
        Assert.Equal(HttpStatusCode.InternalServerError, (await more.NewBrowser().TryAsync("/set/a/1")).Status);
        Assert.Contains(more.Log.Entries, entry => entry.Id.Id == 146);
    }
}

public sealed class WaitForReplicasOnCluster(LocalCluster server) : WaitForReplicasSomewhereTests(server)
{
    protected override int Replicas => 1;
}

public sealed class WaitForReplicasOnSentinel(LocalSentinel server) : WaitForReplicasSomewhereTests(server)
{
    protected override int Replicas => 2;
}
