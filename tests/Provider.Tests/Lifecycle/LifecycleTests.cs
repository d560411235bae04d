using System.Text;
using Microsoft.Extensions.Logging;
using RedisSessions.Lifecycle;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Lifecycle;

/// <summary>Every end of a session is told, once, by one of two servers; and nothing else is.</summary>
public abstract class LifecycleTests(RedisServer server) : LifecycleTest(server)
{
    private const string Firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";

    [Fact]
    public async Task Every_way_to_end_is_told_once_with_its_reason()
    {
        var (first, second) = await StartTwoAsync(addOns: builder => builder
            .AddUserIndex(o => o.MaxSessionsPerUser = 2)
            .AddSecurity(o => (o.UserAgentAction, o.MaxCreationsPerMinute) = (BindingAction.Destroy, 0)));
        var users = second.Services.GetRequiredService<IUserSessions>();
        var expected = new Dictionary<string, (SessionEndReason, string?, string?)>();

        var (browser, id) = await SignInAsync("out");
        await browser.GetAsync("/logout");
        expected[id] = (SessionEndReason.SignedOut, "out", null);

        (browser, id) = await SignInAsync("destroyed");
        await browser.GetAsync("/destroy");
        expected[id] = (SessionEndReason.SignedOut, "destroyed", null);

        (browser, id) = await SignInAsync("replaced");
        await browser.GetAsync("/login/another");
        expected[id] = (SessionEndReason.SignedOut, "replaced", null);

        (_, id) = await SignInAsync("revoked");
        await users.RevokeAsync("revoked", id, new SessionRevocation(By: "root", Note: "abuse"), CancellationToken.None);
        expected[id] = (SessionEndReason.Revoked, "revoked", "root: abuse");

        (_, id) = await SignInAsync("all");
        await users.RevokeAllAsync("all");
        expected[id] = (SessionEndReason.Revoked, "all", null);

        (_, id) = await SignInAsync("by-id");
        await second.Sessions.DestroyAsync(id);
        expected[id] = (SessionEndReason.Revoked, "by-id", null);

        (_, id) = await SignInAsync("evicted");
        Clock.Advance(TimeSpan.FromMilliseconds(5));
        await SignInAsync("evicted");
        Clock.Advance(TimeSpan.FromMilliseconds(5));
        await SignInAsync("evicted");
        expected[id] = (SessionEndReason.Evicted, "evicted", null);

        (_, id) = await SignInAsync("password");
        Clock.Advance(TimeSpan.FromMilliseconds(5));
        await (await SignInAsync("password")).Browser.GetAsync("/password");
        expected[id] = (SessionEndReason.CredentialsChanged, "password", null);

        (browser, id) = await SignInAsync("stolen");
        browser.Headers["User-Agent"] = "curl/8";
        await browser.GetAsync("/get/a");
        expected[id] = (SessionEndReason.Mismatch, "stolen", null);

        var visitor = first.NewBrowser();
        await visitor.GetAsync("/set/a/1");
        id = await visitor.GetAsync("/id");
        await visitor.GetAsync("/destroy");
        expected[id] = (SessionEndReason.SignedOut, null, null);

        id = (await first.Sessions.CreateAsync([new("a", [1])])).Id;
        await second.Sessions.DestroyAsync(id);
        expected[id] = (SessionEndReason.Revoked, null, null);

        var told = await ToldAsync(expected.Count, first, second);
        Assert.Equal(
            expected.OrderBy(pair => pair.Key).Select(pair => (pair.Key, pair.Value)),
            told.OrderBy(entry => entry.Session.SessionId)
                .Select(entry => (entry.Session.SessionId, (entry.Reason, entry.UserId, entry.Session.RevokedBy is { } by ? $"{by}: {entry.Session.Note}" : null))));
        Assert.Equal(told.Count, told.Select(entry => entry.Session.EventId).Distinct().Count());

        async Task<(Browser Browser, string Id)> SignInAsync(string user)
        {
            var browser = first.NewBrowser();
            browser.Headers["User-Agent"] = Firefox;
            return (browser, await browser.GetAsync($"/login/{user}"));
        }
    }

    [Fact]
    public async Task An_expiry_by_itself_is_told_once()
    {
        var (first, second) = await StartTwoAsync();
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var (id, created) = (await browser.GetAsync("/id"), Clock.GetUtcNow());
        Clock.Advance(TimeSpan.FromMinutes(5));
        await NothingMoreAsync(0, first, second);
        await ExpireAsync(id);

        // Nobody saw it: it is found when its time is over.
        Clock.Advance(TimeSpan.FromMinutes(30));
        var told = Assert.Single(await ToldAsync(1, first, second));
        Assert.Equal((SessionEndReason.Expired, null, id, 1), (told.Reason, told.UserId, told.Session.SessionId, told.Session.Attempt));
        Assert.Equal(created.ToUnixTimeMilliseconds(), told.Session.CreatedAt.ToUnixTimeMilliseconds());
        Assert.InRange(told.Session.EndedAt, created + TimeSpan.FromMinutes(20), Clock.GetUtcNow());
        Assert.InRange(told.Session.LastSeenAt, created, told.Session.EndedAt);
    }

    /// <summary>Redis itself ends it, and the hosts' own timers find it.</summary>
    [Fact]
    public async Task A_session_that_lives_shortly_and_is_never_used_again_is_told_once()
    {
        Fleet = new Fleet();
        var (first, second) = await StartTwoAsync(o => o.LookInterval = TimeSpan.FromMilliseconds(100));
        var ids = new List<string> { (await first.Sessions.CreateAsync([new("a", [1])], TimeSpan.FromMilliseconds(300))).Id };
        var browser = second.NewBrowser();
        await browser.GetAsync("/short/300");
        await Eventually.TrueAsync(() => Diary.Entries.Count >= 2, what: "both are told");
        await NotedAsync(await DatabaseAsync(), Fleet, Diary);
        Assert.Equal(2, Diary.Entries.Count);
        Assert.All(Diary.Entries, entry => Assert.Equal(SessionEndReason.Expired, entry.Reason));
        Assert.Contains(ids[0], Diary.Entries.Select(entry => entry.Session.SessionId));
    }

    private Task<(Site First, Site Second)> StartTwoAsync(Action<SessionLifecycleOptions>? options = null, Action<RedisSessionBuilder>? addOns = null) => StartTwoAsync(
        options,
        addOns,
        app =>
        {
            app.MapGet("/short/{milliseconds:int}", (HttpContext context, int milliseconds) =>
            {
                context.Session.SetString("a", "1");
                context.Session.SetIdleTimeout(TimeSpan.FromMilliseconds(milliseconds));
            });
        });

    [Fact]
    public async Task Another_id_is_no_end_and_the_end_is_told_under_the_last()
    {
        var (first, second) = await StartTwoAsync(addOns: builder => builder.AddUserIndex());
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var created = Clock.GetUtcNow();
        Clock.Advance(TimeSpan.FromMinutes(1));
        await browser.GetAsync("/regenerate");
        second.TakeOver(browser);
        await browser.GetAsync("/login/ada");
        Clock.Advance(TimeSpan.FromMinutes(1));
        await browser.GetAsync("/regenerate");
        var id = await browser.GetAsync("/id");
        await NothingMoreAsync(0, first, second);
        Clock.Advance(TimeSpan.FromMinutes(3));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        await browser.GetAsync("/logout");
        var told = Assert.Single(await ToldAsync(1, first, second));
        Assert.Equal((SessionEndReason.SignedOut, "ada", id), (told.Reason, told.UserId, told.Session.SessionId));
        Assert.Equal(created.ToUnixTimeMilliseconds(), told.Session.CreatedAt.ToUnixTimeMilliseconds());
    }

    [Fact]
    public async Task A_later_session_under_the_same_id_is_another()
    {
        var (first, second) = await StartTwoAsync();
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        Clock.Advance(TimeSpan.FromMinutes(2));
        await first.Sessions.DestroyAsync(id);
        await browser.GetAsync("/set/a/2");
        Assert.Equal(id, await browser.GetAsync("/id"));
        Assert.Equal(SessionEndReason.Revoked, Assert.Single(await ToldAsync(1, first, second)).Reason);
        await ExpireAsync(id);
        Clock.Advance(TimeSpan.FromMinutes(30));
        var told = await ToldAsync(2, first, second);
        Assert.Equal([(SessionEndReason.Revoked, id), (SessionEndReason.Expired, id)], told.Select(entry => (entry.Reason, entry.Session.SessionId)));
        Assert.NotEqual(told[0].Session.EventId, told[1].Session.EventId);
    }

    [Fact]
    public async Task A_call_that_fails_is_made_again_until_it_succeeds_and_then_no_more()
    {
        var failures = 0;
        var attempts = new List<int>();
        Diary.Before = (entry, _) =>
        {
            lock (attempts)
            {
                attempts.Add(entry.Session.Attempt);
            }

            return Interlocked.Increment(ref failures) <= 3 ? throw new InvalidOperationException("The application's database is away.") : Task.CompletedTask;
        };
        var (first, second) = await StartTwoAsync(o => o.Lease = TimeSpan.FromHours(1));
        using var failed = new InstrumentReader(first.Services, "redis_sessions.lifecycle.failed");
        using var failedToo = new InstrumentReader(second.Services, "redis_sessions.lifecycle.failed");
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await browser.GetAsync("/destroy");

        // The reason is kept, however long it takes and whatever becomes of the mark.
        await Eventually.TrueAsync(async () =>
        {
            await (await DatabaseAsync()).KeyDeleteAsync($"{Fleet.Prefix}ended:{{{id}}}");
            Clock.Advance(TimeSpan.FromSeconds(5));
            await LookAsync(first);
            await LookAsync(second);
            return Diary.Entries.Count > 0;
        });
        Assert.Equal(SessionEndReason.SignedOut, Assert.Single(await ToldAsync(1, first, second)).Reason);
        Assert.Equal([1, 2, 3, 4], attempts);
        Assert.Equal(3, (failed.Read() ?? 0) + (failedToo.Read() ?? 0));
        Assert.Equal(3, first.Log.Ours.Concat(second.Log.Ours).Count(entry => entry.Id.Name == "LifecycleCallFailed" && entry.Level == LogLevel.Warning));
    }

    [Fact]
    public async Task What_cannot_be_told_is_given_up_after_the_retention_and_leaves_nothing()
    {
        Diary.Before = (_, _) => throw new InvalidOperationException("Never.");
        var (first, second) = await StartTwoAsync(o => o.Retention = TimeSpan.FromHours(1));
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/destroy");
        await Eventually.TrueAsync(async () =>
        {
            Clock.Advance(TimeSpan.FromMinutes(5));
            await LookAsync(first);
            return first.Log.Ours.Concat(second.Log.Ours).Any(entry => entry.Id.Name == "LifecycleGivenUp" && entry.Level == LogLevel.Error);
        });
        await NothingIsLeftAsync();
        Assert.Empty(Diary.Entries);
    }

    /// <summary>Taken, and never heard of again.</summary>
    [Fact]
    public async Task A_server_that_dies_holding_an_end_is_replaced_after_its_lease()
    {
        var first = await StartOneAsync();
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        Clock.Advance(TimeSpan.FromMinutes(2));
        await Eventually.TrueAsync(async () =>
        {
            await LookAsync(first);
            return await (await DatabaseAsync()).HashGetAsync((await KeysAsync("watch:*")).Find(IsRecord), WatchRecord.Stored) == 1;
        });
        await first.KillAsync();
        await ExpireAsync(id);
        Clock.Advance(TimeSpan.FromMinutes(25));
        var second = await StartOneAsync(o => o.LookInterval = TimeSpan.FromMinutes(10));
        var taken = 0;
        for (var shard = 0; shard < SessionLife.Shards; shard++)
        {
            // A taker has no name.
            taken += (await second.Services.GetRequiredService<SessionWatch>().ClaimAsync(shard, 10)).Lives.Count;
        }

        Assert.Equal(1, taken);
        Clock.Advance(Lease - TimeSpan.FromSeconds(1));
        await LookAsync(second);
        Assert.Empty(Diary.Entries);
        Clock.Advance(TimeSpan.FromSeconds(1));
        await LookAsync(second);
        var told = Assert.Single(Diary.Entries);
        Assert.Equal((SessionEndReason.Expired, id), (told.Reason, told.Session.SessionId));
        await NothingMoreAsync(1, second);
    }

    [Fact]
    public async Task A_call_that_outlasts_its_lease_is_made_by_another_and_where_it_succeeds_late_it_counts()
    {
        var stuck = new TaskCompletionSource();
        var calls = 0;
        Diary.Before = (_, _) => Interlocked.Increment(ref calls) == 1 ? stuck.Task : throw new InvalidOperationException("Not now.");
        var (first, second) = await StartTwoAsync();
        using var late = new InstrumentReader(first.Services, "redis_sessions.lifecycle.late");
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/destroy");
        await Eventually.TrueAsync(() => Volatile.Read(ref calls) == 1, what: "the first server is in the call");
        await LookAsync(second);
        Assert.Equal(1, Volatile.Read(ref calls));
        await Eventually.TrueAsync(async () =>
        {
            Clock.Advance(TimeSpan.FromSeconds(20));
            await LookAsync(second);
            return Volatile.Read(ref calls) > 1;
        });
        Assert.True(late.Read() > 0);

        // It does not heed its token, and is done at last: nobody needs to be told again.
        Diary.Before = null;
        stuck.SetResult();
        await Eventually.TrueAsync(() => Diary.Entries.Count == 1);
        await Eventually.TrueAsync(async () => (await KeysAsync("watch:*")).All(key => key.ToString().EndsWith(":told", StringComparison.Ordinal)));
        await NothingMoreAsync(1, first, second);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_told_holds_the_chosen_fields_and_nothing_secret_is_kept_in_the_clear(bool encrypted)
    {
        var (first, second) = await StartTwoAsync(
            o => o.Fields.UnionWith(["refresh", "@odd", "missing"]),
            builder =>
            {
                builder.AddUserIndex();
                if (encrypted)
                {
                    builder.AddEncryption(o => o.AcceptUnencrypted = false);
                }
            });
        var browser = first.NewBrowser();
        browser.Headers["User-Agent"] = Firefox;
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/refresh/opaque-token-1");
        await browser.GetAsync("/set/@odd/opaque-token-2");
        await browser.GetAsync("/set/other/opaque-token-3");
        var signedIn = Clock.GetUtcNow();
        Clock.Advance(TimeSpan.FromMinutes(2));
        await browser.GetAsync("/regenerate");
        second.TakeOver(browser);
        await browser.GetAsync("/set/refresh/opaque-token-4");
        var id = await browser.GetAsync("/id");
        var database = await DatabaseAsync();
        RedisKey record = default;
        await Eventually.TrueAsync(async () => (await KeysAsync("watch:*")).Find(IsRecord) is var key && !string.IsNullOrEmpty(record = key));
        var kept = Encoding.Latin1.GetString([.. (await database.HashGetAllAsync(record)).SelectMany(entry => (byte[])entry.Value!)]);
        Assert.Equal(!encrypted, kept.Contains("opaque", StringComparison.Ordinal));
        await second.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id, new SessionRevocation(By: "root", Note: "opaque-note"), CancellationToken.None);
        var told = Assert.Single(await ToldAsync(1, first, second));
        Assert.Equal(
            [("@odd", "opaque-token-2"), ("refresh", "opaque-token-4")],
            told.Session.Fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => (field.Key, Encoding.UTF8.GetString(field.Value))));
        Assert.Equal(("opaque-token-4", null), (told.Session.GetString("refresh"), told.Session.GetString("missing")));
        Assert.Equal(("ada", "root", "opaque-note"), (told.UserId, told.Session.RevokedBy, told.Session.Note));
        Assert.Equal((Firefox, "Firefox on Windows"), (told.Session.UserAgent, told.Session.DeviceName));
        Assert.Equal(signedIn.ToUnixTimeMilliseconds(), told.Session.SignedInAt?.ToUnixTimeMilliseconds());
    }

    /// <summary>What others changed while the id changed, and what was changed from outside a request, is read from the session.</summary>
    [Fact]
    public async Task A_field_that_is_changed_outside_a_request_is_told_as_it_was_last()
    {
        var (first, second) = await StartTwoAsync(o => o.Fields.Add("refresh"));
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/refresh/1");
        var id = await browser.GetAsync("/id");
        await second.Sessions.SetFieldAsync(id, "refresh", "2"u8.ToArray());
        var life = new SessionLife(Guid.Parse(id), Clock.GetUtcNow().ToUnixTimeMilliseconds());
        Clock.Advance(TimeSpan.FromHours(1));
        await Eventually.TrueAsync(
            async () => (await first.Services.GetRequiredService<SessionWatch>().ReadAsync(life))!.TextOf(WatchRecord.FieldPrefix + "refresh") == "=2",
            what: "somebody has looked at it");
        await first.Sessions.DestroyAsync(id);
        Assert.Equal("2", Assert.Single(await ToldAsync(1, first, second)).Session.GetString("refresh"));
    }

    [Fact]
    public async Task Sessions_from_before_are_told_from_their_first_request_on_and_where_somebody_ends_them()
    {
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices, addOns: builder => builder.AddUserIndex(), afterSession: app => app.UseAuthentication());
        var (used, ended) = (before.NewBrowser(), before.NewBrowser());
        var usedId = await used.GetAsync("/login/ada");
        var endedId = await ended.GetAsync("/login/grace");
        Clock.Advance(TimeSpan.FromMinutes(6));
        var (first, second) = await StartTwoAsync(addOns: builder => builder.AddUserIndex());
        first.TakeOver(used);
        Assert.Equal("ada", await used.GetAsync("/owner"));
        await Eventually.TrueAsync(async () => (await KeysAsync("watch:*")).Count >= 2, what: "it has entered");
        await first.Services.GetRequiredService<IUserSessions>().RevokeAllAsync("grace");
        Assert.Equal((SessionEndReason.Revoked, "grace", endedId), Assert.Single((await ToldAsync(1, first, second)).Select(entry => (entry.Reason, entry.UserId, entry.Session.SessionId))));
        await ExpireAsync(usedId);
        Clock.Advance(TimeSpan.FromHours(1));
        var told = (await ToldAsync(2, first, second))[1];
        Assert.Equal((SessionEndReason.Expired, "ada", usedId), (told.Reason, told.UserId, told.Session.SessionId));
    }

    [Fact]
    public async Task Where_only_users_are_asked_for_visitors_cost_nothing_and_are_not_told()
    {
        var (first, second) = await StartTwoAsync(o => o.SignedInOnly = true, builder => builder.AddUserIndex());
        var visitor = first.NewBrowser();
        await visitor.GetAsync("/set/a/1");
        await visitor.GetAsync("/regenerate");
        Assert.Empty(await KeysAsync("watch:*"));
        var other = first.NewBrowser();
        await other.GetAsync("/set/a/1");
        await other.GetAsync("/destroy");
        await NothingMoreAsync(0, first, second);
        await visitor.GetAsync("/login/ada");
        await visitor.GetAsync("/logout");
        Assert.Equal("ada", Assert.Single(await ToldAsync(1, first, second)).UserId);
    }

    /// <summary>What a request announces and then cannot store; and what is late.</summary>
    [Fact]
    public async Task A_session_that_was_never_stored_does_not_end_and_what_comes_late_brings_nothing_back()
    {
        var (first, second) = await StartTwoAsync();
        var watch = first.Services.GetRequiredService<SessionWatch>();
        var life = new SessionLife(Guid.NewGuid(), Clock.GetUtcNow().ToUnixTimeMilliseconds());
        var note = new WatchNote(life, NoteKind.Begins, life.FirstId, watch.Now, TimeSpan.FromMinutes(20));
        Assert.True(await watch.NoteAsync(note));
        await NothingMoreAsync(0, first, second);
        Assert.DoesNotContain(await KeysAsync("watch:*"), key => key.ToString().Contains(life.ToString(), StringComparison.Ordinal));

        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        var created = Clock.GetUtcNow().ToUnixTimeMilliseconds();
        await browser.GetAsync("/destroy");
        await ToldAsync(1, first, second);
        life = new SessionLife(Guid.Parse(id), created);
        foreach (var kind in Enum.GetValues<NoteKind>())
        {
            Assert.False(await watch.NoteAsync(new WatchNote(life, kind, life.FirstId, watch.Now, TimeSpan.FromMinutes(20))));
        }

        await NothingMoreAsync(1, first, second);
    }

    [Fact]
    public async Task A_look_that_was_overtaken_by_a_move_tells_nothing()
    {
        var first = await StartOneAsync(o => o.LookInterval = TimeSpan.FromMinutes(10));
        var watch = first.Services.GetRequiredService<SessionWatch>();
        var life = new SessionLife(Guid.NewGuid(), Clock.GetUtcNow().ToUnixTimeMilliseconds());
        await watch.NoteAsync(new WatchNote(life, NoteKind.Lives, life.FirstId, watch.Now, TimeSpan.FromMinutes(20)));
        var (token, lives) = await watch.ClaimAsync(life.Shard, 10);
        Assert.Equal(life, Assert.Single(lives));
        var record = await watch.ReadAsync(life);
        await watch.NoteAsync(new WatchNote(life, NoteKind.Moves, Guid.NewGuid(), watch.Now + 60_000, TimeSpan.FromMinutes(20)));
        Assert.Equal(SettleOutcome.Changed, await watch.SettleAsync(life, token, record, watch.Now, TimeSpan.Zero));
        Assert.Equal(2, (await watch.ReadAsync(life))!.SessionIds.Count);

        // Who has it no more decides nothing, either.
        Clock.Advance(Lease + TimeSpan.FromSeconds(1));
        (var later, lives) = await watch.ClaimAsync(life.Shard, 10);
        Assert.Single(lives);
        Assert.Equal(SettleOutcome.Refused, await watch.HoldAsync(life, token, null));
        Assert.Equal(SettleOutcome.Done, await watch.HoldAsync(life, later, null));

        // Nor who had it in the very moment in which somebody says that there is something to see, and another takes it.
        await watch.NoteAsync(new WatchNote(life, NoteKind.Ends, life.FirstId, watch.Now, TimeSpan.FromMinutes(20)));
        Assert.Single((await watch.ClaimAsync(life.Shard, 10)).Lives);
        Assert.Equal(SettleOutcome.Refused, await watch.HoldAsync(life, later, null));
    }

    [Fact]
    public async Task Every_key_has_an_end_and_when_all_is_told_nothing_is_left()
    {
        var (first, second) = await StartTwoAsync(addOns: builder => builder.AddUserIndex());
        var browsers = new List<Browser>();
        for (var i = 0; i < 8; i++)
        {
            browsers.Add((i % 2 == 0 ? first : second).NewBrowser());
            await browsers[i].GetAsync(i % 3 == 0 ? "/set/a/1" : "/login/ada");
        }

        var keys = await KeysAsync("watch:*");
        Assert.True(keys.Count > 8);
        foreach (var key in keys)
        {
            Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromDays(7), TimeSpan.FromDays(8));
        }

        foreach (var browser in browsers)
        {
            await browser.GetAsync("/destroy");
        }

        await ToldAsync(8, first, second);
        await NothingIsLeftAsync();
    }

    private static bool IsRecord(RedisKey key) => char.IsAsciiDigit(key.ToString()[^1]);

    /// <summary>But for what says that it was told, ten minutes long.</summary>
    private async Task NothingIsLeftAsync()
    {
        await Eventually.TrueAsync(async () => (await KeysAsync("watch:*")).All(key => key.ToString().EndsWith(":told", StringComparison.Ordinal)), what: "the rest is gone");
        foreach (var key in await KeysAsync("watch:*"))
        {
            Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(key))!.Value, TimeSpan.Zero, TimeSpan.FromMinutes(10));
        }
    }
}

public sealed class LifecycleOnGarnet(InProcessGarnet server) : LifecycleTests(server);

public sealed class LifecycleOnRedis(LocalRedis server) : LifecycleTests(server);

public sealed class LifecycleInContainer(ContainerRedis server) : LifecycleTests(server);

public sealed class LifecycleOnCluster(LocalCluster server) : LifecycleTests(server);
