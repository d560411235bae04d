using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace RedisSessions.Tests.Sample;

/// <summary>Every page of the sample and of the dashboard, as it looks and for who cannot see it.</summary>
[Collection(Alone.Name)]
public sealed class PagesTests : IClassFixture<SampleInChromium>
{
    private static readonly (string Name, string Path)[] Pages =
    [
        ("shop", "/"), ("cart", "/Cart"), ("compare", "/Compare"), ("devices", "/Devices"), ("preferences", "/Preferences"), ("session", "/Session"),
        ("security", "/Security"), ("dashboard", "/admin/sessions"), ("dashboard-users", "/admin/sessions/users"),
        ("dashboard-user", "/admin/sessions/user?id=ada"), ("dashboard-events", "/admin/sessions/events"),
    ];

    private readonly SampleInChromium _sample;

    public PagesTests(SampleInChromium sample)
    {
        SampleInChromium.SkipIfMissing();
        _sample = sample;
    }

    /// <summary>
    /// No serious finding of axe, no error on the console, no request to another host, nothing wider than a phone. Writes what docs/images
    /// shows to the folder that REDIS_SESSIONS_SCREENSHOTS names.
    /// </summary>
    [Fact]
    public async Task Every_page_is_sound()
    {
        var folder = Environment.GetEnvironmentVariable("REDIS_SESSIONS_SCREENSHOTS");
        var context = await _sample.NewContextAsync();
        var wrong = new List<string>();
        var page = await context.NewPageAsync();
        Watch(page, wrong);
        foreach (var path in new[] { "/", "/Account/SignIn", "/Session", "/Cart" })
        {
            await page.GotoAsync(path);
            await ExamineAsync(page, path, wrong);
        }

        await page.GotoAsync("/");
        await page.ClickAsync("#add-all");
        await page.WaitForSelectorAsync("#added:has-text('added')");
        await page.GotoAsync("/Account/SignIn");
        await page.FillAsync("#user", "ada");
        await page.FillAsync("#password", "lovelace");
        await page.ClickAsync("#sign-in");
        await ExamineAsync(page, "/Account/Code", wrong);
        await page.FillAsync("#code", (await page.TextContentAsync("#demo-code"))!);
        await page.ClickAsync("#confirm-code");
        await page.GotoAsync("/Security");
        await page.ClickAsync("#steal");
        foreach (var (name, path) in Pages)
        {
            await page.GotoAsync(path, new PageGotoOptions { WaitUntil = WaitUntilState.Load });
            if (name == "devices")
            {
                await page.WaitForSelectorAsync(".device");
            }

            if (name == "compare")
            {
                await page.ClickAsync("#add-five");
                await page.WaitForSelectorAsync("#add-five:enabled");
            }

            await ExamineAsync(page, path, wrong);
            if (folder is not null)
            {
                Directory.CreateDirectory(folder);
                foreach (var scheme in new[] { ColorScheme.Light, ColorScheme.Dark })
                {
                    await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = scheme });
                    await page.ScreenshotAsync(new PageScreenshotOptions
                    {
                        Path = Path.Combine(folder, $"{name}-{(scheme == ColorScheme.Light ? "light" : "dark")}.png"),
                        FullPage = name == "dashboard",
                    });
                }
            }
        }

        await page.GotoAsync("/Session");
        await page.ClickAsync("a[href='/admin/sessions']");
        await page.GotoAsync("/admin/sessions/users");
        await page.ClickAsync("a:text-is('ada')");
        await page.Locator("#sessions a").First.ClickAsync();
        await ExamineAsync(page, "/admin/sessions/session", wrong);
        Assert.True(wrong.Count == 0, string.Join(Environment.NewLine, wrong));
    }

    private void Watch(IPage page, List<string> wrong)
    {
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
            {
                wrong.Add($"{page.Url} says {message.Text}");
            }
        };
        page.PageError += (_, error) => wrong.Add($"{page.Url} throws {error}");
        page.Request += (_, request) =>
        {
            if (new Uri(request.Url) is { Scheme: "http" or "https" } uri && uri.Authority != _sample.Site.Address.Authority)
            {
                wrong.Add($"{page.Url} asks {request.Url}");
            }
        };
    }

    private static async Task ExamineAsync(IPage page, string path, List<string> wrong)
    {
        await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Dark });
        Add(await page.RunAxe(new AxeRunOptions { RunOnly = new RunOnlyOptions { Type = "rule", Values = ["color-contrast"] } }), "dark");
        await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Light });
        Add(await page.RunAxe(), "light");
        await page.SetViewportSizeAsync(390, 760);
        var width = await page.EvaluateAsync<int>("document.documentElement.scrollWidth");
        await page.SetViewportSizeAsync(1180, 760);
        if (width > 390)
        {
            wrong.Add($"{path} is {width} pixels wide on a phone of 390");
        }

        void Add(AxeResult found, string scheme) => wrong.AddRange(found.Violations
            .Where(violation => violation.Impact is "serious" or "critical")
            .Select(violation => $"{path}, {scheme}: {violation.Id}, {violation.Help}: {string.Join(" | ", violation.Nodes.Select(node => node.Html))}"));
    }
}
