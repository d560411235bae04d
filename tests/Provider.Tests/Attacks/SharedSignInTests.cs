namespace RedisSessions.Tests.Attacks;

/// <summary>Requests of one page that bring a sign-in without a session share the session that the first of them began, and may do all that it may.</summary>
public sealed class SharedSignInTests(InProcessGarnet server) : AttackTest(server)
{
    [Theory]
    [InlineData("/regenerate")]
    [InlineData("/password")]
    [InlineData("/refresh")]
    [InlineData("/login/ada")]
    public async Task A_request_that_came_without_a_session_may_change_the_id_of_the_one_that_it_shares(string page)
    {
        using var proxy = new RedisProxy(Server.Address);
        var slow = await StartAttackedAsync(redis: proxy.Address, services: AddSlowServices);
        var healthy = await StartAttackedAsync();
        await slow.NewBrowser().GetAsync("/login/warm");
        var browser = slow.NewBrowser();
        var gate = new Gate(proxy);
        await StatusAsync(browser, "/login/ada");
        proxy.BeforeCommand = null;
        gate.Open();
        healthy.TakeOver(browser);
        var second = browser.Copy();
        Assert.DoesNotContain(Browser.SessionCookie, second.Cookies.Keys);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        await second.GetAsync(page);
        Assert.Equal("ada", await second.GetAsync("/whoami"));
        Assert.Equal("ada", await second.GetAsync("/owner"));
        Assert.Equal("", await browser.GetAsync("/owner"));
    }
}
