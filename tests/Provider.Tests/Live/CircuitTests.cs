using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Playwright;
using RedisSessions.Tests.Sample;

namespace RedisSessions.Tests.Live;

/// <summary>Interactive Blazor Server circuits in Chromium, over two servers.</summary>
public sealed class CircuitTests(SampleInChromium sample, LocalRedis redis) : InChromiumTest(sample), IAsyncLifetime
{
    private readonly Fleet _fleet = new();
    private readonly ConcurrentQueue<Recorder.Connection> _connections = new();
    private LiveSite _here = null!;
    private LiveSite _there = null!;
    private RedisProxy _proxy = null!;

    public async ValueTask InitializeAsync()
    {
        redis.SkipIfMissing();
        _proxy = new RedisProxy(redis.Address);
        (_here, _there) = (await StartAsync(redis.Address), await StartAsync(_proxy.Address));
    }

    private async Task<LiveSite> StartAsync(string address)
    {
        var site = await LiveSite.StartAsync(
            address + RedisServer.Patient,
            _fleet,
            services: services =>
            {
                services.AddRazorComponents().AddInteractiveServerComponents();
                services.AddSignalR(options => options.AddFilter(new Recorder(_connections)));
            },
            map: app =>
            {
                app.UseAntiforgery();
                app.MapGet("/_framework/blazor.web.js", () => Results.File(Path.Combine(AppContext.BaseDirectory, "blazor.web.js"), "text/javascript"));
                app.MapRazorComponents<CircuitApp>().AddInteractiveServerRenderMode();
            });
        await site.HearsAsync();
        return site;
    }

    private async Task<(IPage Page, string Id)> OpenAsync(string user = "ada")
    {
        var page = await Sample.OpenAsync($"/login/{user}", await Sample.NewContextAsync(_there.Address, watched: false));
        var id = await TextAsync(page, "body");
        await page.GotoAsync("/set/a/from-a-request");
        await page.GotoAsync("/circuit");
        await ShowsAsync(page, "#mode", "interactive");
        await page.ClickAsync("#add");
        await ShowsAsync(page, "#count", "1");
        return (page, id);
    }

    [Fact]
    public async Task A_revoked_session_closes_its_circuit_on_another_server_and_it_cannot_be_reconnected()
    {
        var (page, id) = await OpenAsync();
        using var open = new InstrumentReader(_there.Services, "redis_sessions.live.connections");
        Assert.Equal(1, open.Read("circuit"));
        Assert.Equal(RevokeResult.Revoked, await _here.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id));
        await Eventually.TrueAsync(() => open.Read("circuit") == 0, what: "the circuit is closed");

        // The page finds that it cannot come back, and asks for itself anew: for who has no session.
        await ShowsAsync(page, "#rendered", "none");
        await ShowsAsync(page, "#mode", "interactive");
        await ShowsAsync(page, "#count", "0");
        Assert.Equal(0, open.Read("circuit"));
    }

    [Fact]
    public async Task A_circuit_reads_and_changes_the_session_and_follows_its_id()
    {
        var (page, _) = await OpenAsync();
        await ShowsAsync(page, "#rendered", "from-a-request");
        await page.ClickAsync("#write");
        await ShowsAsync(page, "#value", "written");
        var other = await Sample.OpenAsync("/get/a", page.Context);
        await ShowsAsync(other, "body", "from the circuit");
        await other.GotoAsync("/regenerate");
        await other.GotoAsync("/set/a/afterwards");
        await page.ClickAsync("#read");
        await ShowsAsync(page, "#value", "afterwards");

        // The same circuit comes back over another connection, whose cookie has the other id.
        await BreakAsync();
        await AddsAsync(page, 2);
        await page.ClickAsync("#read");
        await ShowsAsync(page, "#value", "afterwards");
        using var open = new InstrumentReader(_there.Services, "redis_sessions.live.connections");
        Assert.Equal(1, open.Read("circuit"));
        await other.GotoAsync("/destroy");
        await ShowsAsync(page, "#rendered", "none");
        Assert.Equal(0, open.Read("circuit"));
    }

    [Fact]
    public async Task A_circuit_whose_session_ended_while_its_browser_was_away_is_not_given_back_to_the_next_session()
    {
        var (page, id) = await OpenAsync();
        var mayConnect = new TaskCompletionSource();
        await page.RouteAsync("**/_blazor/negotiate*", async route =>
        {
            await mayConnect.Task;
            await route.ContinueAsync();
        });
        await BreakAsync();
        Assert.True(await _here.Site.Sessions.DestroyAsync(id));
        using var open = new InstrumentReader(_there.Services, "redis_sessions.live.connections");
        await Eventually.TrueAsync(() => open.Read("circuit") == 0, what: "the circuit is over");

        // Under the same id, and another's.
        var other = await Sample.OpenAsync("/set/b/1", page.Context);
        await other.GotoAsync("/id");
        Assert.Equal(id, await TextAsync(other, "body"));
        mayConnect.SetResult();
        await ShowsAsync(page, "#rendered", "none");
        await ShowsAsync(page, "#count", "0");
    }

    /// <summary>
    /// How long it takes: see <see cref="LiveFaultTests"/>.
    /// </summary>
    [Fact]
    public async Task Revoking_closes_a_circuit_on_another_server_again_and_again()
    {
        var (tries, limit) = Environment.GetEnvironmentVariable("REDIS_SESSIONS_LIVE_TRIES") is { } asked ? (int.Parse(asked, CultureInfo.InvariantCulture), TimeSpan.FromSeconds(1)) : (1, TimeSpan.FromSeconds(30));
        var times = new List<double>();
        for (var i = 0; i < tries; i++)
        {
            var (page, id) = await OpenAsync();
            if (i % 2 == 1)
            {
                _proxy.Cut();
            }

            var watch = Stopwatch.StartNew();
            Assert.Equal(RevokeResult.Revoked, await _here.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id));
            await _connections.Last().Aborted.WaitAsync(limit);
            times.Add(watch.Elapsed.TotalMilliseconds);
            await page.CloseAsync();
        }

        times.Sort();
        TestContext.Current.TestOutputHelper!.WriteLine($"{tries} circuits closed; median {times[tries / 2]:F0} ms, slowest {times[^1]:F0} ms");
    }

    /// <summary>The server loses the circuit's connection, as a network does.</summary>
    private async Task BreakAsync()
    {
        var connection = _connections.Last();
        connection.Context.Features.Get<IConnectionLifetimeFeature>()!.Abort();
        await connection.Aborted.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static Task AddsAsync(IPage page, int count) => Eventually.TrueAsync(
        async () =>
        {
            if (int.Parse(await TextAsync(page, "#count"), CultureInfo.InvariantCulture) >= count)
            {
                return true;
            }

            // What is clicked while the page is not connected is lost.
            await page.Locator("#add").DispatchEventAsync("click");
            await Task.Delay(100);
            return false;
        },
        what: $"the circuit counts to {count}");

    /// <summary>Remembers the connections of circuits.</summary>
    private sealed class Recorder(ConcurrentQueue<Recorder.Connection> connections) : IHubFilter
    {
        public Task OnConnectedAsync(HubLifetimeContext context, Func<HubLifetimeContext, Task> next)
        {
            var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            context.Context.ConnectionAborted.Register(aborted.SetResult);
            connections.Enqueue(new Connection(context.Context, aborted.Task));
            return next(context);
        }

        public sealed record Connection(HubCallerContext Context, Task Aborted);
    }

    async ValueTask IAsyncDisposable.DisposeAsync()
    {
        await base.DisposeAsync();
        await _here.DisposeAsync();
        await _there.DisposeAsync();
        _proxy.Dispose();
    }
}
