using System.Net;
using Microsoft.AspNetCore.Mvc;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// What OnStarting callbacks change that run after ours (they run in the reverse order of their registration): it is in Redis
/// before the client has the first byte. On Kestrel, which is what decides when they run.
/// </summary>
public abstract class ResponseStartTests(RedisServer server) : ServerTest(server)
{
    private readonly TaskCompletionSource _mayEnd = new();

    private Task<KestrelSite> StartAsync(Action<WebApplication> map, Action<IServiceCollection>? services = null) => KestrelSite.StartAsync(
        Server.Address + RedisServer.Patient,
        app =>
        {
            Pages.Map(app);
            map(app);
        },
        Fleet,
        services: services,
        beforeSession: app => app.Use((context, next) =>
        {
            // First registered, last called.
            context.Response.OnStarting(() =>
            {
                if (context.Request.Query.ContainsKey("late") && context.Items["session"] is ISession session)
                {
                    session.SetString("late", "1");
                }

                return Task.CompletedTask;
            });
            return next(context);
        }),
        afterSession: app => app.Use(async (context, next) =>
        {
            context.Items["session"] = context.Session;
            await next(context);
            if (context.Request.Query.ContainsKey("held"))
            {
                // The body is on its way; the request itself does not end, so that nothing is committed at its end.
                await _mayEnd.Task;
            }
        }));

    [Fact]
    public async Task Temp_data_of_a_page_that_also_changes_the_session_is_stored_before_its_body_arrives()
    {
        await using var site = await StartAsync(
            app => app.MapControllers(),
            services => services.AddControllersWithViews().AddSessionStateTempDataProvider().AddApplicationPart(typeof(ResponseStartTests).Assembly));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, "/temp-data/write?held");
            Assert.Equal('w', (char)(await response.Content.ReadAsStreamAsync()).ReadByte());
            Assert.Equal("kept", await browser.GetAsync("/temp-data/read"));
        }
        finally
        {
            _mayEnd.SetResult();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_the_last_callback_changes_is_stored_before_the_body_arrives(bool newVisitor)
    {
        await using var site = await StartAsync(app => app.MapGet("/stream", async (HttpContext context) =>
        {
            context.Session.SetString("early", "1");
            await context.Response.WriteAsync("first");
            await context.Response.Body.FlushAsync();
        }));
        var browser = site.NewBrowser();
        if (!newVisitor)
        {
            await browser.GetAsync("/set/a/1");
        }

        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, "/stream?held&late");
            Assert.Equal('f', (char)(await response.Content.ReadAsStreamAsync()).ReadByte());
            Assert.Equal("1", await browser.GetAsync("/get/early"));
            Assert.Equal("1", await browser.GetAsync("/get/late"));
        }
        finally
        {
            _mayEnd.SetResult();
        }
    }

    [Fact]
    public async Task What_the_last_callback_changes_alone_is_stored_before_the_body_arrives()
    {
        await using var site = await StartAsync(app => app.MapGet("/reads", async (HttpContext context) =>
        {
            context.Session.SetString("early", "1");
            await context.Session.CommitAsync();
            await context.Response.WriteAsync("first");
        }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, "/reads?held&late");
            Assert.Equal('f', (char)(await response.Content.ReadAsStreamAsync()).ReadByte());
            Assert.Equal("1", await browser.GetAsync("/get/late"));
        }
        finally
        {
            _mayEnd.SetResult();
        }
    }

    [Fact]
    public async Task What_the_last_callback_changes_is_stored_with_a_response_that_has_no_body()
    {
        // Such a response starts when the whole pipeline is through, the session middleware's own commit included.
        await using var site = await StartAsync(app => app.MapGet("/redirect", (HttpContext context) =>
        {
            context.Session.SetString("early", "1");
            return Results.Redirect("/elsewhere");
        }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        using var response = await browser.SendAsync(HttpMethod.Get, "/redirect?late");
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.Equal("a,early,late", await browser.GetAsync("/keys"));
    }
}

/// <summary>Found by MVC, which looks for public classes that are in no other.</summary>
[Route("temp-data")]
public sealed class TempDataController : Controller
{
    [HttpGet("write")]
    public IActionResult Write()
    {
        HttpContext.Session.SetString("cart", "tea");
        TempData["message"] = "kept";
        return Content("written");
    }

    [HttpGet("read")]
    public IActionResult Read() => Content(TempData["message"] as string ?? "");
}

public sealed class ResponseStartOnGarnet(InProcessGarnet server) : ResponseStartTests(server);

public sealed class ResponseStartOnRedis(LocalRedis server) : ResponseStartTests(server);

public sealed class ResponseStartInContainer(ContainerRedis server) : ResponseStartTests(server);

public sealed class ResponseStartOnGivenServer(GivenRedis server) : ResponseStartTests(server);
