using System.Net;

namespace RedisSessions.Tests.Users;

/// <summary>A request that was authenticated, and then waited for its turn while its sign-in ended.</summary>
public sealed class ExclusiveSignInTests(InProcessGarnet server) : SignInTest(server)
{
    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _ran;

    private void Map(WebApplication app)
    {
        app.MapPost("/hold", async () =>
        {
            _entered.SetResult();
            await _goOn.Task;
        }).RequireExclusiveSession();
        app.MapPost("/pay", (HttpContext context) =>
        {
            _ran = true;
            context.Session.SetString("paid", "yes");
        }).RequireAuthorization().RequireExclusiveSession();
    }

    private async Task<(Site Site, Browser Browser, Task<HttpResponseMessage> Waits)> WaitsAsync(Action<UserIndexOptions>? options = null)
    {
        var (here, there) = (await StartSignInSiteAsync(options, map: Map), await StartSignInSiteAsync(options, map: Map));
        var browser = here.NewBrowser();
        await browser.GetAsync("/login/ada");
        var next = $"{Fleet.Prefix}turn:{{{await browser.GetAsync("/id")}}}:next";
        _ = browser.Copy().SendAsync(HttpMethod.Post, "/hold");
        await _entered.Task;
        var other = browser.Copy();
        there.TakeOver(other);
        var waits = other.SendAsync(HttpMethod.Post, "/pay");
        await Eventually.TrueAsync(async () => await (await DatabaseAsync()).KeyExistsAsync(next), what: "it waits");
        return (here, browser, waits);
    }

    [Fact]
    public async Task Does_not_run_once_the_sign_in_is_over()
    {
        var (site, browser, waits) = await WaitsAsync();
        await Users(site).RevokeAllAsync("ada");
        _goOn.SetResult();
        Assert.Equal(HttpStatusCode.Unauthorized, (await waits).StatusCode);
        Assert.False(_ran);
        Assert.Equal("", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task Does_not_run_once_the_session_is_another_users()
    {
        var (_, browser, waits) = await WaitsAsync();
        await browser.Copy().GetAsync("/logout");
        _goOn.SetResult();
        Assert.Equal(HttpStatusCode.Unauthorized, (await waits).StatusCode);
        Assert.False(_ran);
    }

    [Fact]
    public async Task Runs_where_a_sign_in_does_not_end_with_its_session()
    {
        var (_, browser, waits) = await WaitsAsync(o => o.EndSignInWithSession = false);
        await browser.Copy().GetAsync("/destroy");
        _goOn.SetResult();
        Assert.Equal(HttpStatusCode.OK, (await waits).StatusCode);
        Assert.True(_ran);
    }

    [Fact]
    public async Task Runs_while_the_sign_in_lives()
    {
        var (_, browser, waits) = await WaitsAsync();
        await browser.Copy().GetAsync("/set/a/1");
        _goOn.SetResult();
        Assert.Equal(HttpStatusCode.OK, (await waits).StatusCode);
        Assert.Equal("a,paid", await browser.GetAsync("/keys"));
    }
}
