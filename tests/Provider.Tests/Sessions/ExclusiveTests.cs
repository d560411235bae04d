using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace RedisSessions.Tests.Sessions;

/// <summary>Requests of one session that want it for themselves take turns, whichever server they reach, and whatever becomes of the one before.</summary>
public abstract class ExclusiveTests(RedisServer server) : ServerTest(server)
{
    private static readonly TimeSpan ShortLease = TimeSpan.FromMilliseconds(600);

    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _entered = new();
    private int _inside;
    private int _most;

    private TaskCompletionSource Entered(string name) => _entered.GetOrAdd(name, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously));

    private void Map(WebApplication app)
    {
        Pages.Map(app);

        // Reads, lets others have their chance, and writes what it read and one more: what two did at the same time is lost.
        app.MapPost("/buy", async (HttpContext context) =>
        {
            var inside = Interlocked.Increment(ref _inside);
            _most = Math.Max(_most, inside);
            var bought = context.Session.GetInt32("bought") ?? 0;
            await Task.Delay(1);
            context.Session.SetInt32("bought", bought + 1);
            Interlocked.Decrement(ref _inside);
            return bought;
        }).RequireExclusiveSession(TimeSpan.FromMinutes(1));
        app.MapGet("/bought", (HttpContext context) => context.Session.GetInt32("bought") ?? 0);
        app.MapPost("/hold/{name}", async (HttpContext context, string name) =>
        {
            Entered(name).TrySetResult();
            await _goOn.Task;
            context.Session.SetString("held", name);
            return name;
        }).RequireExclusiveSession(TimeSpan.FromMinutes(1), ShortLease);
        app.MapPost("/at-once", [ExclusiveSession(0, 5_000)] (HttpContext context) => context.Session.GetString("held") ?? "nobody");
        app.MapPost("/throws", string (HttpContext context) => throw new InvalidOperationException("On purpose.")).RequireExclusiveSession();
        app.MapPost("/aborts", (HttpContext context) => context.Abort()).RequireExclusiveSession();
        app.MapPost("/empty", (HttpContext context) => context.Session.SetString("empty", "yes")).RequireExclusiveSession();
        app.MapPost("/hold-and/{how}/{hasBody}", async Task<IResult> (HttpContext context, string how, bool hasBody) =>
        {
            if (how == "moved")
            {
                await context.Session.RegenerateIdAsync();
                await context.Session.CommitAsync();
            }

            Entered(how).TrySetResult();
            await _goOn.Task;
            if (how != "increment")
            {
                context.Session.SetString("held", "1");
            }

            await (how switch
            {
                "regenerate" => context.Session.RegenerateIdAsync(),
                "moved" => Task.CompletedTask,
                "increment" => context.Session.IncrementAsync("held"),
                _ => context.Session.DestroyAsync(),
            });
            return hasBody ? Results.Text(context.Session.Id) : Results.Ok();
        }).RequireExclusiveSession();
        app.MapPost("/destroy", (HttpContext context) => context.Session.DestroyAsync()).RequireExclusiveSession();
        app.MapPost("/keys", (HttpContext context) => string.Join(",", context.Session.Keys.Order())).RequireExclusiveSession();
    }

    private Task<Site> ServerAsync(
        string? redis = null, Action<RedisSessionOptions>? options = null, Action<IApplicationBuilder>? beforeSession = null, Action<IApplicationBuilder>? afterSession = null, Action<RedisSessionBuilder>? addOns = null) =>
        StartAsync(Map, redis, options, beforeSession: beforeSession, afterSession: afterSession, addOns: addOns);

    private static Browser On(Site site, Browser browser)
    {
        var other = browser.Copy();
        site.TakeOver(other);
        return other;
    }

    private static async Task<string> PostAsync(Browser browser, string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await browser.SendAsync(HttpMethod.Post, path);
        Assert.Equal(expected, response.StatusCode);
        return await response.Content.ReadAsStringAsync();
    }

    private async Task<(Task<string> Held, Browser Browser)> HoldAsync(Site site, string name = "first")
    {
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var held = PostAsync(browser, $"/hold/{name}");
        await Entered(name).Task;
        return (held, browser);
    }

    private async Task<string> TurnKeyAsync(Browser browser) => $"{Fleet.Prefix}turn:{{{await browser.Copy().GetAsync("/id")}}}";

    private async Task IsFreeAsync(string turnKey, string what = "the turn is given back") =>
        await Eventually.TrueAsync(async () => !await (await DatabaseAsync()).KeyExistsAsync(turnKey), TimeSpan.FromSeconds(2), what);

    private async Task WaitsAsync(string turnKey) =>
        await Eventually.TrueAsync(async () => await (await DatabaseAsync()).KeyExistsAsync(turnKey + ":next"), what: "somebody waits");

    [Fact]
    public async Task Fifty_requests_over_two_servers_run_one_at_a_time_and_none_is_lost()
    {
        Site[] sites = [await ServerAsync(), await ServerAsync()];
        var browser = sites[0].NewBrowser();
        await browser.GetAsync("/set/a/1");
        Browser[] browsers = [browser, On(sites[1], browser)];
        var seen = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => PostAsync(browsers[i % 2], "/buy")));
        Assert.Equal(1, _most);
        Assert.Equal("50", await browser.GetAsync("/bought"));
        Assert.Equal(Enumerable.Range(0, 50), seen.Select(said => int.Parse(said, CultureInfo.InvariantCulture)).Order());
        await IsFreeAsync(await TurnKeyAsync(browser));
    }

    [Fact]
    public async Task A_busy_server_does_not_keep_the_requests_of_another_waiting()
    {
        var (here, there) = (await ServerAsync(), await ServerAsync());
        var (held, browser) = await HoldAsync(here);
        var other = PostAsync(On(there, browser), "/buy");
        await WaitsAsync(await TurnKeyAsync(browser));
        var others = Enumerable.Range(0, 20).Select(_ => PostAsync(browser.Copy(), "/buy")).ToArray();
        _goOn.SetResult();
        await held;
        Assert.InRange(int.Parse(await other, CultureInfo.InvariantCulture), 0, 10);
        await Task.WhenAll(others);
    }

    [Fact]
    public async Task Neither_a_request_without_it_nor_one_of_another_session_waits()
    {
        var site = await ServerAsync();
        var (held, browser) = await HoldAsync(site);
        Assert.Equal("1", await browser.Copy().GetAsync("/get/a"));
        Assert.Equal("ok", await browser.Copy().GetAsync("/set/b/2"));
        var stranger = site.NewBrowser();
        Assert.Equal("nobody", await PostAsync(stranger, "/at-once"));
        await stranger.GetAsync("/set/a/1");
        Assert.Equal("nobody", await PostAsync(stranger, "/at-once"));
        _goOn.SetResult();
        Assert.Equal("first", await held);
        Assert.Equal("a,b,held", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task Who_may_not_wait_longer_is_told_423_and_the_next_one_gets_the_turn()
    {
        var (here, there) = (await ServerAsync(), await ServerAsync());
        var (held, browser) = await HoldAsync(here);
        using var timeouts = new InstrumentReader(here.Services, "redis_sessions.exclusive.timeouts");
        Assert.Equal("", await PostAsync(browser.Copy(), "/at-once", HttpStatusCode.Locked));
        Assert.Equal("", await PostAsync(On(there, browser), "/at-once", HttpStatusCode.Locked));
        Assert.Equal(1, timeouts.Read());
        _goOn.SetResult();
        await held;
        await Eventually.TrueAsync(async () => (await On(there, browser).SendAsync(HttpMethod.Post, "/at-once")).StatusCode == HttpStatusCode.OK, what: "the turn is free");
        await IsFreeAsync(await TurnKeyAsync(browser));
        Assert.Equal("first", await PostAsync(browser, "/at-once"));
    }

    [Fact]
    public async Task The_application_answers_who_waited_in_vain()
    {
        var site = await ServerAsync(options: o =>
        {
            o.Exclusive.Wait = TimeSpan.Zero;
            o.Exclusive.OnTimeout = async context =>
            {
                Assert.Equal(423, context.Response.StatusCode);
                context.Response.StatusCode = StatusCodes.Status409Conflict;
                await context.Response.WriteAsync("busy");
            };
        });
        var (held, browser) = await HoldAsync(site);
        Assert.Equal("busy", await PostAsync(browser.Copy(), "/empty", HttpStatusCode.Conflict));
        _goOn.SetResult();
        await held;
    }

    [Fact]
    public async Task A_session_can_make_no_more_requests_wait_than_are_allowed()
    {
        var site = await ServerAsync(options: o => o.Exclusive.MaxWaiting = 3);
        var (held, browser) = await HoldAsync(site);
        var waiting = Enumerable.Range(0, 10).Select(_ => browser.Copy().SendAsync(HttpMethod.Post, "/buy")).ToArray();
        await Eventually.TrueAsync(() => waiting.Count(request => request.IsCompleted) == 7);
        Assert.All(waiting.Where(request => request.IsCompleted), request => Assert.Equal(HttpStatusCode.Locked, request.Result.StatusCode));
        _goOn.SetResult();
        await held;
        await Task.WhenAll(waiting);
        Assert.Equal("3", await browser.GetAsync("/bought"));
    }

    [Fact]
    public async Task A_lease_is_renewed_for_as_long_as_the_request_lives()
    {
        var (here, there) = (await ServerAsync(), await ServerAsync());
        var (held, browser) = await HoldAsync(here);
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < ShortLease * 2;)
        {
            await PostAsync(On(there, browser), "/at-once", HttpStatusCode.Locked);
            await Task.Delay(20);
        }

        _goOn.SetResult();
        Assert.Equal("first", await held);
        Assert.Equal("first", await browser.GetAsync("/get/held"));
    }

    [Theory]
    [InlineData("/throws")]
    [InlineData("/aborts")]
    [InlineData("/empty")]
    [InlineData("/destroy")]
    public async Task However_a_request_ends_it_gives_its_turn_back(string path)
    {
        var site = await ServerAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var (copy, turn) = (browser.Copy(), await TurnKeyAsync(browser));
        await TryPostAsync(browser, path);
        await IsFreeAsync(turn);
        Assert.Equal("nobody", await PostAsync(copy, "/at-once"));
    }

    private static async Task TryPostAsync(Browser browser, string path)
    {
        try
        {
            (await browser.SendAsync(HttpMethod.Post, path)).Dispose();
        }
        catch (Exception exception) when (exception is InvalidOperationException or OperationCanceledException or HttpRequestException)
        {
            // The in-memory server hands the application's exception to the client.
        }
    }

    [Fact]
    public async Task A_client_that_goes_away_while_it_waits_waits_no_more_and_leaves_its_place()
    {
        var (here, there) = (await ServerAsync(), await ServerAsync());
        var (held, browser) = await HoldAsync(here);
        using var goAway = new CancellationTokenSource();
        using var client = new HttpClient(there.Server.CreateHandler()) { BaseAddress = new Uri("http://localhost") };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/buy");
        request.Headers.Add("Cookie", string.Join("; ", browser.Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        var waits = client.SendAsync(request, goAway.Token);
        var turn = await TurnKeyAsync(browser);
        await WaitsAsync(turn);
        await goAway.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        await IsFreeAsync(turn + ":next", "it has left its place");
        _goOn.SetResult();
        await held;
        Assert.Equal("0", await browser.GetAsync("/bought"));
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    [InlineData("inner")]
    public async Task A_page_that_is_executed_again_does_not_wait_for_itself(string how)
    {
        var site = await StartAsync(
            app =>
            {
                Map(app);
                app.MapPost("/fails", IResult (HttpContext context) =>
                {
                    context.Session.SetString("before", "1");
                    return how == "exception" ? throw new InvalidOperationException("On purpose.") : Results.NotFound();
                }).RequireExclusiveSession();
                app.Map("/error", (HttpContext context) =>
                {
                    context.Session.SetString("after", "1");
                    return string.Join(",", context.Session.Keys.Order());
                }).RequireExclusiveSession();
            },
            options: o => o.Exclusive.Wait = TimeSpan.FromSeconds(3),
            beforeSession: how == "inner" ? null : app => app.UseExceptionHandler("/error").UseStatusCodePagesWithReExecute("/error"),
            afterSession: how == "inner" ? app => app.UseStatusCodePagesWithReExecute("/error") : null);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var watch = Stopwatch.StartNew();
        Assert.Equal("a,after,before", await PostAsync(browser, "/fails", how == "exception" ? HttpStatusCode.InternalServerError : HttpStatusCode.NotFound));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(3), "It waited.");
        Assert.Equal("a,after,before", await browser.GetAsync("/keys"));
        await IsFreeAsync(await TurnKeyAsync(browser));
    }

    [Theory]
    [InlineData("regenerate", true)]
    [InlineData("regenerate", false)]
    [InlineData("destroy", true)]
    public async Task Who_waited_for_a_session_that_got_another_id_or_ended_finds_what_is_under_the_old_one_then(string how, bool hasBody)
    {
        var (here, there) = (await ServerAsync(), await ServerAsync());
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var second = On(there, browser);
        var turn = await TurnKeyAsync(browser);
        var ends = PostAsync(browser, $"/hold-and/{how}/{hasBody}");
        await Entered(how).Task;
        var waits = PostAsync(second, "/keys");
        await WaitsAsync(turn);
        _goOn.SetResult();
        await ends;
        Assert.Equal("", await waits);
        Assert.Equal(how == "regenerate" ? "a,held" : "", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task What_middleware_changed_before_the_turn_stays_on_top_of_what_others_changed_meanwhile()
    {
        var (here, there) = (await ServerAsync(), await ServerAsync(afterSession: app => app.Use(async (context, next) =>
        {
            if (context.Request.Path == "/keys" && HttpMethods.IsPost(context.Request.Method))
            {
                context.Session.SetString("mine", "1");
                context.Session.Remove("a");
            }

            await next(context);
        })));
        var (held, browser) = await HoldAsync(here);
        var waits = PostAsync(On(there, browser), "/keys");
        await WaitsAsync(await TurnKeyAsync(browser));
        await browser.Copy().GetAsync("/set/b/2");
        _goOn.SetResult();
        await held;
        Assert.Equal("b,held,mine", await waits);
        Assert.Equal("b,held,mine", await browser.GetAsync("/keys"));
    }

    [Theory]
    [InlineData("/hold/first", "first", false)]
    [InlineData("/hold/first", "first", true)]
    [InlineData("/hold-and/increment/true", "increment", false)]
    [InlineData("/hold-and/regenerate/true", "regenerate", false)]
    [InlineData("/hold-and/moved/true", "moved", false)]
    [InlineData("/hold-and/moved/false", "moved", false)]
    public async Task Who_lost_its_turn_to_another_writes_nothing(string how, string entered, bool isEncrypted)
    {
        Action<RedisSessionBuilder>? addOns = isEncrypted ? builder => builder.AddEncryption() : null;
        var (here, there) = (await ServerAsync(addOns: addOns), await ServerAsync(addOns: addOns));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var (id, database) = (await browser.GetAsync("/id"), await DatabaseAsync());
        var held = browser.SendAsync(HttpMethod.Post, how);
        await Entered(entered).Task;

        // As after a long pause of its server: the lease is over, and another has its turn.
        await database.KeyDeleteAsync(await TurnKeyAsync(browser));
        Assert.Equal("0", await PostAsync(On(there, browser), "/buy"));
        var version = await database.HashGetAsync(KeyOf(id), "@v");
        _goOn.SetResult();
        var failure = await Record.ExceptionAsync(async () => Assert.Equal(HttpStatusCode.InternalServerError, (await held).StatusCode));
        Assert.True(failure is null or ExclusiveSessionLostException, $"{failure}");
        Assert.Equal(version, await database.HashGetAsync(KeyOf(id), "@v"));
        Assert.Equal("a,bought", await browser.GetAsync("/keys"));
        Assert.Equal(id, await browser.GetAsync("/id"));
    }

    [Fact]
    public async Task Who_was_too_slow_but_lost_nothing_goes_on()
    {
        var site = await ServerAsync();
        var (held, browser) = await HoldAsync(site);

        // The lease is over, and Redis remembers for a minute more whose it was.
        Assert.True(await (await DatabaseAsync()).KeyExpireAsync(await TurnKeyAsync(browser), TimeSpan.FromSeconds(50)));
        _goOn.SetResult();
        Assert.Equal("first", await held);
        Assert.Equal("first", await browser.GetAsync("/get/held"));
    }
}

public sealed class ExclusiveOnGarnet(InProcessGarnet server) : ExclusiveTests(server);

public sealed class ExclusiveOnRedis(LocalRedis server) : ExclusiveTests(server);

public sealed class ExclusiveOnCluster(LocalCluster server) : ExclusiveTests(server);

public sealed class ExclusiveInContainer(ContainerRedis server) : ExclusiveTests(server);

public sealed class ExclusiveOnGivenServer(GivenRedis server) : ExclusiveTests(server);
