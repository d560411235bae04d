using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace RedisSessions.Tests.Sample;

/// <summary>The sample over a Garnet in which the shop has a past, and a Chromium, for all tests that look at pages.</summary>
public sealed class SampleInChromium : IAsyncLifetime
{
    public const int DesktopWidth = 1180;
    private const string Chromium = "/usr/bin/chromium";
    private readonly List<IBrowserContext> _contexts = [];
    private readonly ConcurrentQueue<string> _problems = new();
    private EmbeddedGarnet? _redis;
    private IPlaywright? _playwright;
    private IBrowser? _browser;
    private SampleSite? _site;

    public SampleSite Site => _site!;

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium))
        {
            return;
        }

        _redis = new EmbeddedGarnet();
        await ShopHistory.WriteAsync(_redis.Address);
        var starting = SampleSite.StartAsync(_redis.Address);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Chromium,
            Args =
            [
                "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync",
            ],
        });
        _site = await starting;
    }

    public static void SkipIfMissing()
    {
        if (!File.Exists(Chromium) && RedisServer.OnCI)
        {
            Assert.Fail($"CI must have {Chromium}.");
        }

        Assert.SkipUnless(File.Exists(Chromium), $"There is no {Chromium}.");
    }

    /// <summary>A browser of its own, with nothing of another's, until the test ends.</summary>
    /// <param name="address">The site; null for the one that all share.</param>
    /// <param name="watched">False where requests are meant to fail.</param>
    public async Task<IBrowserContext> NewContextAsync(Uri? address = null, bool watched = true)
    {
        address ??= Site.Address;
        var context = await _browser!.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = address.ToString(),
            ColorScheme = ColorScheme.Light,
            ReducedMotion = ReducedMotion.Reduce,
            ViewportSize = new ViewportSize { Width = DesktopWidth, Height = 760 },
        });
        _contexts.Add(context);
        if (watched)
        {
            Watch(context, address);
        }

        return context;
    }

    private void Watch(IBrowserContext context, Uri address)
    {
        // That a resource did not load is seen below, with its address.
        context.Console += (_, message) => Note(message.Type is "error" or "warning" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal), $"the console says: {message.Text}");
        context.WebError += (_, error) => Note(true, $"a script failed: {error.Error}");
        context.Request += (_, request) => Note(new Uri(request.Url) is { Scheme: "http" or "https" or "ws" or "wss" } url && url.Host != address.Host, $"another host is asked: {request.Url}");

        // What a test opens may be a page that says no; what a page opens may not.
        context.Response += (_, response) => Note(response.Status >= 400 && response.Request.ResourceType != "document", $"{response.Status} for {response.Url}");
        context.RequestFailed += (_, request) => Note(request.Failure != "net::ERR_ABORTED", $"{request.Failure} for {request.Url}");

        void Note(bool isProblem, string problem)
        {
            if (isProblem)
            {
                _problems.Enqueue(problem);
            }
        }
    }

    /// <returns>What was wrong with the pages that were looked at.</returns>
    public async Task<string[]> CloseContextsAsync()
    {
        foreach (var context in _contexts)
        {
            await context.DisposeAsync();
        }

        _contexts.Clear();
        var problems = _problems.ToArray();
        _problems.Clear();
        return problems;
    }

    public async Task<IPage> OpenAsync(string path, IBrowserContext? context = null)
    {
        context ??= await NewContextAsync();
        var page = await context.NewPageAsync();
        await page.GotoAsync(path);
        return page;
    }

    /// <summary>Both steps, from the page that asked for it.</summary>
    public static async Task SignInAsync(IPage page, string user = "ada", string password = "lovelace")
    {
        await page.FillAsync("#user", user);
        await page.FillAsync("#password", password);
        await page.ClickAsync("#sign-in");
        await page.FillAsync("#code", (await page.TextContentAsync("#demo-code"))!);
        await page.ClickAsync("#confirm-code");
        await page.WaitForSelectorAsync("#sign-out");
    }

    public async Task<IPage> SignedInAsync(string path = "/Devices", string user = "ada", string password = "lovelace")
    {
        var page = await OpenAsync("/Account/SignIn");
        await SignInAsync(page, user, password);
        await page.GotoAsync(path);
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
        _site?.Dispose();
        _redis?.Dispose();
    }
}
