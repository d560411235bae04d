using System.Net;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// Finding 20: with encryption and <c>AcceptUnencrypted = false</c> a session is one. Whoever writes to Redis and changes, puts back or takes
/// away any part of it by itself has made it nobody's; and those who may write to it, together or one after another, keep it whole.
/// </summary>
public abstract class SealTests(RedisServer server) : AttackTest(server)
{
    private Task<Site> StartSealedAsync(bool acceptUnencrypted = false) =>
        StartAttackedAsync(addOns: builder => builder.AddUserIndex().AddSecurity().AddEncryption(o => o.AcceptUnencrypted = acceptUnencrypted));

    // Has seen nothing of the session yet, and so goes by what is in Redis.
    private async Task OnAnotherServerAsync(Browser browser) => (await StartSealedAsync()).TakeOver(browser);

    public static TheoryData<string> Forgeries => ["put a value back", "put a removed value back", "take a value away", "another owner", "no owner", "a later sign-in", "an earlier creation", "no absolute timeout", "no seal", "another version"];

    [Theory]
    [MemberData(nameof(Forgeries))]
    public async Task What_is_changed_by_itself_makes_the_session_nobodys(string forgery)
    {
        var site = await StartSealedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        var key = KeyOf(id);
        await browser.GetAsync("/set/balance/100");
        await browser.GetAsync("/set/voucher/free");
        var database = await DatabaseAsync();
        var (balance, voucher) = (await database.HashGetAsync(key, "balance"), await database.HashGetAsync(key, "voucher"));
        await browser.GetAsync("/set/balance/1");
        switch (forgery)
        {
            case "put a value back":
                await database.HashSetAsync(key, "balance", balance);
                break;
            case "put a removed value back":
                await site.Sessions.RemoveFieldAsync(id, "voucher");
                await database.HashSetAsync(key, "voucher", voucher);
                break;
            case "take a value away":
                await database.HashDeleteAsync(key, "voucher");
                break;
            case "another owner":
                await database.HashSetAsync(key, "@u", "grace");
                break;
            case "no owner":
                await database.HashDeleteAsync(key, "@u");
                break;
            case "a later sign-in":
                await database.HashSetAsync(key, "@s", DateTimeOffset.UtcNow.AddSeconds(30).ToUnixTimeMilliseconds());
                break;
            case "an earlier creation":
                await database.HashDecrementAsync(key, "@c");
                break;
            case "no absolute timeout":
                await database.HashSetAsync(key, "@a", 0);
                break;
            case "no seal":
                await database.HashDeleteAsync(key, "@m");
                break;
            case "another version":
                await database.HashSetAsync(key, "@v", 7);
                break;
        }

        var forged = await database.HashGetAllAsync(key);
        Events.Clear();
        await OnAnotherServerAsync(browser);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Contains(Events.All, e => e.Kind == SessionSecurityEventKind.DecryptionFailed);
        Assert.Equal("", await browser.GetAsync("/keys"));
        Assert.Equal("", await browser.GetAsync("/owner"));
        Assert.Equal(forged.ToDictionary(), (await database.HashGetAllAsync(key)).ToDictionary());

        // The browser begins anew.
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        Assert.Equal("cart", await browser.GetAsync("/keys"));
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
    }

    /// <summary>What was never sealed with the rest counts as absent, and the rest is as whole as before.</summary>
    [Fact]
    public async Task What_is_planted_beside_the_rest_is_never_read()
    {
        var site = await StartSealedAsync();
        var browser = site.NewBrowser();
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        await browser.GetAsync("/set/cart/tea");
        var other = site.NewBrowser();
        await other.GetAsync("/set/role/admin");
        var database = await DatabaseAsync();
        await database.HashSetAsync(key, [new("clear", "admin"), new("role", await database.HashGetAsync(KeyOf(await other.GetAsync("/id")), "role"))]);
        Events.Clear();
        await OnAnotherServerAsync(browser);
        Assert.Equal("cart", await browser.GetAsync("/keys"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Contains(Events.All, e => e is { Kind: SessionSecurityEventKind.DecryptionFailed, Detail: "field clear" });
        Assert.Contains(Events.All, e => e is { Kind: SessionSecurityEventKind.DecryptionFailed, Detail: "field role" });
    }

    [Fact]
    public async Task Another_sessions_metadata_pair_it_with_nobodys_ticket()
    {
        var site = await StartSealedAsync();
        var (victim, thief) = (site.NewBrowser(), site.NewBrowser());
        var (from, to) = (KeyOf(await victim.GetAsync("/login/ada")), KeyOf(await thief.GetAsync("/login/eve")));
        var database = await DatabaseAsync();
        await database.HashSetAsync(to, [.. (await database.HashGetAllAsync(from)).Where(field => ((string)field.Name!).StartsWith('@'))]);
        thief.SetCookie(SignInSite.AuthCookie, victim.Cookies[SignInSite.AuthCookie]);
        await OnAnotherServerAsync(thief);
        Assert.Equal("", await thief.GetAsync("/whoami"));
    }

    /// <summary>Each seals what it knows; who was late knows it, too, and seals again.</summary>
    [Fact]
    public async Task Overlapping_requests_keep_each_others_changes_under_one_seal()
    {
        const int Requests = 20;
        var site = await StartSealedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/first/1");
        await Task.WhenAll(Enumerable.Range(0, Requests).Select(i => browser.GetAsync($"/set/k{i:00}/{i}")));
        await OnAnotherServerAsync(browser);
        Assert.Equal(Requests + 1, (await browser.GetAsync("/keys")).Split(',').Length);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>Who was late looks once more at what there is, and finds no session, another, or one that nobody sealed.</summary>
    [Theory]
    [InlineData("ended")]
    [InlineData("begun anew")]
    [InlineData("forged")]
    public async Task A_late_commit_leaves_what_it_is_not_meant_for_as_it_is(string meanwhile)
    {
        using var held = new HeldRedis(Server.Address);
        var (here, reached) = (await StartSealedAsync(), Task.CompletedTask);
        var late = await StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/late", async (HttpContext context) =>
                {
                    context.Session.SetString("mine", "1");
                    await here.Sessions.SetFieldAsync(context.Session.Id, "other", [1]);
                    reached = held.HoldAsync(static command => command == "HGETALL");
                });
            },
            addOns: builder => builder.AddUserIndex().AddSecurity().AddEncryption(o => o.AcceptUnencrypted = false),
            redis: held.Address);
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var id = await browser.GetAsync("/id");
        var (elsewhere, database) = (browser.Copy(), await DatabaseAsync());
        late.TakeOver(browser);
        var answer = browser.GetAsync("/late");
        await Eventually.TrueAsync(() => reached != Task.CompletedTask, what: "the page has run");
        await reached;
        switch (meanwhile)
        {
            case "ended":
                Assert.True(await here.Sessions.DestroyAsync(id));
                break;
            case "begun anew":
                Assert.True(await here.Sessions.DestroyAsync(id));
                await elsewhere.GetAsync("/set/new/1");
                break;
            case "forged":
                await database.HashSetAsync(KeyOf(id), "@u", "eve");
                break;
        }

        var left = await database.HashGetAllAsync(KeyOf(id));
        held.Release();
        await answer;
        Assert.Equal(left.ToDictionary(), (await database.HashGetAllAsync(KeyOf(id))).ToDictionary());
    }

    /// <summary>Nor does it wait for ever for what it could seal.</summary>
    [Fact]
    public async Task A_session_that_would_begin_where_somebody_planted_a_hash_meanwhile_does_not()
    {
        HashEntry[] planted = [];
        var site = await StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/begin", async (HttpContext context) =>
                {
                    context.Session.SetString("mine", "1");
                    planted = [new("@v", 1), new("@c", DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()), new("@u", "eve")];
                    await (await DatabaseAsync()).HashSetAsync(KeyOf(context.Session.Id), planted);
                });
            },
            addOns: builder => builder.AddUserIndex().AddSecurity().AddEncryption(o => o.AcceptUnencrypted = false));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var id = await browser.GetAsync("/id");
        await site.Sessions.DestroyAsync(id);
        await browser.GetAsync("/begin");
        Assert.Equal(planted.ToDictionary(), (await (await DatabaseAsync()).HashGetAllAsync(KeyOf(id))).ToDictionary());
    }

    [Fact]
    public async Task Whatever_the_library_writes_it_seals()
    {
        var clock = StopClock();
        var site = await StartSealedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var id = await browser.GetAsync("/login/ada");
        await Task.WhenAll(Enumerable.Range(0, 5).Select(i => site.Sessions.SetFieldAsync(id, $"job{i}", [1])));
        Assert.True(await site.Sessions.RemoveFieldAsync(id, "job0"));
        Assert.False(await site.Sessions.RemoveFieldAsync(id, "none"));
        Assert.Equal("tea", System.Text.Encoding.UTF8.GetString((await site.Sessions.GetFieldAsync(id, "cart"))!));
        await site.Sessions.ExtendAsync(id, TimeSpan.FromMinutes(1));
        await OnAnotherServerAsync(browser);
        Assert.Equal("cart,job1,job2,job3,job4", await browser.GetAsync("/keys"));

        // A heartbeat, which notes where the session was seen; then another id.
        clock.Advance(TimeSpan.FromMinutes(5));
        await browser.GetAsync("/none");
        await OnAnotherServerAsync(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        await browser.GetAsync("/regenerate");
        await browser.GetAsync("/clear");
        await browser.GetAsync("/set/last/1");
        await OnAnotherServerAsync(browser);
        Assert.Equal("last", await browser.GetAsync("/keys"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>Without a new version: when a session near its absolute timeout was last used, and from where.</summary>
    [Fact]
    public async Task What_is_noted_in_passing_breaks_no_seal()
    {
        var clock = StopClock();
        Task<Site> StartShortAsync() => StartAsync(
            CookieSite.Map,
            options: o => o.AbsoluteTimeout = TimeSpan.FromHours(1),
            services: CookieSite.AddServices,
            addOns: builder => builder.AddUserIndex().AddEncryption(o => o.AcceptUnencrypted = false),
            beforeSession: UseTestAddress,
            afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());
        var browser = From(await StartShortAsync(), "192.0.2.1");
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        browser.Headers["X-Test-Address"] = "198.51.100.7";
        browser.Headers["User-Agent"] = Chrome;
        var database = await DatabaseAsync();
        for (var i = 0; i < 3; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(15));
            (await StartShortAsync()).TakeOver(browser);
            Assert.Equal("ada", await browser.GetAsync("/whoami"));
            await Eventually.TrueAsync(async () => await database.HashGetAsync(key, "@na") == "198.51.100.7", what: "its new address is noted");
        }

        await Eventually.TrueAsync(async () => !(await database.HashGetAsync(key, "@l")).IsNull, what: "its use is noted");
        (await StartShortAsync()).TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>While values in the clear are accepted, servers that do not encrypt may still write: nobody's session is lost.</summary>
    [Fact]
    public async Task The_seal_is_not_looked_at_while_values_in_the_clear_are_accepted()
    {
        var site = await StartSealedAsync(acceptUnencrypted: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(await browser.GetAsync("/id")), [new("b", "2"), new("@v", 7)]);
        (await StartSealedAsync(acceptUnencrypted: true)).TakeOver(browser);
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
        await browser.GetAsync("/set/c/3");
        (await StartSealedAsync(acceptUnencrypted: true)).TakeOver(browser);
        Assert.Equal("a,b,c", await browser.GetAsync("/keys"));
    }

    /// <summary>Nor does the size that encryption adds get around the bounds, nor a bound around the seal.</summary>
    [Fact]
    public async Task A_refused_commit_leaves_the_session_sealed()
    {
        var site = await StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/late", async (HttpContext context, ISessionRepository sessions) =>
                {
                    context.Session.SetString("mine", "1");
                    await sessions.SetFieldAsync(context.Session.Id, "other", [1]);
                });
            },
            addOns: builder => builder.AddUserIndex().AddSecurity(o => o.MaxFieldCount = 1).AddEncryption(o => o.AcceptUnencrypted = false));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await Assert.ThrowsAsync<InvalidOperationException>(() => StatusAsync(browser, "/late"));
        await OnAnotherServerAsync(browser);
        Assert.Equal("other", await browser.GetAsync("/keys"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(browser, "/transfer"));
    }
}

public sealed class SealsOnGarnet(InProcessGarnet server) : SealTests(server);

public sealed class SealsOnRedis(LocalRedis server) : SealTests(server);
