using Microsoft.Playwright;

namespace RedisSessions.Tests.Sample;

/// <summary>The sample as it is started first, over its own Garnet, and a Chromium, for all tests of a class.</summary>
public sealed class SampleInChromium : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";
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

        var starting = SampleSite.StartAsync();
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

    /// <summary>A browser of its own, with nothing of another's.</summary>
    public Task<IBrowserContext> NewContextAsync(Uri? address = null, ColorScheme scheme = ColorScheme.Light, int width = 1180) => _browser!.NewContextAsync(new BrowserNewContextOptions
    {
        BaseURL = (address ?? Site.Address).ToString(),
        ColorScheme = scheme,
        ReducedMotion = ReducedMotion.Reduce,
        ViewportSize = new ViewportSize { Width = width, Height = 760 },
    });

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

    public async Task<IPage> SignedInAsync(string path = "/Devices", string user = "ada", string password = "lovelace", IBrowserContext? context = null)
    {
        var page = await OpenAsync("/Account/SignIn", context);
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
    }
}
