using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Redis;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Storage;

/// <summary>Copies that are used without asking Redis: what other servers do to their session is heard, whatever they do.</summary>
public abstract class NotifiedCopyTests(RedisServer server) : SignInTest(server)
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);

    public static TheoryData<string> Protocols => ["resp2", "resp3"];

    private async Task<NotifiedSite> ServerAsync(string protocol, LocalCacheMode mode = LocalCacheMode.Notified, Action<WebApplication>? map = null, Action<RedisSessionBuilder>? addOns = null)
    {
        Fleet = new Fleet { Clock = _clock, Prefix = Fleet.Prefix, Protection = Fleet.Protection };
        var site = new NotifiedSite(
            await StartAsync(
                app =>
                {
                    SignInSite.Map(app);
                    app.MapPost("/post/{key}", (HttpContext context, string key) => context.Session.GetString(key) ?? "");
                    app.MapGet("/add/{key}", async (HttpContext context, string key) => $"{await context.Session.IncrementAsync(key)}");
                    app.MapGet("/timeout/{minutes:int}", (HttpContext context, int minutes) => context.Session.SetIdleTimeout(TimeSpan.FromMinutes(minutes)));
                    app.MapGet("/now/{key}", [SessionValidated] (HttpContext context, string key) => context.Session.GetString(key) ?? "");
                    app.MapGet("/mapped-now/{key}", (HttpContext context, string key) => context.Session.GetString(key) ?? "").RequireValidatedSession();
                    app.MapGet("/recent", () => "recent").RequireAuthorization(new RequireRecentSignInAttribute(5));
                    map?.Invoke(app);
                },
                redis: $"{Server.Address},protocol={protocol}",
                options: o => o.LocalCache.Mode = mode,
                services: SignInSite.AddServices,
                addOns: builder =>
                {
                    builder.AddUserIndex().AddSecurity();
                    addOns?.Invoke(builder);
                }),
            _clock);
        if (mode == LocalCacheMode.Notified)
        {
            await site.ProvedAsync();
        }

        return site;
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task An_unchanged_session_is_read_without_asking_and_a_change_elsewhere_is_seen(string protocol)
    {
        var (here, there) = (await ServerAsync(protocol), await ServerAsync(protocol));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/0");
        var elsewhere = there.BrowserOf(browser);
        for (var i = 1; i <= 20; i++)
        {
            await elsewhere.GetAsync($"/set/a/{i}");
            await here.SeesAsync(browser, "/get/a", $"{i}");
            await here.IsServedAsync(browser, "/get/a", $"{i}");
            await there.SeesAsync(elsewhere, "/get/a", $"{i}");
        }
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Whatever_changes_or_ends_a_session_is_heard(string protocol)
    {
        var (here, there) = (await ServerAsync(protocol), await ServerAsync(protocol, LocalCacheMode.Notifying));
        var browser = here.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/a/0");
        var id = await browser.GetAsync("/id");
        var elsewhere = there.BrowserOf(browser);

        await CopiedAsync();
        Assert.Equal("1", await elsewhere.GetAsync("/add/hits"));
        await here.SeesAsync(browser, "/get/hits", "1");
        await CopiedAsync();
        await there.Site.Sessions.SetFieldAsync(id, "a", "1"u8.ToArray());
        await here.SeesAsync(browser, "/get/a", "1");
        await CopiedAsync();
        await there.Site.Sessions.RemoveFieldAsync(id, "a");
        await here.SeesAsync(browser, "/get/a", "");
        await CopiedAsync();
        await elsewhere.GetAsync("/clear");
        await here.SeesAsync(browser, "/keys", "");
        await CopiedAsync();
        await elsewhere.GetAsync("/set/b/2");
        await here.SeesAsync(browser, "/keys", "b");

        // Another id: the old one is over.
        await CopiedAsync();
        await elsewhere.GetAsync("/regenerate");
        await here.SeesAsync(browser, "/keys", "");
        await here.SeesAsync(browser, "/whoami", "");
        var moved = here.BrowserOf(elsewhere);
        Assert.Equal("ada", await moved.GetAsync("/whoami"));
        await here.IsServedAsync(moved, "/get/b", "2");

        // Revoked by its user; then all of a user's; then destroyed by its browser, and by its id.
        Assert.Equal(RevokeResult.Revoked, await Users(there.Site).RevokeAsync("ada", await moved.GetAsync("/id")));
        await here.SeesAsync(moved, "/whoami", "");
        var (one, two) = (here.NewBrowser(), here.NewBrowser());
        await one.GetAsync("/login/grace");
        await two.GetAsync("/login/grace");
        await here.IsServedAsync(one, "/whoami", "grace");
        await here.IsServedAsync(two, "/whoami", "grace");
        Assert.Equal(2, await Users(there.Site).RevokeAllAsync("grace"));
        await here.SeesAsync(one, "/whoami", "");
        await here.SeesAsync(two, "/whoami", "");
        foreach (var byId in new[] { true, false })
        {
            var visitor = here.NewBrowser();
            await visitor.GetAsync("/set/a/1");
            var visitorsId = await visitor.GetAsync("/id");
            await here.IsServedAsync(visitor, "/keys", "a");
            if (byId)
            {
                Assert.True(await there.Site.Sessions.DestroyAsync(visitorsId));
            }
            else
            {
                await there.BrowserOf(visitor).GetAsync("/destroy");
            }

            await here.SeesAsync(visitor, "/keys", "");
        }

        async Task CopiedAsync()
        {
            await here.IsServedAsync(browser, "/whoami", "ada");
        }
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Who_writes_or_must_know_asks(string protocol)
    {
        var here = await ServerAsync(protocol);
        var browser = here.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");

        // By hand, so that nobody hears of it: only who asks sees it.
        var id = await browser.GetAsync("/id");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), [new("a", "2"), new("@v", "4711")]);
        await here.IsServedAsync(browser, "/get/a", "1");
        using (var posted = await browser.SendAsync(HttpMethod.Post, "/post/a"))
        {
            Assert.Equal("2", await posted.Content.ReadAsStringAsync());
        }

        foreach (var path in new[] { "/now/a", "/mapped-now/a" })
        {
            await (await DatabaseAsync()).HashSetAsync(KeyOf(id), [new("a", path), new("@v", "4711" + path.Length)]);
            Assert.Equal(path, await browser.GetAsync(path));
        }

        Assert.Equal("recent", await browser.GetAsync("/recent"));
        await here.IsServedAsync(browser, "/get/a", "/mapped-now/a");
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id));
        await here.IsServedAsync(browser, "/whoami", "ada");
        using var refused = await browser.SendAsync(HttpMethod.Get, "/recent");
        Assert.Equal(System.Net.HttpStatusCode.Redirect, refused.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_session_that_is_only_served_slides_in_redis_and_no_copy_outlives_what_is_known_of_it(string protocol)
    {
        var here = await ServerAsync(protocol);
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        var db = await DatabaseAsync();
        await here.IsServedAsync(browser, "/get/a", "1");
        await db.KeyExpireAsync(KeyOf(id), TimeSpan.FromMinutes(19));

        // One precision later, still without a question that the request waits for.
        _clock.Advance(TimeSpan.FromMinutes(1) - TimeSpan.FromMilliseconds(1));
        await here.ProvedAsync();
        await here.IsServedAsync(browser, "/get/a", "1");
        await Eventually.TrueAsync(async () => (await db.KeyTimeToLiveAsync(KeyOf(id)))!.Value > TimeSpan.FromMinutes(20) || !await SlideAsync());

        // A life of its own that is shorter than the minute within which every copy is asked about.
        await browser.GetAsync("/set/b/2");
        await db.HashSetAsync(KeyOf(id), [new("@i", "20000"), new("@v", "4711")]);
        await db.KeyExpireAsync(KeyOf(id), TimeSpan.FromSeconds(20));
        Assert.Equal("2", await browser.GetAsync("/now/b"));
        await here.IsServedAsync(browser, "/get/b", "2");
        await db.KeyDeleteAsync(KeyOf(id));
        _clock.Advance(TimeSpan.FromSeconds(21));
        await here.ProvedAsync();
        Assert.Equal("", await browser.GetAsync("/get/b"));

        async Task<bool> SlideAsync()
        {
            await browser.GetAsync("/get/a");
            return true;
        }
    }

    [Fact]
    public async Task What_nobody_told_of_is_found_within_a_minute()
    {
        var here = await ServerAsync("resp3");
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(await browser.GetAsync("/id")));
        await here.IsServedAsync(browser, "/get/a", "1");
        _clock.Advance(TimeSpan.FromMinutes(1));
        await here.ProvedAsync();
        Assert.Equal("", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_stolen_cookie_reads_nothing_of_a_copy()
    {
        var here = await ServerAsync("resp3");
        var victim = here.NewBrowser();
        victim.Headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
        await victim.GetAsync("/set/cart/tea");
        await here.IsServedAsync(victim, "/get/cart", "tea");
        var thief = victim.Copy();
        thief.Headers["User-Agent"] = "curl/8";
        Assert.Equal("", await thief.GetAsync("/get/cart"));
        Assert.Equal("", await thief.GetAsync("/keys"));
        Assert.Contains(here.Site.Log.Ours, entry => entry.Id.Name == "SecurityRejected");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
    }

    /// <summary>Of two pages, one shows a value no more and the other still does: whoever asked has learnt that the copy is old.</summary>
    [Fact]
    public async Task No_copy_of_before_is_served_once_a_value_was_refused()
    {
        var here = await ServerAsync("resp3", addOns: builder => builder.AddEncryption(o => o.AcceptUnencrypted = true));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/balance/1");
        await browser.GetAsync("/set/limit/2");
        await here.IsServedAsync(browser, "/get/balance", "1");
        var (db, key) = (await DatabaseAsync(), KeyOf(await browser.GetAsync("/id")));
        await db.HashSetAsync(key, [new("balance", await db.HashGetAsync(key, "limit")), new("@v", "4711")]);
        using var posted = await browser.SendAsync(HttpMethod.Post, "/post/balance");
        Assert.Equal("", await posted.Content.ReadAsStringAsync());
        Assert.Equal("", await browser.GetAsync("/get/balance"));
    }

    [Fact]
    public async Task Encrypted_sessions_are_heard_of_too()
    {
        var (here, there) = (
            await ServerAsync("resp3", addOns: builder => builder.AddEncryption()),
            await ServerAsync("resp3", addOns: builder => builder.AddEncryption()));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");
        await there.BrowserOf(browser).GetAsync("/set/a/2");
        await here.SeesAsync(browser, "/get/a", "2");
        await here.IsServedAsync(browser, "/get/a", "2");
    }
}

/// <summary>A server whose copies are notified, over a clock that the test moves: what is proved stays so until then.</summary>
public sealed class NotifiedSite(Site site, FakeTimeProvider clock)
{
    private readonly InstrumentReader _served = new(site.Services, "redis_sessions.local_copy.served");

    public Site Site { get; } = site;

    public long Served => _served.Read() ?? 0;

    public Browser NewBrowser() => Site.NewBrowser();

    /// <summary>The same browser's next requests, to this server.</summary>
    public Browser BrowserOf(Browser browser)
    {
        var copy = browser.Copy();
        Site.TakeOver(copy);
        return copy;
    }

    public Task ProvedAsync()
    {
        var feed = Site.Services.GetRequiredService<RedisFeed>();
        return Eventually.TrueAsync(
            () =>
            {
                if (feed.Epoch == 0)
                {
                    // The next beat; little enough to change nothing else.
                    clock.Advance(TimeSpan.FromMilliseconds(5));
                }

                return feed.Epoch != 0;
            },
            what: "changes are heard");
    }

    /// <summary>The page shows it sooner or later, once what happened elsewhere was heard.</summary>
    public Task SeesAsync(Browser browser, string path, string body)
    {
        var seen = "";
        return Eventually.TrueAsync(async () => (seen = await browser.GetAsync(path)) == body, what: $"{path} is '{body}'");
    }

    /// <summary>The page shows it, and Redis is not asked; a message of the request before may come in between.</summary>
    public Task IsServedAsync(Browser browser, string path, string body) => Eventually.TrueAsync(
        async () =>
        {
            var before = Served;
            Assert.Equal(body, await browser.GetAsync(path));
            return Served == before + 1;
        },
        what: $"{path} is served");
}

public sealed class NotifiedCopyOnGarnet(InProcessGarnet server) : NotifiedCopyTests(server);

public sealed class NotifiedCopyOnRedis(LocalRedis server) : NotifiedCopyTests(server);

public sealed class NotifiedCopyInContainer(ContainerRedis server) : NotifiedCopyTests(server);

public sealed class NotifiedCopyOnCluster(LocalCluster server) : NotifiedCopyTests(server);

public sealed class NotifiedCopyOnGivenServer(GivenRedis server) : NotifiedCopyTests(server);

public sealed class NotifiedCopyUnderAcl(AclRedis server) : NotifiedCopyTests(server);
