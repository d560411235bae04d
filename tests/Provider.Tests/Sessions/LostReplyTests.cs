using System.Text;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// A reply that is lost together with its connection: the request waits and is answered all the same, and what it changed is changed once, whatever others
/// commit meanwhile.
/// </summary>
public abstract class LostReplyTests(RedisServer server) : ServerTest(server)
{
    // What Redis did is not known to who asked: the connection is cut before its command arrives, or in place of the reply.
    public static TheoryData<bool> Arrives => [false, true];

    private RedisProxy? _proxy;

    private Task<Site> StartLossyAsync(bool encrypted = false)
    {
        _proxy = new RedisProxy(Server.Address);
        return StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapGet("/clear-and-set/{key}/{value}", (HttpContext context, string key, string value) =>
                {
                    context.Session.Clear();
                    context.Session.SetString(key, value);
                });
                app.MapGet("/count", async (HttpContext context) => await context.Response.WriteAsync($"{await context.Session.IncrementAsync("count")}"));
            },
            redis: _proxy.Address,
            options: o => o.WaitForFailover = TimeSpan.FromSeconds(20),
            addOns: builder => Encrypt(builder, encrypted));
    }

    private static void Encrypt(RedisSessionBuilder builder, bool encrypted)
    {
        if (encrypted)
        {
            builder.AddEncryption();
        }
    }

    /// <summary>Loses what the script of this number does, or its reply; meanwhile, while the connection is held, others act.</summary>
    private void Lose(bool arrives, Func<Task>? meanwhile = null, int script = 1)
    {
        var left = script;
        var isLost = 0;
        _proxy!.BeforeCommand = async command =>
        {
            if (command is not ("EVALSHA" or "EVAL") || Interlocked.Decrement(ref left) != 0)
            {
                return;
            }

            if (!arrives)
            {
                if (meanwhile is not null)
                {
                    await meanwhile();
                }

                _proxy.Cut();
                throw new ObjectDisposedException(nameof(RedisProxy));
            }

            isLost = 1;
        };
        _proxy.BeforeReply = async _ =>
        {
            if (Interlocked.Exchange(ref isLost, 0) == 1)
            {
                if (meanwhile is not null)
                {
                    await meanwhile();
                }

                _proxy.Cut();
                throw new ObjectDisposedException(nameof(RedisProxy));
            }
        };
    }

    // What is a known script, whose reply is then the commit's and no NOSCRIPT.
    private static async Task<Browser> BeginAsync(Site site, bool withCount = false)
    {
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/set/b/1");
        if (withCount)
        {
            await browser.GetAsync("/count");
        }

        return browser;
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_commit_is_made_once_and_the_request_is_answered(bool arrives, bool encrypted)
    {
        var site = await StartLossyAsync(encrypted);
        var browser = await BeginAsync(site);
        Lose(arrives);
        Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
        Assert.Equal("1", await browser.GetAsync("/get/b"));
        await browser.GetAsync("/set/c/3");
        Assert.Equal("a,b,c", await browser.GetAsync("/keys"));
    }

    [Theory]
    [MemberData(nameof(Arrives))]
    public async Task A_session_that_is_created_is_created_once(bool arrives)
    {
        var site = await StartLossyAsync();
        await BeginAsync(site);
        var browser = site.NewBrowser();
        Lose(arrives);
        Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
        Assert.Equal(2, site.Log.Entries.Count(entry => entry.Id.Name == "SessionStarted"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task What_others_commit_meanwhile_stays(bool arrives, bool encrypted)
    {
        var site = await StartLossyAsync(encrypted);
        var browser = await BeginAsync(site);
        var other = await StartAsync(Pages.Map, addOns: builder => Encrypt(builder, encrypted));
        var elsewhere = browser.Copy();
        other.TakeOver(elsewhere);
        Lose(arrives, () => elsewhere.GetAsync("/set/b/3"));
        Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
        Assert.Equal("2", await elsewhere.GetAsync("/get/a"));
        Assert.Equal("3", await browser.GetAsync("/get/b"));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
    }

    [Theory]
    [MemberData(nameof(Arrives))]
    public async Task The_same_field_keeps_what_came_later(bool arrives)
    {
        var site = await StartLossyAsync();
        var browser = await BeginAsync(site);
        var elsewhere = browser.Copy();
        (await StartAsync(Pages.Map)).TakeOver(elsewhere);
        Lose(arrives, () => elsewhere.GetAsync("/set/a/3"));
        Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
        Assert.Equal("3", await elsewhere.GetAsync("/get/a"));
        Assert.Equal("3", await browser.GetAsync("/get/a"));
    }

    [Theory]
    [MemberData(nameof(Arrives))]
    public async Task A_clear_takes_what_there_was_and_not_what_others_set_since(bool arrives)
    {
        var site = await StartLossyAsync();
        var browser = await BeginAsync(site);
        var elsewhere = browser.Copy();
        (await StartAsync(Pages.Map)).TakeOver(elsewhere);
        Lose(arrives, () => elsewhere.GetAsync("/set/since/3"));
        await browser.GetAsync("/clear-and-set/c/2");
        Assert.Equal("c,since", await browser.GetAsync("/keys"));
        Assert.Equal("c,since", await elsewhere.GetAsync("/keys"));
    }

    [Theory]
    [MemberData(nameof(Arrives))]
    public async Task A_session_that_others_end_meanwhile_stays_ended(bool arrives)
    {
        var site = await StartLossyAsync();
        var browser = await BeginAsync(site);
        var elsewhere = browser.Copy();
        (await StartAsync(Pages.Map)).TakeOver(elsewhere);
        Lose(arrives, () => elsewhere.GetAsync("/destroy"));
        Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
        Assert.Equal("", await browser.GetAsync("/keys"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task An_increment_counts_once(bool arrives, bool encrypted)
    {
        var site = await StartLossyAsync(encrypted);
        var browser = await BeginAsync(site, withCount: true);
        Lose(arrives);
        Assert.Equal("2", await browser.GetAsync("/count"));
        Assert.Equal("3", await browser.GetAsync("/count"));
    }

    [Fact]
    public async Task An_increment_that_arrives_twice_counts_once()
    {
        var site = await StartAsync(Pages.Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var (database, key) = (await DatabaseAsync(), KeyOf(await browser.GetAsync("/id")));
        var (created, version) = ((long)await database.HashGetAsync(key, FieldNames.Created), SessionSnapshot.NewVersion());
        for (var i = 0; i < 2; i++)
        {
            var call = IncrementScript.Begin(database, null, key, site.Services.GetRequiredService<SessionTimeouts>().Times(TimeSpan.FromMinutes(1)), created, version, "count", 5);
            var reply = IncrementScript.Reply(await call.EndAsync(), version);
            Assert.Equal((CommitOutcome.Done, "5"), (reply.Commit.Outcome, Encoding.UTF8.GetString(reply.Value)));
        }
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task An_increment_of_which_nobody_can_tell_fails_and_counts_at_most_once(bool arrives, bool encrypted)
    {
        var site = await StartLossyAsync(encrypted);
        var browser = await BeginAsync(site, withCount: true);
        var elsewhere = browser.Copy();
        (await StartAsync(Pages.Map, addOns: builder => Encrypt(builder, encrypted))).TakeOver(elsewhere);
        Lose(arrives, () => elsewhere.GetAsync("/set/b/3"));
        Assert.NotEqual(System.Net.HttpStatusCode.OK, (await browser.TryAsync("/count")).Status);
        Assert.Equal(arrives ? "2" : "1", Encoding.UTF8.GetString((await site.Sessions.GetFieldAsync(await browser.GetAsync("/id"), "count"))!));
    }

    [Theory]
    [MemberData(nameof(Arrives))]
    public async Task A_new_id_and_a_sign_out_are_answered(bool arrives)
    {
        var site = await StartLossyAsync();
        foreach (var script in new[] { 1, 2 })
        {
            var browser = await BeginAsync(site);
            await browser.GetAsync("/regenerate");
            Lose(arrives, script: script);
            await browser.GetAsync("/regenerate");
            Assert.Equal("a,b", await browser.GetAsync("/keys"));
        }

        var leaving = await BeginAsync(site);
        var copy = leaving.Copy();
        await (await BeginAsync(site)).GetAsync("/destroy");
        Lose(arrives);
        await leaving.GetAsync("/destroy");
        Assert.Equal("", await copy.GetAsync("/keys"));
    }

    [Fact]
    public async Task A_host_that_stopped_leaves_the_others_of_its_process_to_wait()
    {
        _proxy = new RedisProxy(Server.Address);
        await using var shared = await ConnectionMultiplexer.ConnectAsync(_proxy.Address + RedisServer.Patient);
        Task<Site> SharingAsync() => Site.StartAsync(
            "unused", Pages.Map, Fleet, o => (o.ConnectionMultiplexerFactory, o.WaitForFailover) = (() => Task.FromResult<IConnectionMultiplexer>(shared), TimeSpan.FromSeconds(20)));
        await using var site = await SharingAsync();
        var browser = await BeginAsync(site);
        await using (var other = await SharingAsync())
        {
            other.TakeOver(browser);
            await browser.GetAsync("/set/a/1");
            site.TakeOver(browser);
        }

        Lose(arrives: true);
        Assert.Equal("ok", await browser.GetAsync("/set/a/2"));
        Assert.Equal("2", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_load_is_answered()
    {
        var site = await StartLossyAsync();
        var browser = await BeginAsync(site);
        _proxy!.LoseNextReply();
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= Microsoft.Extensions.Logging.LogLevel.Warning);
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _proxy?.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class LostReplyOnGarnet(InProcessGarnet server) : LostReplyTests(server);

public sealed class LostReplyOnRedis(LocalRedis server) : LostReplyTests(server);
