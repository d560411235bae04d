using System.Net;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>With <c>CommitFailure.Log</c> a commit that fails is as with the in-box session: logged, and the browser is told nothing.</summary>
public abstract class InBoxCommitFailureLogTests(RedisServer server) : InBoxTest(server)
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(300);

    // Microsoft's: SessionLogsCacheCommitException.
    [Theory]
    [InlineData("/empty")]
    [InlineData("/body")]
    [InlineData("/redirect")]
    [InlineData("/stream")]
    public async Task A_commit_that_fails_is_logged_once_and_the_response_goes_out(string path)
    {
        var site = await StartPageAsync(
            async context =>
            {
                context.Session.SetString("a", "2");
                await BreakAsync(context.Session.Id);
                await RespondAsync(context);
            },
            options: o => o.CommitFailure = CommitFailure.Log);
        foreach (var browser in (Browser[])[site.NewBrowser(), (await BrowserWithSessionAsync(site)).Browser])
        {
            site.Log.Clear();
            await RespondedAsync(browser, path);
            var entry = Assert.Single(InBoxLog(site), logged => logged.Level >= LogLevel.Information);
            Assert.Equal((LogLevel.Error, 1, "ErrorClosingTheSession"), (entry.Level, entry.Id.Id, entry.Id.Name));
            Assert.Equal("Error closing the session.", entry.Message);
            Assert.IsAssignableFrom<RedisException>(entry.Exception);
        }
    }

    // Microsoft's: SessionLogsCacheCommitTimeoutException; without "Session started", as it may not have.
    [Theory]
    [InlineData("/empty")]
    [InlineData("/body")]
    [InlineData("/redirect")]
    [InlineData("/stream")]
    public async Task A_commit_that_times_out_is_logged_as_timed_out_and_cancelled_and_the_response_goes_out(string path)
    {
        using var redis = new HeldRedis(Server.Address);
        var site = await StartPageAsync(
            context =>
            {
                context.Session.SetInt32("key", 0);
                _ = redis.HoldAsync();
                return RespondAsync(context);
            },
            redis: redis.Address,
            session: o => o.IOTimeout = Soon,
            options: o => o.CommitFailure = CommitFailure.Log);
        await site.Sessions.CreateAsync();
        await RespondedAsync(site.NewBrowser(), path);
        Assert.Equal(
            [(LogLevel.Warning, 9, "Committing the session timed out."), (LogLevel.Information, 10, "Committing the session was canceled.")],
            InBoxEvents(site));
    }

    private static async Task RespondAsync(HttpContext context)
    {
        switch (context.Request.Path.Value)
        {
            case "/body":
                await context.Response.WriteAsync("All is well.");
                break;
            case "/redirect":
                context.Response.Redirect("/thanks");
                break;
            case "/stream":
                await context.Response.WriteAsync("All ");
                await context.Response.Body.FlushAsync();
                await context.Response.WriteAsync("is well.");
                break;
        }
    }

    private static async Task RespondedAsync(Browser browser, string path)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, path);
        Assert.Equal(path == "/redirect" ? HttpStatusCode.Redirect : HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(path is "/body" or "/stream" ? "All is well." : "", await response.Content.ReadAsStringAsync());
    }

    private async Task BreakAsync(string id) => await (await DatabaseAsync()).StringSetAsync(KeyOf(id), "no session");
}

public sealed class InBoxCommitFailureLogOnGarnet(InProcessGarnet server) : InBoxCommitFailureLogTests(server);

public sealed class InBoxCommitFailureLogOnRedis(LocalRedis server) : InBoxCommitFailureLogTests(server);

public sealed class InBoxCommitFailureLogInContainer(ContainerRedis server) : InBoxCommitFailureLogTests(server);

public sealed class InBoxCommitFailureLogOnGivenServer(GivenRedis server) : InBoxCommitFailureLogTests(server);
