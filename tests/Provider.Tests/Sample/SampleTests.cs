using Microsoft.Playwright;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sample;

/// <summary>A visitor's way through the sample, in Chromium.</summary>
[Collection(Alone.Name)]
public sealed class SampleTests : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium) && RedisServer.OnCI)
        {
            Assert.Fail($"CI must have {Chromium}.");
        }

        Assert.SkipUnless(File.Exists(Chromium), $"There is no {Chromium}.");
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
    }

    private async Task<IPage> OpenAsync(SampleSite site, string path = "/", IBrowserContext? context = null)
    {
        context ??= await _browser!.NewContextAsync(new BrowserNewContextOptions { BaseURL = site.Address.ToString() });
        var page = await context.NewPageAsync();
        await page.GotoAsync(path);
        return page;
    }

    [Fact]
    public async Task The_cart_survives_sign_in_preferences_are_kept_and_sign_out_ends_the_session()
    {
        using var site = await SampleSite.StartAsync();
        Assert.Contains("in-process Garnet", site.Output, StringComparison.Ordinal);
        var page = await OpenAsync(site);
        await page.ClickAsync("#add-tea");
        await page.GotoAsync("/");
        await page.ClickAsync("#add-tea");
        Assert.Contains("Cart (2)", await page.TextContentAsync("nav"), StringComparison.Ordinal);

        await page.GotoAsync("/Session");
        var anonymousId = await page.TextContentAsync("#session-id");
        await page.GotoAsync("/Profile");
        await page.FillAsync("#user", "ada");
        await page.FillAsync("#password", "wrong");
        await page.ClickAsync("#sign-in");
        Assert.Contains("do not match", await page.TextContentAsync("main"), StringComparison.Ordinal);
        await page.FillAsync("#user", "ada");
        await page.FillAsync("#password", "lovelace");
        await page.ClickAsync("#sign-in");
        Assert.Equal("Profile of ada", await page.TextContentAsync("h1"));
        Assert.Contains("Cart (2)", await page.TextContentAsync("nav"), StringComparison.Ordinal);

        await page.SelectOptionAsync("#Theme", "dark");
        await page.ClickAsync("#save");
        Assert.Contains("are saved", await page.TextContentAsync("[role=status]"), StringComparison.Ordinal);
        Assert.Equal("dark", await page.GetAttributeAsync("html", "data-theme"));

        await page.GotoAsync("/Session");
        var signedInId = await page.TextContentAsync("#session-id");
        Assert.NotEqual(anonymousId, signedInId);
        await page.ClickAsync("#sign-out");
        await page.GotoAsync("/Session");
        Assert.NotEqual(signedInId, await page.Locator("#session-id").CountAsync() == 0 ? null : await page.TextContentAsync("#session-id"));
        Assert.Contains("Cart (0)", await page.TextContentAsync("nav"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_session_page_shows_regenerates_and_destroys()
    {
        using var site = await SampleSite.StartAsync();
        var page = await OpenAsync(site);
        await page.ClickAsync("#add-tea");
        await page.GotoAsync("/Session");
        var id = await page.TextContentAsync("#session-id");
        Assert.Contains("cart:tea", await page.TextContentAsync("table"), StringComparison.Ordinal);
        await page.ClickAsync("#regenerate");
        var regenerated = await page.TextContentAsync("#session-id");
        Assert.NotEqual(id, regenerated);
        Assert.Contains("cart:tea", await page.TextContentAsync("table"), StringComparison.Ordinal);
        await page.ClickAsync("#destroy");
        Assert.Contains("session is gone", await page.TextContentAsync("[role=status]"), StringComparison.Ordinal);
        Assert.DoesNotContain("cart:tea", await page.TextContentAsync("main"), StringComparison.Ordinal);
        if (Environment.GetEnvironmentVariable("REDIS_SESSIONS_SCREENSHOTS") is { } folder)
        {
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, "session.png") });
            await page.GotoAsync("/");
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, "home.png") });
        }
    }

    [Fact]
    public async Task A_device_is_signed_out_from_another()
    {
        using var site = await SampleSite.StartAsync();
        var (here, there) = (await SignInAsync(site), await SignInAsync(site));
        await here.ClickAsync("text=Devices");
        Assert.Equal(2, await here.Locator("tbody tr").CountAsync());
        Assert.Equal(1, await here.Locator("tbody tr", new PageLocatorOptions { HasText = "(this one)" }).CountAsync());
        Assert.Contains("Chrome on Linux", await here.TextContentAsync("tbody"), StringComparison.Ordinal);
        if (Environment.GetEnvironmentVariable("REDIS_SESSIONS_SCREENSHOTS") is { } folder)
        {
            await here.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, "devices.png") });
        }

        await here.ClickAsync("#revoke-others");
        Assert.Contains("1 other device is signed out", await here.TextContentAsync("[role=status]"), StringComparison.Ordinal);
        await there.GotoAsync("/Profile");
        Assert.Equal("Sign in", await there.TextContentAsync("h1"));
        await here.GotoAsync("/Profile");
        Assert.Equal("Profile of ada", await here.TextContentAsync("h1"));
        Assert.Equal("Healthy", await new HttpClient().GetStringAsync(new Uri(site.Address, "health")));

    }

    private async Task<IPage> SignInAsync(SampleSite site)
    {
        var page = await OpenAsync(site, "/Profile");
        await page.FillAsync("#user", "ada");
        await page.FillAsync("#password", "lovelace");
        await page.ClickAsync("#sign-in");
        return page;
    }

    [Fact]
    public async Task The_statistics_show_what_happened()
    {
        using var site = await SampleSite.StartAsync();
        var page = await SignInAsync(site);
        await page.GotoAsync("/");
        await page.ClickAsync("#add-tea");
        await Eventually.TrueAsync(
            async () =>
            {
                await page.ClickAsync("text=Statistics");
                return (await page.TextContentAsync("#counts"))!.Contains("added to cart", StringComparison.Ordinal);
            },
            what: "the event is counted");
        Assert.Equal(["added to cart", "signed in", "created"], await page.Locator("#events tbody tr td:nth-child(2)").AllTextContentsAsync());
        Assert.Contains("signed in", await page.TextContentAsync("#counts"), StringComparison.Ordinal);
        Assert.Equal("1", await page.Locator("#devices tr", new PageLocatorOptions { HasText = "Chrome on Linux" }).Locator("td.number").TextContentAsync());
        if (Environment.GetEnvironmentVariable("REDIS_SESSIONS_SCREENSHOTS") is { } folder)
        {
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, "statistics.png"), FullPage = true });
        }
    }

    [Fact]
    public async Task It_uses_the_redis_of_its_configuration()
    {
        RedisServer.SkipUnlessInstalled();
        using var redis = await RedisProcess.StartAsync();
        using var site = await SampleSite.StartAsync(redis.Address);
        var page = await OpenAsync(site);
        await page.ClickAsync("#add-tea");
        await page.GotoAsync("/Session");
        var id = await page.TextContentAsync("#session-id");
        await using var admin = await ConnectionMultiplexer.ConnectAsync(redis.Address);
        Assert.True(await admin.GetDatabase().KeyExistsAsync($"session:{{{id}}}"));
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }
}
