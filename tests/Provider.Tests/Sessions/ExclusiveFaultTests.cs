using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Storage;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>What becomes of requests that take turns where their servers, their connections and Redis itself go away; and what they cost.</summary>
public sealed class ExclusiveFaultTests : OwnRedisTest
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Map(WebApplication app)
    {
        app.MapPost("/hold", async (HttpContext context) =>
        {
            _entered.TrySetResult();
            await _goOn.Task;
            context.Session.SetString("held", "yes");
        }).RequireExclusiveSession(lease: Lease);
        app.MapPost("/plain", (HttpContext context) => context.Session.SetInt32("count", (context.Session.GetInt32("count") ?? 0) + 1));
        app.MapPost("/exclusive", (HttpContext context) =>
        {
            context.Session.SetInt32("count", (context.Session.GetInt32("count") ?? 0) + 1);
            return Results.Text("done");
        }).RequireExclusiveSession();
        app.MapGet("/read", (HttpContext context) => context.Session.GetString("a")).RequireExclusiveSession();
        app.MapGroup("/group").RequireExclusiveSession().MapGet("/off", () => "off").WithMetadata(new ExclusiveSessionAttribute { Enabled = false });
    }

    private Task<Site> ServerAsync(string redis, Action<RedisSessionOptions>? options = null) => SiteAsync(redis, Map, options);

    private static Browser On(Site site, Browser browser)
    {
        var other = browser.Copy();
        site.TakeOver(other);
        return other;
    }

    private static async Task<HttpStatusCode> PostAsync(Browser browser, string path)
    {
        using var response = await browser.SendAsync(HttpMethod.Post, path);
        return response.StatusCode;
    }

    [Fact]
    public async Task None_waits_for_a_server_that_is_gone_longer_than_its_lease()
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var (here, there) = (await ServerAsync(proxy.Address), await ServerAsync(redis.Address + RedisServer.Patient));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var held = PostAsync(browser, "/hold");
        await _entered.Task;
        var waits = Enumerable.Range(0, 5).Select(_ => PostAsync(On(there, browser), "/exclusive")).ToArray();
        await Task.Delay(Lease / 2, TestContext.Current.CancellationToken);

        // From here on nothing that this server does reaches Redis, as if it had been killed.
        proxy.Dispose();
        var watch = Stopwatch.StartNew();
        Assert.Equal(HttpStatusCode.OK, await await Task.WhenAny(waits));
        Assert.True(watch.Elapsed < Lease + TimeSpan.FromSeconds(1), $"It waited {watch.Elapsed}.");
        Assert.All(await Task.WhenAll(waits), status => Assert.Equal(HttpStatusCode.OK, status));
        _goOn.SetResult();
        await Record.ExceptionAsync(() => held);
        Assert.Equal("a,count", await On(there, browser).GetAsync("/keys"));
    }

    [Fact]
    public async Task Requests_of_the_server_that_lost_its_turn_get_theirs_when_it_is_back()
    {
        var proxy = ProxyOf(await RedisAsync());
        var site = await ServerAsync(proxy.Address + RedisServer.Patient, o => o.WaitForFailover = TimeSpan.FromSeconds(10));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var held = PostAsync(browser.Copy(), "/hold");
        await _entered.Task;
        var waits = PostAsync(browser.Copy(), "/exclusive");
        proxy.Cut();
        proxy.Cut();
        _goOn.SetResult();
        Assert.Equal(HttpStatusCode.OK, await held);
        Assert.Equal(HttpStatusCode.OK, await waits);
        Assert.Equal("a,count,held", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task A_turn_whose_reply_was_lost_is_taken_once_and_given_back()
    {
        var proxy = ProxyOf(await RedisAsync());
        var site = await ServerAsync(proxy.Address + RedisServer.Patient, o =>
        {
            o.WaitForFailover = TimeSpan.FromSeconds(10);
            o.Exclusive.Wait = TimeSpan.FromSeconds(3);
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        Assert.Equal(HttpStatusCode.OK, await PostAsync(browser, "/exclusive"));
        for (var reply = 1; reply <= 4; reply++)
        {
            // Of the load, of the turn, of the commit and of what gives the turn back.
            proxy.LoseReply(reply);
            Assert.Equal(HttpStatusCode.OK, await PostAsync(browser, "/exclusive"));
            proxy.LoseReply(0);
        }

        Assert.Equal(HttpStatusCode.OK, await PostAsync(browser, "/exclusive"));
        Assert.Equal([0, 0, 0, 6], await site.Sessions.GetFieldAsync(await browser.GetAsync("/id"), "count"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_commit_that_may_have_been_made_before_the_turn_was_lost_is_not_said_to_have_been_refused(bool isKnownNotToBe)
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var site = await ServerAsync(proxy.Address + RedisServer.Patient, o => o.WaitForFailover = TimeSpan.FromSeconds(10));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await PostAsync(browser, "/exclusive");
        var (id, admin) = (await browser.GetAsync("/id"), await ConnectionMultiplexer.ConnectAsync(redis.Address));
        await using var closes = admin;
        var (key, database) = ($"{Fleet.Prefix}{{{id}}}", admin.GetDatabase());
        await Eventually.TrueAsync(async () => !await database.KeyExistsAsync($"{Fleet.Prefix}turn:{{{id}}}"));
        var before = await database.HashGetAllAsync(key);

        // The commit's reply is lost; when the server looks again, another has had the turn, and either nothing was changed or something that hides whether it was.
        proxy.LoseReply(3);
        proxy.BeforeCommand = async command =>
        {
            if (command == "HGETALL")
            {
                await database.StringSetAsync($"{Fleet.Prefix}turn:{{{id}}}", 1, TimeSpan.FromMinutes(1));
                await database.HashSetAsync(key, isKnownNotToBe ? before : [.. before.Where(entry => entry.Name != "@v"), new("@v", 1)]);
            }
        };
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => PostAsync(browser, "/exclusive"));
        Assert.Equal(isKnownNotToBe, failure is ExclusiveSessionLostException);
    }

    [Fact]
    public async Task While_redis_is_away_the_endpoint_does_not_run()
    {
        var proxy = ProxyOf(await RedisAsync());
        var site = await ServerAsync(proxy.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        proxy.Dispose();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await PostAsync(browser, "/exclusive"));
        Assert.Contains(site.Log.Entries, entry => entry.Id.Id == 213);
    }

    [Fact]
    public async Task It_costs_two_round_trips_more_one_of_which_nobody_waits_for()
    {
        var proxied = await RedisAsync();
        var proxy = ProxyOf(proxied);
        var site = await ServerAsync(proxy.Address + RedisServer.Patient);
        var browser = site.NewBrowser();
        foreach (var path in (string[])["/plain", "/plain", "/exclusive", "/exclusive"])
        {
            await PostAsync(browser, path);
        }

        var turn = $"{Fleet.Prefix}turn:{{{await browser.GetAsync("/id")}}}";
        await using var redis = await ConnectionMultiplexer.ConnectAsync(proxied.Address);
        await Eventually.TrueAsync(async () => !await redis.GetDatabase().KeyExistsAsync(turn), what: "the turn is given back");
        var before = proxy.Snapshot();
        await PostAsync(browser, "/plain");
        Assert.Equal(["HGET", "EVALSHA"], (proxy.Snapshot() - before).Commands);

        before = proxy.Snapshot();
        await PostAsync(browser, "/exclusive");
        await Eventually.TrueAsync(() => (proxy.Snapshot() - before).Commands.Count == 4);
        Assert.Equal(["HGET", "EVALSHA", "EVALSHA", "EVALSHA"], (proxy.Snapshot() - before).Commands);

        // A request whose session is new has nothing to wait for.
        before = proxy.Snapshot();
        Assert.Equal(HttpStatusCode.OK, await PostAsync(site.NewBrowser(), "/exclusive"));
        Assert.Equal(["EVALSHA"], (proxy.Snapshot() - before).Commands);
    }

    [Fact]
    public async Task A_notified_copy_that_is_not_current_is_not_what_an_exclusive_request_finds()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var redis = await RedisAsync();
        var site = new NotifiedSite(await SiteAsync(redis.Address + RedisServer.Patient, Map, o => o.LocalCache.Mode = LocalCacheMode.Notified), clock);
        await site.ProvedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await site.IsServedAsync(browser, "/get/a", "1");

        // By a server that does not publish it.
        var silent = await SiteAsync(redis.Address + RedisServer.Patient, Map);
        await On(silent, browser).GetAsync("/set/a/2");
        await site.IsServedAsync(browser, "/get/a", "1");
        Assert.Equal("2", await browser.GetAsync("/read"));
    }

    [Fact]
    public async Task An_endpoint_without_a_session_says_what_to_write_and_one_that_is_excepted_needs_none()
    {
        var redis = await RedisAsync();
        await using var site = await Site.StartAsync(redis.Address, Map, useSession: _ => { });
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => site.NewBrowser().GetAsync("/read"));
        Assert.Contains("UseSession()", failure.Message, StringComparison.Ordinal);
        Assert.Equal("off", await site.NewBrowser().GetAsync("/group/off"));
    }

    [Fact]
    public void Times_that_are_out_of_range_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new ExclusiveSessionAttribute(-1, 5_000));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ExclusiveSessionAttribute(3_600_001, 5_000));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ExclusiveSessionAttribute(0, 99));
        Assert.Equal(TimeSpan.FromSeconds(5), new ExclusiveSessionAttribute(0, 5_000).Lease);
        Assert.Null(new ExclusiveSessionAttribute().Wait);
    }
}
