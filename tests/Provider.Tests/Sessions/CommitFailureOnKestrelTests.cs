using System.Net;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// What a visitor is told when the session could not be stored: that the request failed, or, by option, what the in-box session
/// says, which is nothing. On Kestrel, for what a failure before the first byte and one after it look like is the server's doing.
/// </summary>
[Collection(Alone.Name)]
public sealed class CommitFailureOnKestrelTests : OwnRedisTest
{
    private RedisProcess? _redis;
    private ConnectionMultiplexer? _admin;
    private KestrelSite? _site;

    /// <summary>Why the commit fails (Redis refuses it, or never answers), and the kind of response that waits for it.</summary>
    public static TheoryData<string, string> BeforeTheResponse
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var cause in new[] { "full", "silent" })
            {
                foreach (var path in new[] { "/body", "/large-body", "/redirect", "/without-body", "/json", "/stream" })
                {
                    cases.Add(cause, path);
                }
            }

            return cases;
        }
    }

    private async Task<KestrelSite> StartAsync(CommitFailure? commitFailure, Action<IApplicationBuilder>? beforeSession = null)
    {
        _redis = await RedisAsync("--maxmemory-policy", "noeviction");
        _admin = await ConnectionMultiplexer.ConnectAsync($"{_redis.Address},allowAdmin=true");
        _site = Keep(await KestrelSite.StartAsync(
            _redis.Address + ",syncTimeout=60000,asyncTimeout=60000",
            app =>
            {
                Pages.Map(app);
                app.MapGet("/body", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    return "body";
                });
                app.MapGet("/large-body", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    return new string('x', 1_000_000);
                });
                app.MapGet("/json", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    return Results.Json(new { Saved = true });
                });
                app.MapGet("/redirect", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    return Results.Redirect("/thanks");
                });
                app.MapGet("/without-body", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    return Results.NoContent();
                });
                app.MapGet("/stream", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    for (var i = 0; i < 3; i++)
                    {
                        await context.Response.WriteAsync($"part {i} ");
                        await context.Response.Body.FlushAsync();
                    }
                });
                app.MapGet("/late", async (HttpContext context) =>
                {
                    await context.Response.WriteAsync("first ");
                    await context.Response.Body.FlushAsync();
                    await SetAsync(context);
                    await context.Response.WriteAsync("last");
                });
                app.MapGet("/throws", async (HttpContext context) =>
                {
                    await SetAsync(context);
                    throw new InvalidOperationException("as asked for");
                });
                app.MapGet("/error", () => "sorry");
            },
            Fleet,
            options: o =>
            {
                if (commitFailure is { } chosen)
                {
                    o.CommitFailure = chosen;
                }
            },
            services: services => services.AddSession(o => o.IOTimeout = TimeSpan.FromMilliseconds(500)),
            beforeSession: beforeSession));
        return _site;
    }

    // The session has been loaded by now, so that what fails is the commit.
    private async Task SetAsync(HttpContext context)
    {
        context.Session.SetString("a", "2");
        switch (context.Request.Query["cause"].ToString())
        {
            case "full":
                await FillAsync();
                break;
            case "silent":
                _redis!.Pause();
                break;
        }
    }

    private Task FillAsync() => _admin!.GetServers()[0].ConfigSetAsync("maxmemory", "100kb");

    private Task EmptyAsync() => _admin!.GetServers()[0].ConfigSetAsync("maxmemory", "0");

    private async Task<Browser> VisitorAsync(bool isNew)
    {
        var browser = _site!.NewBrowser();
        await Eventually.TrueAsync(async () =>
        {
            // The first requests of a process wait for its compiler, too.
            using var response = await TrySendAsync(browser, "/set/a/1");
            return response is { IsSuccessStatusCode: true } && await browser.GetAsync("/get/a") == "1";
        });
        _site.Log.Clear();
        return isNew ? _site.NewBrowser() : browser;
    }

    [Fact]
    public void A_failed_commit_fails_the_request_unless_an_option_says_otherwise() =>
        Assert.Equal(CommitFailure.Throw, new RedisSessionOptions().CommitFailure);

    [Theory]
    [MemberData(nameof(BeforeTheResponse))]
    public async Task By_default_the_response_is_an_error_without_a_session_cookie(string cause, string path)
    {
        await StartAsync(null);
        foreach (var isNew in new[] { true, false })
        {
            var browser = await VisitorAsync(isNew);
            try
            {
                using var response = await browser.SendAsync(HttpMethod.Get, $"{path}?cause={cause}");
                Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
                Assert.False(response.Headers.Contains("Set-Cookie"));
                Assert.Null(response.Headers.Location);
                Assert.Equal("", await response.Content.ReadAsStringAsync());
            }
            finally
            {
                _redis!.Resume();
                await EmptyAsync();
            }

            Assert.Contains(_site!.Log.Entries, entry => entry.Level >= LogLevel.Warning);
            if (cause == "full")
            {
                // Redis refused it; what was never answered may have been stored all the same.
                Assert.Equal(isNew ? "" : "1", await browser.GetAsync("/get/a"));
            }
        }
    }

    [Theory]
    [InlineData("full", "/throws", "sorry")]
    [InlineData("silent", "/throws", "sorry")]

    // Where a response that says that all is well cannot start, Kestrel answers by itself, whatever handler there is.
    [InlineData("full", "/body", "")]
    [InlineData("silent", "/body", "")]
    public async Task By_default_an_error_page_is_shown_without_a_session_cookie(string cause, string path, string shown)
    {
        await StartAsync(CommitFailure.Throw, app => app.UseExceptionHandler("/error"));
        var browser = await VisitorAsync(isNew: true);
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, $"{path}?cause={cause}");
            Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
            Assert.False(response.Headers.Contains("Set-Cookie"));
            Assert.Equal(shown, await response.Content.ReadAsStringAsync());
        }
        finally
        {
            _redis!.Resume();
            await EmptyAsync();
        }
    }

    [Theory]
    [InlineData("full")]
    [InlineData("silent")]
    public async Task By_default_a_response_that_has_started_is_cut_off(string cause)
    {
        await StartAsync(CommitFailure.Throw);
        var browser = await VisitorAsync(isNew: false);
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, $"/late?cause={cause}");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync());
        }
        finally
        {
            _redis!.Resume();
            await EmptyAsync();
        }
    }

    [Fact]
    public async Task By_default_every_write_that_was_acknowledged_is_stored()
    {
        await StartAsync(null);
        var browser = await VisitorAsync(isNew: false);
        var acknowledged = new List<string> { "a" };
        for (var i = 0; i < 40; i++)
        {
            await (i % 4 < 2 ? FillAsync() : EmptyAsync());
            using var response = await browser.SendAsync(HttpMethod.Get, $"/set/key{i:00}/1");
            if (response.IsSuccessStatusCode)
            {
                acknowledged.Add($"key{i:00}");
            }
        }

        await EmptyAsync();
        Assert.Equal(string.Join(",", acknowledged), await browser.GetAsync("/keys"));
        Assert.Equal(21, acknowledged.Count);
    }

    [Theory]
    [MemberData(nameof(BeforeTheResponse))]
    public async Task By_option_the_response_goes_out_and_the_failure_is_logged_once(string cause, string path)
    {
        await StartAsync(CommitFailure.Log);
        var expected = path switch
        {
            "/redirect" => HttpStatusCode.Redirect,
            "/without-body" => HttpStatusCode.NoContent,
            _ => HttpStatusCode.OK,
        };
        foreach (var isNew in new[] { true, false })
        {
            var browser = await VisitorAsync(isNew);
            try
            {
                using var response = await browser.SendAsync(HttpMethod.Get, $"{path}?cause={cause}");
                Assert.Equal(expected, response.StatusCode);
                var body = await response.Content.ReadAsStringAsync();
                Assert.Equal(path switch { "/body" => 4, "/large-body" => 1_000_000, "/json" => 14, "/stream" => 21, _ => 0 }, body.Length);
                await Eventually.TrueAsync(() => Failures() > 0, what: "the failure is logged");
                Assert.Equal(1, Failures());
            }
            finally
            {
                _redis!.Resume();
                await EmptyAsync();
            }
        }
    }

    [Theory]
    [InlineData("full")]
    [InlineData("silent")]
    public async Task By_option_a_response_that_has_started_goes_on_and_the_failure_is_logged_once(string cause)
    {
        await StartAsync(CommitFailure.Log);
        var browser = await VisitorAsync(isNew: false);
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, $"/late?cause={cause}");
            Assert.Equal("first last", await response.Content.ReadAsStringAsync());
            await Eventually.TrueAsync(() => Failures() > 0, what: "the failure is logged");
            Assert.Equal(1, Failures());
        }
        finally
        {
            _redis!.Resume();
            await EmptyAsync();
        }
    }

    private int Failures() => _site!.Log.Entries.Count(entry => entry.Level >= LogLevel.Warning);

    public override async ValueTask DisposeAsync()
    {
        if (_admin is not null)
        {
            await _admin.DisposeAsync();
        }

        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
