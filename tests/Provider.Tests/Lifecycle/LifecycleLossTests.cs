using Microsoft.Extensions.Time.Testing;
using RedisSessions.Lifecycle;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Lifecycle;

/// <summary>
/// Every operation, with the connection cut before each of its commands, and in place of each of its replies, and the server killed after it: what Redis holds
/// then says which sessions there are. None of them is told as long as it is there, each is told once when it is gone, and nothing else is.
/// </summary>
public sealed class LifecycleLossTests : OwnRedisTest
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);

    public static TheoryData<string, bool> Operations => new()
    {
        { "/set/refresh/1", true },
        { "/login/ada", true },
        { "/set/refresh/2", false },
        { "/regenerate", false },
        { "/login/ada", false },
        { "/destroy", false },
    };

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task Nothing_is_missed_and_nothing_is_made_up(string operation, bool begins)
    {
        var redis = await RedisAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync(redis.Address + ",allowAdmin=true");
        var (diary, fleet) = (new Diary(), new Fleet { Clock = _clock });

        // Of this one no call outlasts its lease, however far the clock leaps.
        await using var other = await StartAsync(redis.Address + RedisServer.Patient, fleet, diary, TimeSpan.FromHours(1));

        // Scripts are known from here on.
        var warm = other.NewBrowser();
        await warm.GetAsync("/set/a/1");
        await warm.GetAsync("/login/warm");
        await warm.GetAsync("/destroy");
        await TellAsync(other, diary, 1);
        await LifecycleTest.NotedAsync(admin.GetDatabase(), fleet, diary);
        var cut = 1;
        while (await CutAsync(redis, admin, fleet, diary, other, operation, cut, isReply: false, begins))
        {
            await CutAsync(redis, admin, fleet, diary, other, operation, cut++, isReply: true, begins);
        }

        Assert.InRange(cut, 3, 30);
    }

    /// <returns>Whether there was a command to cut at.</returns>
    private async Task<bool> CutAsync(
        RedisProcess redis, ConnectionMultiplexer admin, Fleet fleet, Diary diary, Site other, string operation, int cut, bool isReply, bool begins)
    {
        var (database, before, sent) = (admin.GetDatabase(), diary.Entries.Count, 0);
        using var proxy = new RedisProxy(redis.Address);
        var victim = await StartAsync(proxy.Address + ",syncTimeout=5000,asyncTimeout=5000", fleet, diary);
        var browser = victim.NewBrowser();
        if (begins)
        {
            // Connected.
            await victim.Sessions.ExistsAsync(Guid.NewGuid().ToString());
        }
        else
        {
            await browser.GetAsync("/set/a/1");
        }

        if (isReply)
        {
            proxy.LoseReply(cut);
        }
        else
        {
            proxy.BeforeCommand = _ =>
            {
                if (Interlocked.Increment(ref sent) == cut)
                {
                    proxy.Cut();
                }

                return Task.CompletedTask;
            };
        }

        using (await TrySendAsync(browser, operation))
        {
            proxy.Dispose();
            await victim.KillAsync();
        }

        // What is still there is not told: but a session whose end was made and whose browser never heard of it is.
        var what = $"{operation}, cut {cut}, {(isReply ? "reply" : "command")}, {(begins ? "first" : "later")} request";
        var alive = await LivesAsync(admin, database, fleet);
        for (var i = 0; i < 3; i++)
        {
            _clock.Advance(TimeSpan.FromMinutes(2));
            await LookAsync(other);
        }

        if (!begins)
        {
            await Eventually.TrueAsync(() => alive.Count + diary.Entries.Count - before == 1, what: $"the one session is there or told: {what}");
        }

        await LifecycleTest.NotedAsync(database, fleet, diary);
        var early = diary.Entries.Skip(before).Select(entry => entry.Session.EventId).ToArray();
        Assert.True(early.Length == early.Distinct().Count() && !early.Any(alive.Contains), $"{what}: told {string.Join(", ", early)} while there is {string.Join(", ", alive)}");
        foreach (var key in admin.GetServers()[0].Keys(pattern: $"{fleet.Prefix}{{*").ToArray())
        {
            await database.KeyDeleteAsync(key);
        }

        _clock.Advance(TimeSpan.FromHours(2));
        await TellAsync(other, diary, before + early.Length + alive.Count);
        await LifecycleTest.NotedAsync(database, fleet, diary);
        _clock.Advance(TimeSpan.FromHours(2));
        await LookAsync(other);
        var told = diary.Entries.Skip(before).Select(entry => entry.Session.EventId).Order().ToArray();
        Assert.True(told.SequenceEqual(early.Concat(alive).Order()), $"{what}: told {string.Join(", ", told)}, and there was {string.Join(", ", alive)}");
        return sent >= cut;
    }

    /// <summary>The sessions that there are, whatever ids they have, as their ends would be told.</summary>
    private static async Task<HashSet<string>> LivesAsync(ConnectionMultiplexer admin, IDatabase database, Fleet fleet)
    {
        var lives = new HashSet<string>();
        foreach (var key in admin.GetServers()[0].Keys(pattern: $"{fleet.Prefix}{{*").ToArray())
        {
            var values = await database.HashGetAsync(key, ["@f", "@c"]);
            lives.Add($"{(values[0].IsNull ? key.ToString()[(fleet.Prefix.Length + 1)..^1] : values[0])}:{values[1]}");
        }

        return lives;
    }

    private static Task LookAsync(Site site) => site.Services.GetRequiredService<LifecycleWatcher>().LookAsync(CancellationToken.None);

    private async Task TellAsync(Site site, Diary diary, int count)
    {
        await Eventually.TrueAsync(
            async () =>
            {
                await LookAsync(site);
                if (diary.Entries.Count >= count)
                {
                    return true;
                }

                // The server's own watcher may have looked just before the clock leapt, and come to the conclusion that there is nothing to see for a while.
                _clock.Advance(TimeSpan.FromMinutes(10));
                return false;
            },
            what: $"{count} ends are told");
        await LookAsync(site);
    }

    [Fact]
    public async Task A_new_id_that_the_browser_never_learned_is_no_end_and_no_session()
    {
        var redis = await RedisAsync();
        var (diary, fleet) = (new Diary(), new Fleet { Clock = _clock });
        await using var site = await KestrelSite.StartPipelineAsync(
            redis.Address + RedisServer.Patient,
            fleet,
            app =>
            {
                app.UseSession();
                Pages.Map(app);
                app.MapGet("/regenerate-and-throw", async (HttpContext context) =>
                {
                    await context.Session.RegenerateIdAsync();
                    context.Session.SetString("b", "2");
                    await context.Session.CommitAsync();
                    throw new InvalidOperationException("The page failed.");
                });
            },
            services => services.AddSingleton(diary),
            builder => builder.AddLifecycle<DiaryLifecycle>());
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await browser.TryAsync("/regenerate-and-throw");
        Assert.Equal(id, await browser.GetAsync("/id"));
        await using var admin = await ConnectionMultiplexer.ConnectAsync(redis.Address + ",allowAdmin=true");
        await Eventually.TrueAsync(() => admin.GetServers()[0].Keys(pattern: $"{fleet.Prefix}{{*").Count() == 1, what: "the new id is taken back");
        _clock.Advance(TimeSpan.FromMinutes(2));
        var watcher = site.Services.GetRequiredService<LifecycleWatcher>();
        await watcher.LookAsync(CancellationToken.None);
        Assert.Empty(diary.Entries);
        await browser.GetAsync("/destroy");
        await Eventually.TrueAsync(() => diary.Entries.Count == 1, what: "its end is told");
        Assert.Equal((SessionEndReason.SignedOut, id), (diary.Entries[0].Reason, diary.Entries[0].Session.SessionId));
        _clock.Advance(TimeSpan.FromHours(1));
        await watcher.LookAsync(CancellationToken.None);
        Assert.Single(diary.Entries);
    }

    /// <summary>A read and a change cost nothing more, a creation one command, or two where the first was slow; nobody waits for them.</summary>
    [Fact]
    public async Task Commands_of_plain_requests()
    {
        var redis = await RedisAsync();
        using var proxy = new RedisProxy(redis.Address);
        var site = await StartAsync(proxy.Address + RedisServer.Patient, new Fleet { Clock = _clock }, new Diary());
        await using (site)
        {
            var warm = site.NewBrowser();
            await warm.GetAsync("/set/a/1");
            await warm.GetAsync("/set/a/2");
            await warm.GetAsync("/get/a");
            var browser = site.NewBrowser();
            var creation = await CommandsAsync(() => browser.GetAsync("/set/a/1"));
            Assert.All(creation, command => Assert.Equal("EVALSHA", command));
            Assert.InRange(creation.Count, 2, 3);
            Assert.Equal(["HGET"], await CommandsAsync(() => browser.GetAsync("/get/a")));
            Assert.Equal(["HGET", "EVALSHA"], await CommandsAsync(() => browser.GetAsync("/set/a/2")));
        }

        async Task<IReadOnlyList<string>> CommandsAsync(Func<Task> request)
        {
            // What was sent on this connection before is counted before.
            await site.Sessions.ExistsAsync(Guid.NewGuid().ToString());
            var before = proxy.Snapshot();
            await request();
            await site.Sessions.ExistsAsync(Guid.NewGuid().ToString());
            return [.. (proxy.Snapshot() - before).Commands.Where(command => command != "EXISTS")];
        }
    }

    private static Task<Site> StartAsync(string redis, Fleet fleet, Diary diary, TimeSpan? lease = null) => Site.StartAsync(
        redis,
        SignInSite.Map,
        fleet,
        services: services =>
        {
            SignInSite.AddServices(services);
            services.AddSingleton(diary);
        },
        addOns: builder => builder.AddUserIndex().AddLifecycle<DiaryLifecycle>(o =>
        {
            o.Fields.Add("refresh");
            o.Lease = lease ?? o.Lease;
        }),
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());
}
