namespace RedisSessions.Tests.Users;

/// <summary>Cookie sign-ins while a real Redis is really away.</summary>
[Collection(Alone.Name)]
public sealed class SignInOutageTests : IAsyncDisposable
{
    private RedisProcess? _redis;
    private Site? _site;

    public SignInOutageTests() => RedisServer.SkipUnlessInstalled();

    private async Task<Browser> SignedInAsync(SignInWithoutRedis policy)
    {
        _redis = await RedisProcess.StartAsync("--appendonly", "yes");
        _site = await Site.StartAsync(_redis.Address, SignInSite.Map, services: SignInSite.AddServices, addOns: builder => builder.AddUserIndex(o => o.WithoutRedis = policy));
        var browser = _site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        return browser;
    }

    [Theory]
    [InlineData(SignInWithoutRedis.Keep, "ada")]
    [InlineData(SignInWithoutRedis.Refuse, "")]
    public async Task The_sign_in_is_kept_or_refused_by_option_and_is_there_again_afterwards(SignInWithoutRedis policy, string whileAway)
    {
        var browser = await SignedInAsync(policy);
        _redis!.Stop();
        Assert.Equal(whileAway, await browser.GetAsync("/whoami"));
        Assert.Contains(SignInSite.AuthCookie, browser.Cookies.Keys);
        await _redis.StartAgainAsync();
        await Eventually.TrueAsync(async () => await browser.GetAsync("/available") == "true");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }

    [Fact]
    public async Task Signing_in_and_out_works_while_redis_is_away_and_the_session_is_bound_when_it_is_back()
    {
        await SignedInAsync(SignInWithoutRedis.Keep);
        _redis!.Stop();
        var browser = _site!.NewBrowser();
        await SendAsync(browser, "/login/grace");
        Assert.Equal("grace", await browser.GetAsync("/whoami"));
        var leaving = browser.Copy();
        await SendAsync(leaving, "/logout");
        Assert.DoesNotContain(SignInSite.AuthCookie, leaving.Cookies.Keys);

        await _redis.StartAgainAsync();
        await Eventually.TrueAsync(async () => await browser.GetAsync("/owner") == "grace");
        Assert.Equal("grace", await browser.GetAsync("/whoami"));
        Assert.Single(await _site.Services.GetRequiredService<IUserSessions>().ListAsync("grace"));

        static async Task SendAsync(Browser browser, string path)
        {
            using var response = await browser.SendAsync(HttpMethod.Get, path);
            Assert.True(response.IsSuccessStatusCode);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_site is not null)
        {
            await _site.DisposeAsync();
        }

        _redis?.Dispose();
    }
}
