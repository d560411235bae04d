using System.Net;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>A turn is given back however a request ends on a real server, which says of every one when it is over.</summary>
public sealed class ExclusiveOnKestrelTests(InProcessGarnet server) : IAsyncLifetime
{
    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Fleet _fleet = new();
    private KestrelSite _site = null!;

    public async ValueTask InitializeAsync()
    {
        _site = await KestrelSite.StartAsync(
            server.Address + RedisServer.Patient,
            app =>
            {
                Pages.Map(app);
                var exclusive = app.MapGroup("").RequireExclusiveSession();
                exclusive.MapGet("/body", (HttpContext context) =>
                {
                    context.Session.SetString("b", "1");
                    return new string('x', 100_000);
                });
                exclusive.MapGet("/without-body", (HttpContext context) => context.Session.SetString("b", "1"));
                exclusive.MapGet("/late", (HttpContext context) => context.Response.OnStarting(() =>
                {
                    context.Session.SetString("b", "1");
                    return Task.CompletedTask;
                }));
                exclusive.MapGet("/new-id", (HttpContext context) => context.Session.RegenerateIdAsync());
                exclusive.MapGet("/throws", string (HttpContext context) => throw new InvalidOperationException("On purpose."));
                exclusive.MapGet("/throws-with-new-id", async Task<string> (HttpContext context) =>
                {
                    await context.Session.RegenerateIdAsync();
                    throw new InvalidOperationException("On purpose.");
                });
                exclusive.MapGet("/throws-late", async (HttpContext context) =>
                {
                    await context.Response.WriteAsync("begun");
                    throw new InvalidOperationException("On purpose.");
                });
                exclusive.MapGet("/aborts", (HttpContext context) => context.Abort());
                exclusive.MapGet("/hold", async (HttpContext context) =>
                {
                    _entered.TrySetResult();
                    await _goOn.Task;
                });
            },
            _fleet);
    }

    private async Task<(Browser Browser, Func<Task> FreeAsync)> BrowserAsync()
    {
        var browser = _site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        RedisKey turn = $"{_fleet.Prefix}turn:{{{await browser.GetAsync("/id")}}}";
        var database = (await server.AdminAsync()).GetDatabase();

        // Sooner than the lease, which would end it, too.
        return (browser, () => Eventually.TrueAsync(async () => !await database.KeyExistsAsync(turn), TimeSpan.FromSeconds(3), "the turn is given back"));
    }

    [Theory]
    [InlineData("/body")]
    [InlineData("/without-body")]
    [InlineData("/late")]
    [InlineData("/new-id")]
    [InlineData("/throws")]
    [InlineData("/throws-with-new-id")]
    [InlineData("/throws-late")]
    [InlineData("/aborts")]
    public async Task However_a_request_ends_it_gives_its_turn_back(string path)
    {
        var (browser, freeAsync) = await BrowserAsync();
        await browser.TryAsync(path);
        await freeAsync();
        Assert.Equal("a", (await browser.GetAsync("/keys"))[..1]);
    }

    [Fact]
    public async Task A_client_that_goes_away_gives_back_the_turn_that_it_has_and_leaves_the_line_that_it_stands_in()
    {
        var (browser, freeAsync) = await BrowserAsync();
        using var client = new HttpClient(_site.NewConnection(maxConnections: 2)) { BaseAddress = new Uri("http://localhost") };
        client.DefaultRequestHeaders.Add("Cookie", string.Join("; ", browser.Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        using var goAway = new CancellationTokenSource();
        var holds = client.GetAsync("/hold", goAway.Token);
        await _entered.Task;
        var waits = client.GetAsync("/without-body", goAway.Token);
        await goAway.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => holds);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        _goOn.SetResult();
        await freeAsync();
        Assert.Equal((HttpStatusCode.OK, ""), await browser.TryAsync("/without-body"));
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
    }

    public async ValueTask DisposeAsync()
    {
        await _site.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
