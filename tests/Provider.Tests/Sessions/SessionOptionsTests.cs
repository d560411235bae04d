using Microsoft.Net.Http.Headers;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// UseSession(options). Of a WebApplication, the cookie that our session writes follows them; on a branch only the middleware knows them, and
/// where its cookie's name is another, what would replace it refuses before anything is changed.
/// </summary>
public abstract class SessionOptionsTests(RedisServer server) : ServerTest(server)
{
    private const string Cookie = "shop";

    private KestrelSite? _site;

    private async Task<KestrelSite> StartShopAsync(Action<WebApplication> useSession) => _site = await KestrelSite.StartPipelineAsync(
        Server.Address + RedisServer.Patient,
        Fleet,
        app =>
        {
            useSession(app);
            Pages.Map(app);
            app.MapGet("/sign-in", async (HttpContext context) =>
            {
                context.Session.SetString("user", "ada");
                await context.Session.RegenerateIdAsync();
            });
        });

    private Task<KestrelSite> StartBranchAsync() => StartShopAsync(app => ((IApplicationBuilder)app).UseSession(new SessionOptions { Cookie = { Name = Cookie } }));

    [Theory]
    [InlineData("/regenerate")]
    [InlineData("/sign-in")]
    [InlineData("/destroy")]
    public async Task On_a_branch_with_a_cookie_of_its_own_an_id_does_not_change_and_nothing_is_deleted(string path)
    {
        var browser = (await StartBranchAsync()).NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var before = browser.Copy();
        var (status, _) = await browser.TryAsync(path);
        Assert.Equal(StatusCodes.Status500InternalServerError, (int)status);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal(before.Cookies, browser.Cookies);
    }

    [Fact]
    public async Task On_a_branch_within_another_session_the_cookie_of_its_own_names_a_session_of_its_own()
    {
        var browser = (await StartShopAsync(app =>
        {
            app.UseSession();
            app.UseWhen(context => context.Request.Query.ContainsKey(Cookie), branch => branch.UseSession(new SessionOptions { Cookie = { Name = Cookie } }));
        })).NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/set/cart/coffee?shop");
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal("coffee", await browser.GetAsync("/get/cart?shop"));
    }

    [Theory]
    [InlineData("/regenerate")]
    [InlineData("/sign-in")]
    public async Task A_new_id_goes_out_with_the_options_in_use(string path)
    {
        var options = new SessionOptions { Cookie = { Name = Cookie, Path = "/", Domain = "localhost", SameSite = Microsoft.AspNetCore.Http.SameSiteMode.Strict, MaxAge = TimeSpan.FromDays(2) } };
        var browser = (await StartShopAsync(app => app.UseSession(options))).NewBrowser();
        var first = await CookieOfAsync(browser, "/set/cart/tea");
        var before = browser.Copy();
        var second = await CookieOfAsync(browser, path);
        Assert.NotEqual(first.Value, second.Value);
        second.Value = first.Value;
        Assert.Equal(first, second);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal([Cookie], browser.Cookies.Keys);
        Assert.Equal("", await before.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task So_it_does_where_only_path_and_domain_differ_from_the_containers()
    {
        var options = new SessionOptions { Cookie = { Path = "/regenerate", Domain = "localhost" } };
        var browser = (await StartShopAsync(app => app.UseSession(options))).NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var cookie = await CookieOfAsync(browser, "/regenerate");
        Assert.Equal(("/regenerate", "localhost"), (cookie.Path.Value, cookie.Domain.Value));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task A_destroyed_sessions_cookie_expires_where_it_is()
    {
        var options = new SessionOptions { Cookie = { Name = Cookie, Path = "/", Domain = "localhost" } };
        var browser = (await StartShopAsync(app => app.UseSession(options))).NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var before = browser.Copy();
        var cookie = await CookieOfAsync(browser, "/destroy");
        Assert.Equal((Cookie, "/", "localhost"), (cookie.Name.Value, cookie.Path.Value, cookie.Domain.Value));
        Assert.Empty(browser.Cookies);
        Assert.Equal("", await before.GetAsync("/get/cart"));
    }

    private static async Task<SetCookieHeaderValue> CookieOfAsync(Browser browser, string path)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, path);
        Assert.True(response.IsSuccessStatusCode);
        return SetCookieHeaderValue.Parse(response.Headers.GetValues("Set-Cookie").Single());
    }

    public override async ValueTask DisposeAsync()
    {
        if (_site is not null)
        {
            await _site.DisposeAsync();
        }

        await base.DisposeAsync();
    }
}

public sealed class SessionOptionsOnGarnet(InProcessGarnet server) : SessionOptionsTests(server);

public sealed class SessionOptionsOnRedis(LocalRedis server) : SessionOptionsTests(server);
