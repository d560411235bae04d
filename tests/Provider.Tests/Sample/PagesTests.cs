using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace RedisSessions.Tests.Sample;

/// <summary>
/// Every page of the sample, and of the dashboard in it: in light and in dark, on a desk and on a phone, by eye, by ear and by keyboard.
/// With <c>REDIS_SESSIONS_SCREENSHOTS=FOLDER</c> it writes the pictures of docs/images.
/// </summary>
public sealed class PagesTests(SampleInChromium sample) : InChromiumTest(sample)
{
    // 320 pixels: the width at which a page must not scroll sideways (WCAG 1.4.10).
    private const int PhoneWidth = 320;

    // What stops the Tab key, and what does so several times.
    private const string Focusable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
    private const int StopsInADate = 4;

    private static readonly string? Pictures = Environment.GetEnvironmentVariable("REDIS_SESSIONS_SCREENSHOTS");

    private readonly List<string> _faults = [];

    [Fact]
    public async Task Pages_of_whoever_comes_by()
    {
        var page = await Sample.OpenAsync("/");
        await CheckAsync(page, "Tea, and what it is drunk from", "shop");
        foreach (var (path, title) in new[] { ("/Cart", "Your cart"), ("/Compare", "Five at once"), ("/Session", "Your session"), ("/Security", "Security"), ("/Account/SignIn?ended=revoked", "Sign in") })
        {
            await page.GotoAsync(path);
            await CheckAsync(page, title);
        }

        await page.FillAsync("#user", "grace");
        await page.FillAsync("#password", "wrong");
        await page.ClickAsync("#sign-in");
        await CheckAsync(page, "Sign in");
        await page.FillAsync("#user", "grace");
        await page.FillAsync("#password", "hopper");
        await page.ClickAsync("#sign-in");
        await CheckAsync(page, "And the code");
        await page.FillAsync("#code", (await page.TextContentAsync("#demo-code"))!);
        await page.ClickAsync("#confirm-code");
        Assert.Equal(403, (await page.GotoAsync("/admin/sessions"))!.Status);
        await CheckAsync(page, "Not for you");
        Assert.Equal(404, (await page.GotoAsync("/nonsense"))!.Status);
        await CheckAsync(page, "Nothing here");
        await page.ClickAsync("#sign-out");
        Assert.True(_faults.Count == 0, string.Join('\n', _faults));
    }

    [Fact]
    public async Task Pages_of_who_runs_the_shop()
    {
        using var phone = new SampleVisitor(Sample.Site.Address, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "127.44.7.21");
        using var desk = new SampleVisitor(Sample.Site.Address, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "127.81.2.9");
        await Task.WhenAll(phone.SignInAsync("ada", "lovelace"), desk.SignInAsync("ada", "lovelace"));
        var page = await Sample.SignedInAsync("/");
        await page.ClickAsync("#add-all");
        await ShowsAsync(page, "#cart-count", "5");
        await CheckAsync(page, "Tea, and what it is drunk from");
        await page.GotoAsync("/Cart");
        await CheckAsync(page, "Your cart");
        await page.GotoAsync("/Compare");
        await page.ClickAsync("#add-five");
        await page.WaitForSelectorAsync("#add-five:enabled");
        await CheckAsync(page, "Five at once", "compare");
        await page.GotoAsync("/Devices");
        await page.WaitForSelectorAsync("#devices[aria-busy=false]");
        Assert.InRange(await page.Locator(".device").CountAsync(), 3, 100);
        await CheckAsync(page, "Your devices", "devices");
        await page.GotoAsync("/Preferences");
        await CheckAsync(page, "Preferences of ada");
        await page.GotoAsync("/Session");
        await page.ReloadAsync();
        var id = await TextAsync(page, "#session-id");
        await CheckAsync(page, "Your session", "session");
        await page.GotoAsync("/Security");
        await page.ClickAsync("#steal");
        await CheckAsync(page, "Security");

        await page.GotoAsync("/admin/sessions");
        await ShowsAsync(page, "#devices", "Chrome on Linux");
        await CheckAsync(page, "Overview", "dashboard");
        foreach (var (path, title, picture) in new[] { ("users", "Users", null), ("user?id=ada", "Sessions of ada", "user"), ($"session?id={id}&user=ada", "A session", null), ("events", "Security events", null), ("session?id=1", "Not found", null) })
        {
            await page.GotoAsync($"/admin/sessions/{path}");
            await CheckAsync(page, title, picture);
        }

        Assert.True(_faults.Count == 0, string.Join('\n', _faults));
    }

    private async Task CheckAsync(IPage page, string title, string? picture = null)
    {
        Assert.Equal(title, await TextAsync(page, "h1"));
        if (Pictures is not null && picture is not null)
        {
            await TakePictureAsync(page, picture, ColorScheme.Light);
            await TakePictureAsync(page, picture, ColorScheme.Dark);
        }

        await HearAsync(page, ColorScheme.Light, SampleInChromium.DesktopWidth);
        await TabThroughAsync(page);
        await HearAsync(page, ColorScheme.Dark, PhoneWidth);
        await LookAsync(page, ColorScheme.Light, SampleInChromium.DesktopWidth);
    }

    private static async Task LookAsync(IPage page, ColorScheme scheme, int width)
    {
        await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = scheme });
        await page.SetViewportSizeAsync(width, 760);
    }

    private static async Task TakePictureAsync(IPage page, string picture, ColorScheme scheme)
    {
        await LookAsync(page, scheme, SampleInChromium.DesktopWidth);
        var path = Path.Combine(Pictures!, $"{picture}-{scheme.ToString().ToLowerInvariant()}.png");
        await page.ScreenshotAsync(new PageScreenshotOptions { Path = path, FullPage = true, Caret = ScreenshotCaret.Hide });
    }

    /// <summary>What axe finds, and whether the page is wider than the window.</summary>
    private async Task HearAsync(IPage page, ColorScheme scheme, int width)
    {
        await LookAsync(page, scheme, width);
        var where = $"{new Uri(page.Url).PathAndQuery}, {scheme}, {width} pixels";
        var overflow = await page.EvaluateAsync<int>("() => document.documentElement.scrollWidth - document.documentElement.clientWidth");
        if (overflow > 0)
        {
            _faults.Add($"{where}: {overflow} pixels too wide");
        }

#pragma warning disable CS0618 // The other one is for frames, of which there are none, and opens a page of its own each time, which takes three times as long.
        var result = await page.Locator("html").RunAxeLegacy(new AxeRunOptions
        {
            ResultTypes = [ResultType.Violations],
            Rules = new Dictionary<string, RuleOptions> { ["label-content-name-mismatch"] = new() { Enabled = true }, ["target-size"] = new() { Enabled = true } },
        });
#pragma warning restore CS0618
        _faults.AddRange(result.Violations.Select(violation => $"{where}: {violation.Impact} {violation.Id}: {string.Join(" | ", violation.Nodes.Select(node => node.Html))}"));
    }

    /// <summary>The Tab key reaches everything that can be clicked, in the order of the page, and one sees where it is.</summary>
    private async Task TabThroughAsync(IPage page)
    {
        var stops = await page.EvaluateAsync<int>(
            """
            selector => {
              const all = [...document.querySelectorAll(selector)].filter(e => !e.disabled && e.checkVisibility());
              window.tabbed = { all, seen: [] };
              document.addEventListener('focusin', e => {
                if (all.includes(e.target)) window.tabbed.seen.push({ i: all.indexOf(e.target), shown: getComputedStyle(e.target).outlineStyle !== 'none' });
              });
              return all.length + FIELDS * all.filter(e => e.type === 'date').length;
            }
            """.Replace("FIELDS", $"{StopsInADate}", StringComparison.Ordinal), Focusable);

        // Where something has the focus to begin with, past the end and around to it.
        for (var i = 0; i < stops + 2; i++)
        {
            await page.Keyboard.PressAsync("Tab");
        }

        var faults = await page.EvaluateAsync<string[]>(
            """
            () => {
              const { all, seen } = window.tabbed;
              const wraps = seen.filter((s, n) => n > 0 && s.i < seen[n - 1].i).length;
              return [
                ...all.filter((e, i) => !seen.some(s => s.i === i)).map(e => `not reached: ${e.outerHTML}`),
                ...seen.filter(s => !s.shown).map(s => `focus not seen: ${all[s.i].outerHTML}`),
                ...(wraps > 1 ? ['out of order'] : []),
              ];
            }
            """);
        _faults.AddRange(faults.Select(fault => $"{new Uri(page.Url).PathAndQuery}: {fault}"));
    }

    /// <summary>From an empty cart to another device's end, and no mouse.</summary>
    [Fact]
    public async Task All_of_it_is_done_by_keyboard()
    {
        using var other = new SampleVisitor(Sample.Site.Address);
        await other.SignInAsync("grace", "hopper");
        var page = await Sample.OpenAsync("/");
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal("To the content", await TextAsync(page, ":focus"));
        await page.Keyboard.PressAsync("Enter");
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal("add-tea", await page.GetAttributeAsync(":focus", "id"));
        await page.Keyboard.PressAsync("Space");
        await ShowsAsync(page, "#cart-count", "1");

        await page.GotoAsync("/Devices");
        Assert.Equal("user", await page.GetAttributeAsync(":focus", "id"));
        await page.Keyboard.TypeAsync("grace");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.TypeAsync("hopper");
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync("#code:focus");
        await page.Keyboard.TypeAsync(await TextAsync(page, "#demo-code"));
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync(".device button");
        await TabToAsync(page, ".device button");
        await page.Keyboard.PressAsync("Space");
        await ShowsAsync(page, "#devices-status", "is signed out");
        Assert.Equal(System.Net.HttpStatusCode.Redirect, await other.StatusAsync("/Preferences"));
        await TabToAsync(page, "#sign-out");
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync("text=Sign in");
    }

    private static async Task TabToAsync(IPage page, string selector)
    {
        for (var tabs = 0; await page.Locator($"{selector}:focus").CountAsync() == 0; tabs++)
        {
            Assert.InRange(tabs, 0, 60);
            await page.Keyboard.PressAsync("Tab");
        }
    }
}
