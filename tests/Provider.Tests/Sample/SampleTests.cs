using System.Globalization;
using Microsoft.Playwright;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sample;

/// <summary>A visitor's way through the sample, in Chromium.</summary>
public sealed class SampleTests(SampleInChromium sample) : InChromiumTest(sample)
{
    [Fact]
    public async Task The_cart_survives_sign_in_preferences_are_kept_and_sign_out_ends_the_session()
    {
        var page = await Sample.OpenAsync("/");
        await page.FocusAsync("#add-tea");
        await page.Keyboard.PressAsync("Enter");
        await ShowsAsync(page, "#cart-count", "1");
        await page.GotoAsync("/Session");
        var anonymousId = await TextAsync(page, "#session-id");

        await page.GotoAsync("/Preferences");
        await page.FillAsync("#user", "ada");
        await page.FillAsync("#password", "wrong");
        await page.ClickAsync("#sign-in");
        Assert.Contains("do not match", await TextAsync(page, "main"), StringComparison.Ordinal);
        await page.FillAsync("#user", "ada");
        await page.FillAsync("#password", "lovelace");
        await page.ClickAsync("#sign-in");
        await page.FillAsync("#code", "no code");
        await page.ClickAsync("#confirm-code");
        Assert.Contains("not the code", await TextAsync(page, "main"), StringComparison.Ordinal);
        await page.GotoAsync("/Preferences");
        Assert.Equal("Sign in", await TextAsync(page, "h1"));
        await SampleInChromium.SignInAsync(page);
        Assert.Equal("Preferences of ada", await TextAsync(page, "h1"));
        Assert.Equal("1", await TextAsync(page, "#cart-count"));

        await page.SelectOptionAsync("#Theme", "dark");
        await page.ClickAsync("#save");
        Assert.Contains("are saved", await TextAsync(page, "[role=status]"), StringComparison.Ordinal);
        Assert.Equal("dark", await page.GetAttributeAsync("html", "data-theme"));

        await page.GotoAsync("/Session");
        Assert.NotEqual(anonymousId, await TextAsync(page, "#session-id"));
        Assert.DoesNotContain("code:", await TextAsync(page, "table"), StringComparison.Ordinal);
        await page.ClickAsync("#sign-out");
        await page.GotoAsync("/Session");
        Assert.Equal(0, await page.Locator("#session-id").CountAsync());
        Assert.Equal("0", await TextAsync(page, "#cart-count"));
    }

    /// <summary>The second step's own bounds, without a browser's patience.</summary>
    [Fact]
    public async Task A_code_may_be_guessed_five_times_and_not_once_more()
    {
        var page = await Sample.OpenAsync("/Account/SignIn");
        await page.FillAsync("#user", "grace");
        await page.FillAsync("#password", "hopper");
        await page.ClickAsync("#sign-in");
        var code = await TextAsync(page, "#demo-code");
        for (var guess = 0; guess < 5; guess++)
        {
            await page.FillAsync("#code", $"guess {guess}");
            await page.ClickAsync("#confirm-code");
        }

        await page.FillAsync("#code", code);
        await page.ClickAsync("#confirm-code");
        Assert.Equal(0, await page.Locator("#sign-out").CountAsync());
        Assert.Equal("Sign in", await TextAsync(page, "h1"));
    }

    [Fact]
    public async Task What_is_added_at_once_is_all_there_and_a_blob_loses_some()
    {
        var page = await Sample.OpenAsync("/");
        await page.ClickAsync("#add-all");
        await ShowsAsync(page, "#added", "5 added at once");
        await page.ClickAsync("#add-all");
        await ShowsAsync(page, "#cart-count", "10");
        await page.GotoAsync("/Cart");
        Assert.Equal(["2", "2", "2", "2", "2"], await page.Locator("tbody td.number:nth-child(2)").AllTextContentsAsync());

        // It loses what overlaps; that it does so is up to the two carts' requests, that the session does not is not.
        await page.GotoAsync("/Compare");
        await Eventually.TrueAsync(
            async () =>
            {
                await page.ClickAsync("#add-five");
                await page.WaitForSelectorAsync("#add-five:enabled");
                Assert.Equal("5", await TextAsync(page, "#in-session"));
                return await TextAsync(page, "#in-blob") is "1" or "2" or "3" or "4";
            },
            what: "the blob loses an update");
    }

    [Fact]
    public async Task The_session_page_shows_counts_down_regenerates_extends_and_destroys()
    {
        var page = await Sample.OpenAsync("/");
        await page.ClickAsync("#add-tea");
        await ShowsAsync(page, "#cart-count", "1");
        await page.GotoAsync("/Session");
        await page.GotoAsync("/Session");
        var id = await TextAsync(page, "#session-id");
        Assert.Contains("cart:tea", await TextAsync(page, "table"), StringComparison.Ordinal);
        Assert.Equal("1", await TextAsync(page, "#round-trips"));
        var left = await TextAsync(page, "#ttl");
        await Eventually.TrueAsync(async () => string.CompareOrdinal(await TextAsync(page, "#ttl"), left) < 0, what: "the time to live counts down");
        await page.ClickAsync("#regenerate");
        Assert.NotEqual(id, await TextAsync(page, "#session-id"));
        Assert.Contains("cart:tea", await TextAsync(page, "table"), StringComparison.Ordinal);
        await page.ClickAsync("#extend");
        Assert.Matches("^0[01]:[05][0-9]:", await TextAsync(page, "#ttl"));
        await page.ClickAsync("#destroy");
        Assert.Contains("session is gone", await TextAsync(page, "[role=status]"), StringComparison.Ordinal);
        Assert.Equal(1, await page.Locator("#none").CountAsync());
    }

    [Fact]
    public async Task A_device_is_signed_out_from_another_and_everywhere_else_with_the_password()
    {
        var here = await Sample.SignedInAsync(user: "grace", password: "hopper");
        var there = await Sample.SignedInAsync(user: "grace", password: "hopper");
        var elsewhere = await Sample.SignedInAsync(user: "grace", password: "hopper");
        await here.ReloadAsync();
        await Eventually.TrueAsync(async () => await here.Locator(".device").CountAsync() == 3, what: "three devices are listed");
        Assert.Equal(1, await here.Locator(".device", new PageLocatorOptions { HasText = "this device" }).CountAsync());
        Assert.Contains("Chrome on Linux", await TextAsync(here, "#devices"), StringComparison.Ordinal);

        // The one that was seen last stands first, after this one; whichever it is.
        await here.Locator(".device button").First.ClickAsync();
        await ShowsAsync(here, "#devices-status", "is signed out");
        await Eventually.TrueAsync(async () => await here.Locator(".device").CountAsync() == 2, what: "two devices are left in the list");
        var ended = 0;
        foreach (var page in new[] { there, elsewhere })
        {
            await page.ClickAsync("text=Preferences");
            if (await TextAsync(page, "h1") == "Sign in")
            {
                ended++;
                Assert.Contains("signed out on another device", await TextAsync(page, "#ended"), StringComparison.Ordinal);
            }
        }

        Assert.Equal(1, ended);
        await here.FillAsync("#password", "wrong");
        await here.ClickAsync("#revoke-others");
        Assert.Contains("Nobody was signed out", await TextAsync(here, "main"), StringComparison.Ordinal);
        await here.FillAsync("#password", "hopper");
        await here.ClickAsync("#revoke-others");
        Assert.Contains("1 other device is signed out", await TextAsync(here, "[role=status]"), StringComparison.Ordinal);
        foreach (var page in new[] { there, elsewhere })
        {
            await page.GotoAsync("/Preferences");
            Assert.Equal("Sign in", await TextAsync(page, "h1"));
        }

        await here.GotoAsync("/Preferences");
        Assert.Equal("Preferences of grace", await TextAsync(here, "h1"));
    }

    [Fact]
    public async Task A_stolen_cookie_is_refused_and_the_owner_is_told()
    {
        var page = await Sample.OpenAsync("/");
        await page.ClickAsync("#add-tea");
        await ShowsAsync(page, "#cart-count", "1");
        await page.GotoAsync("/Security");
        Assert.Contains("20 minutes", await TextAsync(page, "#settings"), StringComparison.Ordinal);
        await page.ClickAsync("#steal");
        Assert.Contains("thief sees 0 lines of a cart. You still see your 1", await TextAsync(page, "[role=status]"), StringComparison.Ordinal);
        Assert.Contains("Rejected", await TextAsync(page, "#events"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_dashboard_is_live_and_signs_a_user_out()
    {
        var grace = await Sample.SignedInAsync("/admin/sessions", "grace", "hopper");
        Assert.Equal("Not for you", await TextAsync(grace, "h1"));
        var ada = await Sample.SignedInAsync("/");
        await ada.ClickAsync("text=Admin");
        await Eventually.TrueAsync(
            async () => int.TryParse(await TextAsync(ada, "#live"), out var live) && live > 0 && (await TextAsync(ada, "#devices")).Contains("Chrome on Linux", StringComparison.Ordinal),
            what: "the figures refresh by themselves");
        await ada.ClickAsync("text=Users");
        await ada.ClickAsync("a:text-is('grace')");
        await ada.Locator("form.danger input[name=note]").FillAsync("a test");
        ada.Dialog += (_, dialog) => _ = dialog.AcceptAsync();
        await ada.ClickAsync("form.danger button");
        await ShowsAsync(ada, ".message", "have ended");
        await ada.ClickAsync("text=Security events");
        Assert.Contains("a test", await TextAsync(ada, "#security-events"), StringComparison.Ordinal);
        await grace.GotoAsync("/Preferences");
        Assert.Equal("Sign in", await TextAsync(grace, "h1"));

        // A round trip that was slow for a moment is no illness.
        await Eventually.TrueAsync(async () => await (await ada.Context.APIRequest.GetAsync("/health")).TextAsync() == "Healthy", what: "it is healthy");
    }

    /// <summary>
    /// Sessions and the keys of cookies are in Redis, so a browser does not notice which instance answers, or that one has died. It is killed
    /// between the third and the fourth of five requests at once.
    /// </summary>
    [Fact]
    public async Task Two_instances_are_one_site_and_one_of_them_may_die()
    {
        RedisServer.SkipUnlessInstalled();
        using var redis = await RedisProcess.StartAsync();
        var starting = SampleSite.StartAsync(redis.Address);
        using var first = await SampleSite.StartAsync(redis.Address);
        using var second = await starting;
        using var balancer = new Balancer(first.Address, second.Address);
        var context = await Sample.NewContextAsync(balancer.Address, watched: false);
        var page = await Sample.OpenAsync("/", context);
        await page.ClickAsync("#add-all");
        await ShowsAsync(page, "#cart-count", "5");
        await page.GotoAsync("/Preferences");
        await SampleInChromium.SignInAsync(page);
        await page.GotoAsync("/Session");
        var id = await TextAsync(page, "#session-id");
        await page.GotoAsync("/");
        var (asked, confirmed) = (0, 0);
        await page.RouteAsync("**/Cart/Add/*", route =>
        {
            if (++asked == 4)
            {
                first.Dispose();
            }

            return route.ContinueAsync();
        });
        page.Response += (_, response) => confirmed += response.Ok && response.Url.Contains("/Cart/Add/", StringComparison.Ordinal) ? 1 : 0;
        await page.ClickAsync("#add-all");
        await Eventually.TrueAsync(async () => (await TextAsync(page, "#added")).Length > 0, what: "the page says what came of it");
        Assert.Equal(5, asked);

        // What was confirmed is there; what was under way may be as well, or may even have been done twice, for browsers ask again.
        await page.GotoAsync("/");
        var count = int.Parse(await TextAsync(page, "#cart-count"), CultureInfo.InvariantCulture);
        Assert.InRange(count, 5 + confirmed, 5 + 5 + 3);
        await page.ClickAsync("#add-tea");
        await ShowsAsync(page, "#cart-count", $"{count + 1}");
        await page.GotoAsync("/Preferences");
        Assert.Equal("Preferences of ada", await TextAsync(page, "h1"));
        await using var admin = await ConnectionMultiplexer.ConnectAsync(redis.Address);
        Assert.True(await admin.GetDatabase().KeyExistsAsync($"session:{{{id}}}"));
        Assert.True(await admin.GetDatabase().KeyExistsAsync("tea-shop:keys"));
    }
}
