namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 17: the family of a browser is what stays while its owner updates it, turns the phone, or asks for the desktop site.</summary>
public sealed class BrowserFamilyTests(InProcessGarnet server) : AttackTest(server)
{
    private const string ChromeOnAndroid = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36";
    private const string ChromeOnWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";
    private const string FirefoxOnAndroid = "Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0";
    private const string FirefoxDesktopSite = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
    private const string SafariOnIPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
    private const string SafariOnIPad = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
    private const string SafariDesktopSite = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15";

    [Theory]
    [InlineData(ChromeOnAndroid, Chrome)]
    [InlineData(Chrome, ChromeOnAndroid)]
    [InlineData(FirefoxOnAndroid, FirefoxDesktopSite)]
    [InlineData(SafariOnIPhone, SafariDesktopSite)]
    [InlineData(SafariOnIPad, SafariDesktopSite)]
    [InlineData(SafariDesktopSite, SafariOnIPad)]
    [InlineData("AcmeShop/4.1.0 (build 77)", "AcmeShop/4.2.0 (build 78)")]
    [InlineData("AcmeShop/4.1.0 CFNetwork/1496.0.7 Darwin/23.5.0", "AcmeShop/4.2.0 CFNetwork/1498.7 Darwin/24.0.0")]
    [InlineData("okhttp/4.12.0", "okhttp/5.0.1")]
    [InlineData("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240105.004)", "Dalvik/2.1.0 (Linux; U; Android 15; Pixel 8 Build/AP3A.240905.015)")]
    public async Task The_owner_stays_signed_in(string before, string after)
    {
        var site = await StartAttackedAsync();
        var owner = From(site, "192.0.2.1", before);
        await owner.GetAsync("/login/ada");
        owner.Headers["User-Agent"] = after;
        Assert.Equal("ada", await owner.GetAsync("/whoami"));
        Assert.DoesNotContain(Events.All, e => e.Kind is SessionSecurityEventKind.Rejected or SessionSecurityEventKind.Mismatch);
    }

    [Theory]
    [InlineData(ChromeOnAndroid, ChromeOnWindows)]
    [InlineData(ChromeOnAndroid, FirefoxOnAndroid)]
    [InlineData(SafariOnIPhone, ChromeOnAndroid)]
    [InlineData(SafariDesktopSite, Chrome)]
    [InlineData(ChromeOnWindows, Firefox)]
    [InlineData("AcmeShop/4.1.0 (build 77)", "AcmeAdmin/4.1.0 (build 77)")]
    [InlineData("AcmeShop/4.1.0 (build 77)", Firefox)]
    [InlineData("okhttp/4.12.0", "")]
    public async Task A_thief_in_another_browser_is_turned_away(string owners, string thiefs)
    {
        var site = await StartAttackedAsync();
        var owner = From(site, "192.0.2.1", owners);
        await owner.GetAsync("/login/ada");
        var thief = owner.Copy();
        thief.Headers["User-Agent"] = thiefs;
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Equal("ada", await owner.GetAsync("/whoami"));
    }
}
