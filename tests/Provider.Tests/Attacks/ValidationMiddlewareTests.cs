using System.Net;

namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 8: a browser that does not match its session is turned away once, and can begin anew.</summary>
public sealed class ValidationMiddlewareTests(InProcessGarnet server) : AttackTest(server)
{
    private Task<Site> StartValidatingAsync(string? redirectTo = null) => StartAttackedAsync(
        map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/Account/Login", () => "your name?");
            app.MapPost("/Account/Login", () => "your name?");
            app.MapGet("/sorry", () => "sorry");
        },
        afterSession: app => app.UseSessionValidation(redirectTo).UseAuthentication().UseRouting().UseAuthorization());

    private static async Task<Browser> ChangedAsync(Site site)
    {
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/login/ada");
        browser.Headers["User-Agent"] = Chrome;
        return browser;
    }

    [Fact]
    public async Task A_refused_browser_loses_the_cookie_that_did_not_match_and_can_sign_in_again()
    {
        var site = await StartValidatingAsync();
        var browser = await ChangedAsync(site);
        var owner = browser.Copy();
        owner.Headers["User-Agent"] = Firefox;
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(browser, "/none"));
        Assert.DoesNotContain(Browser.SessionCookie, browser.Cookies.Keys);
        Assert.Equal("your name?", await browser.GetAsync("/Account/Login"));
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));

        // It was not the owner's request, and the owner's session is untouched.
        Assert.Equal("ada", await owner.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_refused_post_does_not_lock_out_either()
    {
        var site = await StartValidatingAsync();
        var browser = await ChangedAsync(site);
        using (var refused = await browser.SendAsync(HttpMethod.Post, "/Account/Login"))
        {
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        }

        using var again = await browser.SendAsync(HttpMethod.Post, "/Account/Login");
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Theory]
    [InlineData("/sorry")]
    [InlineData("/Sorry")]
    public async Task The_page_that_it_redirects_to_is_reached(string redirectTo)
    {
        var site = await StartValidatingAsync(redirectTo);
        var browser = await ChangedAsync(site);
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(browser, "/none"));
        Assert.Equal("sorry", await browser.GetAsync("/sorry"));
        Assert.Equal("none", await browser.GetAsync("/none"));
    }

    /// <summary>Whoever asks for that page first, with the cookie that does not match, gets it, too.</summary>
    [Fact]
    public async Task The_page_that_it_redirects_to_is_never_refused()
    {
        var site = await StartValidatingAsync("/sorry");
        var browser = await ChangedAsync(site);
        Assert.Equal("sorry", await browser.GetAsync("/sorry"));
    }
}
