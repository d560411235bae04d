using System.Net;
using Microsoft.Extensions.Logging;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Security;

/// <summary>What throws in an add-on: on a load the session is closed to the request, at a commit nothing set is lost silently.</summary>
public abstract class AddOnFailureTests(RedisServer server) : ServerTest(server)
{
    private const string Firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
    private const string Chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";

    private bool _fails = true;

    private Task<Site> StartFailingAsync() => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/set-and-commit-twice", async (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                try
                {
                    await context.Session.CommitAsync();
                    return "committed";
                }
                catch (InvalidOperationException)
                {
                    _fails = false;
                    await context.Session.CommitAsync();
                    return "failed once";
                }
            });
        },
        services: services => services.AddAuthorization(),
        addOns: builder => builder.AddUserIndex().AddSecurity(o =>
        {
            o.OnMismatch = mismatch => _fails ? throw new InvalidOperationException("OnMismatch fails") : mismatch.Action;
            o.TimeoutsOf = _ => _fails ? throw new InvalidOperationException("TimeoutsOf fails") : default;
        }),
        afterSession: app => app.Use(async (context, next) =>
        {
            if (context.Request.Headers["X-User"].ToString() is { Length: > 0 } user)
            {
                context.User = SignInSite.PrincipalOf(user);
            }

            if (context.Request.Headers["X-Before-Endpoint"].ToString() is not { Length: > 0 } what)
            {
                await next(context);
                return;
            }

            // As middleware of the application's does, which runs before anything is awaited for it.
            await context.Response.WriteAsync(await UseAsync(context.Session, what));
        }));

    private static async Task<string> UseAsync(ISession session, string what)
    {
        if (what.StartsWith("load ", StringComparison.Ordinal))
        {
            try
            {
                await session.LoadAsync();
            }
            catch (Exception)
            {
                // What it can then see is what the test asks.
            }
        }

        switch (what.Split(' ')[^1])
        {
            case "remove":
                session.Remove("cart");
                return "";
            case "clear":
                session.Clear();
                return "";
            case "set":
                session.SetString("cart", "coffee");
                return "";
            default:
                return $"{session.IsAvailable}|{session.Id}|{session.GetString("cart")}|{string.Join(',', session.Keys)}|{session.GetCreatedAt()}|{session.GetUserId()}";
        }
    }

    private async Task<(Browser Victim, Browser Thief)> RobbedAsync(Site site)
    {
        var victim = site.NewBrowser();
        victim.Headers["User-Agent"] = Firefox;
        await victim.GetAsync("/set/cart/tea");
        var thief = victim.Copy();
        thief.Headers["User-Agent"] = Chrome;
        site.Log.Clear();
        return (victim, thief);
    }

    [Fact]
    public async Task A_comparison_of_browsers_that_throws_lets_nobody_in_and_is_logged()
    {
        var site = await StartFailingAsync();
        var (victim, thief) = await RobbedAsync(site);
        Assert.DoesNotContain("tea", (await thief.TryAsync("/get/cart")).Body, StringComparison.Ordinal);
        Assert.Contains(site.Log.Ours, entry => entry.Level >= LogLevel.Warning && $"{entry.Message} {entry.Exception}".Contains("OnMismatch fails", StringComparison.Ordinal));
        Assert.DoesNotContain("cart", (await thief.TryAsync("/keys")).Body, StringComparison.Ordinal);
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
    }

    [Theory]
    [InlineData("read")]
    [InlineData("load read")]
    public async Task A_session_closed_by_a_comparison_that_throws_shows_nothing_to_middleware(string what)
    {
        var site = await StartFailingAsync();
        var (_, thief) = await RobbedAsync(site);
        thief.Headers["X-Before-Endpoint"] = what;
        Assert.Equal("False|||||", await thief.GetAsync("/none"));
        Assert.Contains(site.Log.Ours, entry => entry.Level >= LogLevel.Warning);
    }

    [Theory]
    [InlineData("remove")]
    [InlineData("load remove")]
    [InlineData("clear")]
    [InlineData("load clear")]
    [InlineData("set")]
    [InlineData("load set")]
    public async Task A_session_closed_by_a_comparison_that_throws_cannot_be_changed(string what)
    {
        var site = await StartFailingAsync();
        var (victim, thief) = await RobbedAsync(site);
        thief.Headers["X-Before-Endpoint"] = what;
        await thief.TryAsync("/none");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task A_commit_that_an_add_on_spoils_fails_the_request()
    {
        var site = await StartFailingAsync();
        var browser = site.NewBrowser();
        browser.Headers["X-User"] = "ada";
        var (status, _) = await browser.TryAsync("/set/a/1");
        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.Contains(site.Log.Entries, entry => entry.Level >= LogLevel.Warning && $"{entry.Message} {entry.Exception}".Contains("TimeoutsOf fails", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_commit_that_an_add_on_spoils_keeps_its_changes_for_the_next_one()
    {
        var site = await StartFailingAsync();
        var browser = site.NewBrowser();
        browser.Headers["X-User"] = "ada";
        Assert.Equal("failed once", await browser.GetAsync("/set-and-commit-twice"));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }
}

public sealed class AddOnFailureOnGarnet(InProcessGarnet server) : AddOnFailureTests(server);

public sealed class AddOnFailureOnRedis(LocalRedis server) : AddOnFailureTests(server);
