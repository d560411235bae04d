using System.Net;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Storage;

namespace RedisSessions.Tests.Sessions;

/// <summary>One application that serves several tenants: each has sessions of its own, and what is one tenant's is nothing to another.</summary>
public abstract class TenantTests(RedisServer server) : ServerTest(server)
{
    private static readonly Dictionary<string, SessionTenant> Tenants = new()
    {
        ["acme"] = new SessionTenant("acme") { IdleTimeout = TimeSpan.FromMinutes(5), MaxSessionSize = 200 },
        ["Acme"] = new SessionTenant("Acme"),
        ["globex"] = new SessionTenant("globex") { AbsoluteTimeout = TimeSpan.FromMinutes(10) },
    };

    private Task<Site> ServerAsync(Action<RedisSessionOptions>? options = null, Action<RedisSessionBuilder>? addOns = null) => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/add", async (HttpContext context) => $"{await context.Session.IncrementAsync("hits")}");
            app.MapGet("/buy", (HttpContext context) =>
            {
                context.Session.SetInt32("bought", (context.Session.GetInt32("bought") ?? 0) + 1);
                return context.Session.GetInt32("bought");
            }).RequireExclusiveSession();
            app.MapGet("/reason", async (HttpContext context) => $"{await context.Session.GetEndReasonAsync()}");
        },
        options: o =>
        {
            o.TenantOf = static context => Tenants.GetValueOrDefault(context.Request.Headers["X-Tenant"].ToString());
            options?.Invoke(o);
        },
        addOns: addOns);

    private static Browser At(string? tenant, Browser browser)
    {
        var copy = browser.Copy();
        if (tenant is not null)
        {
            copy.Headers["X-Tenant"] = tenant;
        }

        return copy;
    }

    private string KeyOf(string tenant, string id) => $"{Fleet.Prefix}tenant:{tenant}:{{{id}}}";

    [Fact]
    public async Task A_cookie_of_one_tenant_is_nothing_to_another()
    {
        var (here, there) = (await ServerAsync(), await ServerAsync());
        var acme = At("acme", here.NewBrowser());
        await acme.GetAsync("/set/secret/acmes");
        var id = await acme.GetAsync("/id");
        Browser[] others = [At("globex", acme), At("Acme", acme), At(null, acme)];
        foreach (var other in others)
        {
            Assert.Equal("", await other.GetAsync("/keys"));
            await other.GetAsync("/set/secret/theirs");
            await other.GetAsync("/add");
            Assert.Equal("1", await other.GetAsync("/buy"));
            there.TakeOver(other);
            Assert.Equal("theirs", await other.GetAsync("/get/secret"));
            await other.GetAsync("/clear");
            await other.GetAsync("/regenerate");
            await other.GetAsync("/destroy");
        }

        Assert.Equal("acmes", await acme.GetAsync("/get/secret"));
        Assert.Equal("secret", await acme.GetAsync("/keys"));
        Assert.Equal("", await acme.GetAsync("/reason"));
        there.TakeOver(acme);
        Assert.Equal("acmes", await acme.GetAsync("/get/secret"));
        Assert.True(await (await DatabaseAsync()).KeyExistsAsync(KeyOf("acme", id)));
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(id)));
    }

    [Fact]
    public async Task All_that_is_kept_of_a_tenants_session_has_the_tenants_name()
    {
        var site = await ServerAsync();
        var browser = At("acme", site.NewBrowser());
        await browser.GetAsync("/set/a/1");
        var (first, old) = (await browser.GetAsync("/id"), browser.Copy());
        await browser.GetAsync("/buy");
        var second = await browser.GetAsync("/regenerate");
        Assert.Equal("a,bought", await browser.GetAsync("/keys"));
        old.Headers["X-Tenant"] = "acme";
        Assert.Equal("", await old.GetAsync("/keys"));
        var database = await DatabaseAsync();
        Assert.True(await database.KeyExistsAsync($"{Fleet.Prefix}tenant:acme:moved:{{{first}}}"));
        Assert.True(await database.KeyExistsAsync(KeyOf("acme", second)));
        var before = browser.Copy();
        before.Headers["X-Tenant"] = "acme";
        await browser.GetAsync("/destroy");
        Assert.Equal("signed-out", await database.StringGetAsync($"{Fleet.Prefix}tenant:acme:ended:{{{second}}}"));
        Assert.Equal("SignedOut", await before.GetAsync("/reason"));
        Assert.Equal("Expired", await At("globex", before).GetAsync("/reason"));
    }

    [Fact]
    public async Task Each_has_its_timeouts()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await ServerAsync();
        var (acme, globex) = (At("acme", site.NewBrowser()), At("globex", site.NewBrowser()));
        var (both, database) = ((Browser[])[acme, globex], await DatabaseAsync());
        foreach (var browser in both)
        {
            await browser.GetAsync("/set/a/1");
        }

        Assert.InRange((await database.KeyTimeToLiveAsync(KeyOf("acme", await acme.GetAsync("/id"))))!.Value, TimeSpan.FromMinutes(4.5), TimeSpan.FromMinutes(5.25));
        Assert.InRange((await database.KeyTimeToLiveAsync(KeyOf("globex", await globex.GetAsync("/id"))))!.Value, TimeSpan.FromMinutes(9.5), TimeSpan.FromMinutes(10));
        clock.Advance(TimeSpan.FromMinutes(11));
        Assert.Equal("a", await acme.GetAsync("/keys"));
        Assert.Equal("", await globex.GetAsync("/keys"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_has_its_limit_also_over_what_requests_do_together(bool hasSecurity)
    {
        Action<RedisSessionBuilder>? addOns = hasSecurity ? builder => builder.AddSecurity(o => o.MaxSessionSize = 1_000) : null;
        var here = await ServerAsync(addOns: addOns);
        Assert.Equal(HttpStatusCode.InternalServerError, (await At("acme", here.NewBrowser()).TryAsync($"/set/a/{new string('x', 200)}")).Status);
        var globex = At("globex", here.NewBrowser());
        await globex.GetAsync($"/set/a/{new string('x', 500)}");
        Assert.Equal(hasSecurity ? HttpStatusCode.InternalServerError : HttpStatusCode.OK, (await globex.TryAsync($"/set/b/{new string('x', 500)}")).Status);

        // Each is within it, by what it has loaded.
        var acme = At("acme", here.NewBrowser());
        await acme.GetAsync("/set/z/1");
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i => (await acme.TryAsync($"/set/f{i}/{new string('x', 60)}")).Status));
        Assert.InRange(outcomes.Count(outcome => outcome == HttpStatusCode.OK), 1, 3);
        var stored = await here.Services.GetRequiredService<ISessionTenants>().SessionsOf(Tenants["acme"]).GetAsync(await acme.GetAsync("/id"));
        Assert.InRange(stored!.Fields.Sum(field => field.Key.Length + field.Value.Length), 62, 200);
    }

    [Fact]
    public async Task Sessions_by_id_are_a_tenants_or_nobodys()
    {
        var site = await ServerAsync();
        var browser = At("acme", site.NewBrowser());
        await browser.GetAsync("/set/a/1");
        var (id, tenants) = (await browser.GetAsync("/id"), site.Services.GetRequiredService<ISessionTenants>());
        Assert.True(await tenants.SessionsOf(new SessionTenant("acme")).ExistsAsync(id));
        Assert.False(await tenants.SessionsOf(Tenants["globex"]).ExistsAsync(id));
        Assert.False(await site.Sessions.ExistsAsync(id));
        Assert.False(await site.Sessions.DestroyAsync(id));
        Assert.True(await tenants.SessionsOf(Tenants["acme"]).DestroyAsync(id));
        Assert.Equal("", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task A_change_of_a_tenants_session_is_heard_and_its_copy_is_no_other_tenants()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var here = new NotifiedSite(await ServerAsync(o => o.LocalCache.Mode = LocalCacheMode.Notified), clock);
        var there = await ServerAsync(o => o.LocalCache.Mode = LocalCacheMode.Notifying);
        await here.ProvedAsync();
        var browser = here.NewBrowser();
        browser.Headers["X-Tenant"] = "acme";
        await browser.GetAsync("/set/a/1");
        await here.IsServedAsync(browser, "/get/a", "1");
        Assert.Equal("", await At("globex", browser).GetAsync("/get/a"));
        var elsewhere = At("acme", browser);
        there.TakeOver(elsewhere);
        await elsewhere.GetAsync("/set/a/2");
        await here.SeesAsync(browser, "/get/a", "2");
        await here.IsServedAsync(browser, "/get/a", "2");
    }

    [Fact]
    public async Task Values_of_one_tenant_that_are_copied_to_another_are_not_read()
    {
        var site = await ServerAsync(addOns: builder => builder.AddEncryption());
        var (acme, globex) = (At("acme", site.NewBrowser()), At("globex", site.NewBrowser()));
        await acme.GetAsync("/set/a/acmes");
        await globex.GetAsync("/set/a/theirs");
        var (from, to, database) = (KeyOf("acme", await acme.GetAsync("/id")), KeyOf("globex", await globex.GetAsync("/id")), await DatabaseAsync());
        await database.KeyDeleteAsync(to);
        await database.HashSetAsync(to, await database.HashGetAllAsync(from));
        await database.KeyExpireAsync(to, TimeSpan.FromMinutes(20));
        Assert.Equal("", await globex.GetAsync("/keys"));
    }
}

public sealed class TenantsOnGarnet(InProcessGarnet server) : TenantTests(server);

public sealed class TenantsOnRedis(LocalRedis server) : TenantTests(server);

public sealed class TenantsInContainer(ContainerRedis server) : TenantTests(server);

public sealed class TenantsOnGivenServer(GivenRedis server) : TenantTests(server);

/// <summary>What is said at once to who writes something that does not work with tenants.</summary>
public sealed class TenantMistakeTests(InProcessGarnet server) : ServerTest(server)
{
    public static TheoryData<string, Action<RedisSessionBuilder>> ForTheWholeSite => new()
    {
        { "Users", builder => builder.AddUserIndex() },
        { "Analytics", builder => builder.AddAnalytics() },
        { "Lifecycle", builder => builder.AddLifecycle<Nothing>() },
        { "Migration", builder => builder.AddMicrosoftSessionMigration("old:") },
    };

    [Theory]
    [MemberData(nameof(ForTheWholeSite))]
    public async Task An_add_on_that_does_not_know_tenants_fails_the_start(string part, Action<RedisSessionBuilder> addOn)
    {
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(options: o => o.TenantOf = static _ => null, addOns: addOn));
        Assert.Contains(part, failure.Message, StringComparison.Ordinal);
        Assert.Contains("Write ", failure.Message, StringComparison.Ordinal);
        await StartAsync(addOns: addOn);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:b")]
    [InlineData("a{b}")]
    [InlineData("ä")]
    [InlineData("a b")]
    public void A_name_that_could_be_part_of_another_key_is_refused(string name) => Assert.Throws<ArgumentException>(() => new SessionTenant(name));

    [Fact]
    public void So_is_one_that_is_too_long_and_a_time_or_size_that_is_none()
    {
        Assert.Equal(64, new SessionTenant(new string('a', 64)).Name.Length);
        Assert.Throws<ArgumentException>(() => new SessionTenant(new string('a', 65)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionTenant("a") { IdleTimeout = TimeSpan.Zero });
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionTenant("a") { AbsoluteTimeout = TimeSpan.FromSeconds(-1) });
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionTenant("a") { MaxSessionSize = 0 });
    }

    [Fact]
    public async Task A_function_that_throws_fails_the_request_and_no_session_is_begun()
    {
        var site = await StartAsync(Pages.Map, options: o => o.TenantOf = static context => context.Request.Path == "/none" ? null : throw new InvalidOperationException("Unknown host."));
        Assert.Equal(HttpStatusCode.InternalServerError, (await site.NewBrowser().TryAsync("/set/a/1")).Status);
        Assert.Equal("none", await site.NewBrowser().GetAsync("/none"));
    }

    private sealed class Nothing : ISessionLifecycle
    {
        public Task EndedAsync(SessionEndReason reason, string? userId, EndedSessionMetadata metadata, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
