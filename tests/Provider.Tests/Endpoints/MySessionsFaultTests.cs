using System.Net;
using System.Text.Json;
using RedisSessions.Tests.Attacks;

namespace RedisSessions.Tests.Endpoints;

/// <summary>A user's own sessions where something is wrong: with Redis, with the connection, with the request; and twice at once.</summary>
public sealed class MySessionsFaultTests(InProcessGarnet server) : AttackTest(server)
{
    private const string Mine = "/account/sessions";

    private Task<Site> StartMineAsync(string? redis = null, string? pathBase = null) => StartAttackedAsync(
        map: app =>
        {
            CookieSite.Map(app);
            app.MapMySessions(Mine);
        },
        services: services =>
        {
            CookieSite.AddServices(services);
            services.AddAntiforgery();
        },
        redis: redis,
        afterSession: app =>
        {
            _ = pathBase is null ? app : app.UsePathBase(pathBase);
            app.UseAuthentication().UseRouting().UseAuthorization();
        });

    private static async Task<(Browser Browser, string Id)> SignInAsync(Site site, string user)
    {
        var browser = site.NewBrowser();
        return (browser, await browser.GetAsync($"/login/{user}"));
    }

    /// <summary>As a page does before its user clicks.</summary>
    private static async Task TakeTokenAsync(Browser browser)
    {
        using var answer = JsonDocument.Parse(await browser.GetAsync(Mine));
        browser.Headers["RequestVerificationToken"] = answer.RootElement.GetProperty("antiforgery").GetProperty("token").GetString()!;
    }

    private static async Task<HttpStatusCode> SendAsync(Browser browser, string method, string path)
    {
        using var response = await browser.SendAsync(new HttpMethod(method), path);
        return response.StatusCode;
    }

    [Fact]
    public async Task A_device_that_is_signed_out_twice_at_once_is_signed_out_once()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        await TakeTokenAsync(here);
        Events.Clear();
        var ends = await Task.WhenAll(SendAsync(here, "DELETE", $"{Mine}/{thereId}"), SendAsync(here, "DELETE", $"{Mine}/{thereId}"));
        Assert.Equal([HttpStatusCode.NoContent, HttpStatusCode.NotFound], ends.Order());
        Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.Revoked);
        Assert.Equal("", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task While_Redis_is_away_it_is_not_the_users_fault_and_nothing_is_said_to_be_done()
    {
        using var way = new HeldRedis(Server.Address);
        var site = await StartMineAsync(way.Address);
        var (here, _) = await SignInAsync(site, "ada");
        await TakeTokenAsync(here);
        way.Dispose();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await SendAsync(here, "GET", Mine));
        Assert.Contains(site.Log.Entries, entry => entry.Message.StartsWith("My sessions: Redis", StringComparison.Ordinal) && entry.Exception is not null);

        // Whether the sign-in is recent cannot be known either, so it is not.
        Assert.NotInRange((int)await SendAsync(here, "DELETE", $"{Mine}/others"), 200, 299);
    }

    /// <summary>Whoever signs out all others and closes the lid has signed them out.</summary>
    [Fact]
    public async Task What_was_asked_for_is_done_also_for_whoever_does_not_wait()
    {
        using var way = new HeldRedis(Server.Address);
        var slow = await StartMineAsync(way.Address);
        var quick = await StartMineAsync();
        var (here, _) = await SignInAsync(slow, "ada");
        var (there, _) = await SignInAsync(quick, "ada");
        await TakeTokenAsync(here);

        // Past the checks: the first script that changes something.
        var scripts = 0;
        var reached = way.HoldAsync(command => command.StartsWith("EVAL", StringComparison.Ordinal) && Interlocked.Increment(ref scripts) == 1);
        using var closing = new CancellationTokenSource();
        using var client = new HttpClient(slow.Server.CreateHandler()) { BaseAddress = new Uri("http://localhost") };
        using var request = new HttpRequestMessage(HttpMethod.Delete, $"{Mine}/others");
        request.Headers.Add("Cookie", string.Join("; ", here.Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        request.Headers.Add("RequestVerificationToken", here.Headers["RequestVerificationToken"]);
        var asked = client.SendAsync(request, closing.Token);
        await reached;
        await closing.CancelAsync();
        Assert.Equal("ada", await there.GetAsync("/whoami"));
        way.Release();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        await Eventually.TrueAsync(async () => (await there.GetAsync("/whoami")).Length == 0, what: "the other browser is signed out");
        Assert.Equal("ada", await here.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData("HEAD")]
    [InlineData("OPTIONS")]
    [InlineData("POST")]
    [InlineData("PUT")]
    public async Task Other_methods_do_nothing(string method)
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        await TakeTokenAsync(here);
        foreach (var path in new[] { Mine, $"{Mine}/others", $"{Mine}/{thereId}" })
        {
            Assert.Equal(HttpStatusCode.MethodNotAllowed, await SendAsync(here, method, path));
        }

        Assert.Equal("ada", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task It_works_under_a_path_base()
    {
        var site = await StartMineAsync(pathBase: "/app");
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        await TakeTokenAsync(here);
        Assert.Equal(HttpStatusCode.NoContent, await SendAsync(here, "DELETE", $"/app{Mine}/{thereId}"));
        Assert.Equal("", await there.GetAsync("/whoami"));
    }
}
