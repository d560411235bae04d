using System.Text;
using RedisSessions.Json;
using RedisSessions.Storage;

namespace RedisSessions.Tests.Sessions;

/// <summary>A site whose pages take values out of their session.</summary>
public abstract class TakeTest(RedisServer server) : ServerTest(server)
{
    protected TaskCompletionSource Moved { get; } = new();

    protected TaskCompletionSource MayTake { get; } = new();

    protected TaskCompletionSource Taken { get; } = new();

    protected TaskCompletionSource MayEnd { get; } = new();

    public static TheoryData<bool> Encrypted => [false, true];

    protected Task<Site> BeginSiteAsync(bool encrypted = false, LocalCacheMode mode = LocalCacheMode.Validated, string? redis = null, TimeSpan? wait = null) => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/take/{key}", async (HttpContext context, string key) => await context.Session.TakeStringAsync(key) ?? "");
            app.MapGet("/move-and-take/{key}/{commits:bool}", async (HttpContext context, string key, bool commits) =>
            {
                await context.Session.RegenerateIdAsync();
                if (commits)
                {
                    await context.Session.CommitAsync();
                }

                Moved.SetResult();
                await MayTake.Task;
                var value = await context.Session.TakeStringAsync(key) ?? "";
                Taken.SetResult();
                await MayEnd.Task;
                return value;
            });
        },
        redis: redis,
        options: o =>
        {
            o.LocalCache.Mode = mode;
            o.WaitForFailover = wait ?? o.WaitForFailover;
        },
        addOns: builder => _ = encrypted ? builder.AddEncryption(o => o.AcceptUnencrypted = false) : builder);

    protected static string IdOf(string secret) => SessionId.Derive(secret).ToString();

    protected static async Task<ISession> OpenedAsync(Site site, string secret)
    {
        var session = Open(site, secret);
        await session.LoadAsync();
        return session;
    }
}

/// <summary>What is to be had once is had once, whoever asks at the same time.</summary>
public abstract class TakeTests(RedisServer server) : TakeTest(server)
{
    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task Of_many_requests_on_two_servers_one_gets_it(bool encrypted)
    {
        var (here, there) = (await BeginSiteAsync(encrypted), await BeginSiteAsync(encrypted));
        for (var round = 0; round < 5; round++)
        {
            var secret = (await here.Sessions.CreateAsync([new("code", Encoding.UTF8.GetBytes($"{round}")), new("other", [1])])).SecretKey;
            var sessions = new List<ISession>();
            for (var i = 0; i < 8; i++)
            {
                sessions.Add(await OpenedAsync(i % 2 == 0 ? here : there, secret));
            }

            // Others change the session meanwhile, which is in nobody's way.
            sessions[7].SetString("other", "2");
            var taken = await Task.WhenAll(sessions.Select((session, i) => Task.Run(async () =>
            {
                if (i < 7)
                {
                    return await session.TakeStringAsync("code");
                }

                await session.CommitAsync();
                return null;
            })));
            Assert.Equal($"{round}", Assert.Single(taken, value => value is not null));
            foreach (var session in sessions.Take(7))
            {
                Assert.Null(session.GetString("code"));
                Assert.Null(await session.TakeStringAsync("code"));
            }

            Assert.Equal(["other"], (await OpenedAsync(there, secret)).Keys);
            Assert.Equal("2", (await OpenedAsync(here, secret)).GetString("other"));
        }
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task What_the_request_changed_itself_counts_and_stays_its_own_to_commit(bool encrypted)
    {
        var site = await BeginSiteAsync(encrypted);
        var secret = (await site.Sessions.CreateAsync([new("stored", "1"u8.ToArray()), new("removed", "1"u8.ToArray()), new("replaced", "1"u8.ToArray())])).SecretKey;
        var session = await OpenedAsync(site, secret);
        session.SetString("own", "2");
        session.SetString("replaced", "2");
        session.SetString("set", "2");
        session.Remove("removed");
        Assert.Equal("2", await session.TakeStringAsync("own"));
        Assert.Equal("2", await session.TakeStringAsync("replaced"));
        Assert.Null(await session.TakeStringAsync("removed"));
        Assert.Null(await session.TakeStringAsync("never"));
        Assert.Equal("1", await session.TakeStringAsync("stored"));
        Assert.Null(await session.TakeStringAsync("stored"));
        Assert.Equal(["set"], session.Keys);
        var other = await OpenedAsync(site, secret);
        Assert.Equal(["removed", "replaced"], other.Keys.Order());
        await session.CommitAsync();
        Assert.Equal(["set"], (await OpenedAsync(site, secret)).Keys);
        Assert.Equal(["set"], (await OpenedAsync(await BeginSiteAsync(encrypted), secret)).Keys);

        // Set again, it is there again.
        session.SetString("stored", "3");
        await session.CommitAsync();
        Assert.Equal("3", await (await OpenedAsync(site, secret)).TakeStringAsync("stored"));
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    [InlineData(true, true, false)]
    [InlineData(false, false, true)]
    [InlineData(true, true, true)]
    public async Task While_the_id_changes_it_is_taken_from_where_others_would_take_it(bool commits, bool isFirst, bool encrypted)
    {
        var (here, there) = (await BeginSiteAsync(encrypted), await BeginSiteAsync(encrypted));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/code/1");
        await browser.GetAsync("/set/stays/1");
        var elsewhere = browser.Copy();
        there.TakeOver(elsewhere);
        var moving = browser.GetAsync($"/move-and-take/code/{commits}");
        await Moved.Task;
        if (isFirst)
        {
            MayTake.SetResult();
            await Taken.Task;
        }

        Assert.Equal(isFirst ? "" : "1", await elsewhere.GetAsync("/take/code"));
        MayTake.TrySetResult();
        MayEnd.SetResult();
        Assert.Equal(isFirst ? "1" : "", await moving);
        Assert.Equal("stays", await browser.GetAsync("/keys"));
        there.TakeOver(browser);
        Assert.Equal("stays", await browser.GetAsync("/keys"));
        Assert.Equal("", await browser.GetAsync("/take/code"));
    }

    [Fact]
    public async Task A_notified_copy_does_not_show_what_was_taken_elsewhere()
    {
        var (here, there) = (await BeginSiteAsync(mode: LocalCacheMode.Notified), await BeginSiteAsync(mode: LocalCacheMode.Notified));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/code/1");
        var elsewhere = browser.Copy();
        there.TakeOver(elsewhere);
        Assert.Equal("1", await elsewhere.GetAsync("/get/code"));
        Assert.Equal("1", await browser.GetAsync("/take/code"));
        await Eventually.TrueAsync(async () => await elsewhere.GetAsync("/get/code") == "");

        // One that has not heard yet gets nothing either.
        await browser.GetAsync("/set/code/2");
        Assert.Equal("2", string.Concat(await Task.WhenAll(browser.GetAsync("/take/code"), elsewhere.GetAsync("/take/code"))).Replace("1", "3", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_session_that_ended_gives_nothing()
    {
        var site = await BeginSiteAsync();
        var secret = (await site.Sessions.CreateAsync([new("code", [1]), new("other", [2])])).SecretKey;
        var session = await OpenedAsync(site, secret);
        await site.Sessions.DestroyAsync(IdOf(secret));
        Assert.Null(await session.TakeAsync("code"));
        Assert.Null(await session.TakeAsync("other"));
        Assert.False(await site.Sessions.ExistsAsync(IdOf(secret)));
    }

    [Fact]
    public async Task Values_of_types_are_taken_as_they_were_set()
    {
        var site = await BeginSiteAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        var number = new SessionValue<int>("number") { Version = 2 };
        session.Set("list", new[] { 1, 2 });
        session.Set(number, 7);
        session.SetString("text", "t");
        await session.CommitAsync();
        session = await OpenedAsync(site, secret);
        Assert.Equal("1,2", string.Join(",", (await session.TakeAsync<int[]>("list"))!));
        Assert.Equal(7, await session.TakeAsync(number));
        Assert.Equal(0, await session.TakeAsync(number));
        Assert.Equal(0, await session.TakeAsync<int>("text"));
        Assert.Empty((await OpenedAsync(site, secret)).Keys);
        await Assert.ThrowsAsync<ArgumentNullException>(() => session.TakeAsync(null!));
    }
}


/// <summary>And whatever becomes of the reply.</summary>
public abstract class LostTakeTests(RedisServer server) : TakeTest(server)
{
    private RedisProxy? _proxy;

    [Fact]
    public async Task What_is_not_there_costs_no_round_trip_and_what_is_costs_one()
    {
        _proxy = new RedisProxy(Server.Address);
        var site = await BeginSiteAsync(redis: _proxy.Address);
        var secret = (await site.Sessions.CreateAsync([new("a", [1]), new("b", [2])])).SecretKey;
        await (await OpenedAsync(site, secret)).TakeAsync("b");
        var session = await OpenedAsync(site, secret);
        var before = _proxy.Snapshot().Commands.Count;
        Assert.Null(await session.TakeAsync("b"));
        Assert.Equal(before, _proxy.Snapshot().Commands.Count);
        Assert.Equal([1], (await session.TakeAsync("a"))!);
        Assert.Equal(["EVALSHA"], _proxy.Snapshot().Commands.Skip(before));
        await session.CommitAsync();
        Assert.Equal(before + 1, _proxy.Snapshot().Commands.Count);

        // The copy of this server is of the version that it left.
        Assert.Empty((await OpenedAsync(site, secret)).Keys);
        Assert.Equal("HGET", _proxy.Snapshot().Commands[^1]);
    }

    /// <summary>Loses what a script does, or its reply; meanwhile others act.</summary>
    private void Lose(bool arrives, Func<Task>? meanwhile = null)
    {
        var (left, isLost) = (1, 0);
        _proxy!.BeforeCommand = async command =>
        {
            if (command is not ("EVALSHA" or "EVAL") || Interlocked.Decrement(ref left) != 0)
            {
                return;
            }

            if (arrives)
            {
                isLost = 1;
                return;
            }

            await (meanwhile?.Invoke() ?? Task.CompletedTask);
            _proxy.Cut();
            throw new ObjectDisposedException(nameof(RedisProxy));
        };
        _proxy.BeforeReply = async _ =>
        {
            if (Interlocked.Exchange(ref isLost, 0) == 1)
            {
                await (meanwhile?.Invoke() ?? Task.CompletedTask);
                _proxy.Cut();
                throw new ObjectDisposedException(nameof(RedisProxy));
            }
        };
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_lost_reply_hands_it_out_once_all_the_same(bool arrives, bool encrypted)
    {
        _proxy = new RedisProxy(Server.Address);
        var (here, there) = (await BeginSiteAsync(encrypted, redis: _proxy.Address, wait: TimeSpan.FromSeconds(20)), await BeginSiteAsync(encrypted));
        var secret = (await there.Sessions.CreateAsync([new("code", "1"u8.ToArray()), new("warm", [1])])).SecretKey;
        await (await OpenedAsync(here, secret)).TakeAsync("warm");
        var session = await OpenedAsync(here, secret);
        Lose(arrives);
        Assert.Equal("1", await session.TakeStringAsync("code"));
        Assert.Null(await (await OpenedAsync(there, secret)).TakeStringAsync("code"));
        Assert.Null(await session.TakeStringAsync("code"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task Where_nobody_can_tell_nobody_gets_it_twice(bool arrives, bool encrypted)
    {
        _proxy = new RedisProxy(Server.Address);
        var (here, there) = (await BeginSiteAsync(encrypted, redis: _proxy.Address, wait: TimeSpan.FromSeconds(20)), await BeginSiteAsync(encrypted));
        var secret = (await there.Sessions.CreateAsync([new("code", "1"u8.ToArray()), new("warm", [1])])).SecretKey;
        await (await OpenedAsync(here, secret)).TakeAsync("warm");
        var session = await OpenedAsync(here, secret);
        Lose(arrives, async () =>
        {
            var other = await OpenedAsync(there, secret);
            other.SetString("other", "2");
            await other.CommitAsync();
        });
        await Assert.ThrowsAnyAsync<StackExchange.Redis.RedisException>(() => session.TakeStringAsync("code"));
        _proxy.BeforeCommand = null;
        _proxy.BeforeReply = null;
        var after = new[] { await (await OpenedAsync(there, secret)).TakeStringAsync("code"), await (await OpenedAsync(here, secret)).TakeStringAsync("code") };
        Assert.Equal(arrives ? 0 : 1, after.Count(value => value is not null));
        Assert.Equal("2", (await OpenedAsync(there, secret)).GetString("other"));
    }
}

public sealed class TakingOnGarnet(InProcessGarnet server) : TakeTests(server);

public sealed class TakingOnRedis(LocalRedis server) : TakeTests(server);

public sealed class TakingOnCluster(LocalCluster server) : TakeTests(server);

public sealed class TakingOnGivenServer(GivenRedis server) : TakeTests(server);

public sealed class LostTakesOnGarnet(InProcessGarnet server) : LostTakeTests(server);

public sealed class LostTakesOnRedis(LocalRedis server) : LostTakeTests(server);
