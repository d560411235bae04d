using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Session;
using Microsoft.AspNetCore.StaticAssets;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Preloading;

/// <summary>UseSession() of a WebApplication: whatever runs behind it finds the session in memory.</summary>
public abstract class UseSessionTests(RedisServer server) : ServerTest(server)
{
    private static void ReadInMiddleware(IApplicationBuilder app) => app.Use((context, next) =>
    {
        context.Response.Headers["before"] = PreloadTests.State(context);
        context.Response.Headers["read"] = $"{context.Session.IsAvailable} {context.Session.GetString("a")}";
        return next(context);
    });

    private static void Map(WebApplication app)
    {
        Pages.Map(app);
        app.MapGet("/state", (HttpContext context) => PreloadTests.State(context));
    }

    private static async Task<(string Before, string Read)> ReadAsync(Browser browser, string path)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, path);
        return (response.Headers.GetValues("before").Single(), response.Headers.GetValues("read").Single());
    }

    /// <summary>A browser whose session holds "a" = "1".</summary>
    private async Task<Browser> VisitorAsync(Site site)
    {
        var session = await site.Sessions.CreateAsync([new("a", "1"u8.ToArray())]);
        var browser = site.NewBrowser();
        browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf(session.SecretKey));
        return browser;
    }

    // Far from Redis, so that no load arrives by chance.
    private RedisProxy Far() => new(Server.Address, TimeSpan.FromMilliseconds(20));

    [Theory]
    [InlineData("/none")]
    [InlineData("/no/such/page")]
    public async Task Middleware_finds_the_session_in_memory(string path)
    {
        using var proxy = Far();
        var site = await StartAsync(Map, redis: proxy.Address, afterSession: ReadInMiddleware);
        Assert.Equal(("loaded", "True 1"), await ReadAsync(await VisitorAsync(site), path));
    }

    [Fact]
    public async Task On_a_pipeline_that_is_no_web_application_the_endpoint_does_and_middleware_waits()
    {
        using var proxy = Far();
        var site = await StartAsync(Map, redis: proxy.Address, useSession: app => ((IApplicationBuilder)app).UseSession());
        var visitor = await VisitorAsync(site);
        Assert.Equal("loaded", await visitor.GetAsync("/state"));
        var reading = await StartAsync(Map, redis: proxy.Address, useSession: app => ((IApplicationBuilder)app).UseSession(), afterSession: ReadInMiddleware);
        reading.TakeOver(visitor);
        Assert.Equal(("not loaded", "True 1"), await ReadAsync(visitor, "/none"));
    }

    [Fact]
    public async Task Routing_behind_it_is_served_as_well()
    {
        using var proxy = Far();
        var site = await StartAsync(Map, redis: proxy.Address, afterSession: app =>
        {
            ReadInMiddleware(app);
            app.UseRouting();
        });
        var visitor = await VisitorAsync(site);
        Assert.Equal(("loaded", "True 1"), await ReadAsync(visitor, "/none"));
        Assert.Equal("loaded", await visitor.GetAsync("/state"));
    }

    [Fact]
    public async Task It_sends_what_is_sent_without_it()
    {
        var counted = new List<string>();
        foreach (var useSession in new Action<WebApplication>[] { app => ((IApplicationBuilder)app).UseSession(), app => app.UseSession() })
        {
            using var proxy = new RedisProxy(Server.Address);
            var site = await StartAsync(Map, redis: proxy.Address, afterSession: ReadInMiddleware, useSession: useSession);
            var visitor = await VisitorAsync(site);
            await visitor.GetAsync("/get/a");
            foreach (var path in new[] { "/get/a", "/none", "/no/such/page" })
            {
                var before = proxy.Snapshot();
                await ReadAsync(visitor, path);
                counted.Add($"{path}: {string.Join(' ', (proxy.Snapshot() - before).Commands)}");
            }
        }

        Assert.Equal("/get/a: HGET", counted[0]);
        Assert.Equal(counted[..(counted.Count / 2)], counted[(counted.Count / 2)..]);
    }

    [Fact]
    public async Task What_needs_no_session_does_not_wait_for_redis()
    {
        using var redis = new HeldRedis(Server.Address);
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "plain.txt"), "plain");
            var site = await StartAsync(
                app =>
                {
                    Map(app);
                    app.MapGet("/off", () => "off").DisableSessionPreload();
                    app.MapGet("/asset", () => "asset").WithMetadata(
                        new StaticAssetDescriptor { Route = "asset", AssetPath = "asset", Selectors = [], ResponseHeaders = [], Properties = [] });
                },
                redis: redis.Address,
                beforeSession: app => app.UseStaticFiles(new StaticFileOptions { FileProvider = new PhysicalFileProvider(folder.FullName) }));
            var visitor = await VisitorAsync(site);
            _ = redis.HoldAsync();
            foreach (var (browser, path, answer) in new[]
            {
                (visitor, "/off", "off"), (visitor, "/asset", "asset"), (visitor, "/plain.txt", "plain"), (site.NewBrowser(), "/none", "none"), (site.NewBrowser(), "/get/a", ""),
            })
            {
                Assert.Equal(answer, await browser.GetAsync(path).WaitAsync(TimeSpan.FromSeconds(20)));
            }

            redis.Release();
            Assert.Equal("1", await visitor.GetAsync("/get/a"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Files_behind_it_are_served_with_and_without_redis()
    {
        using var redis = new HeldRedis(Server.Address);
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "plain.txt"), "plain");
            var site = await StartAsync(
                Map, redis: redis.Address, afterSession: app => app.UseStaticFiles(new StaticFileOptions { FileProvider = new PhysicalFileProvider(folder.FullName) }));
            var visitor = await VisitorAsync(site);
            Assert.Equal("plain", await visitor.GetAsync("/plain.txt"));
            redis.Dispose();
            Assert.Equal("plain", await visitor.GetAsync("/plain.txt"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task It_is_off_where_preloading_is_off()
    {
        using var proxy = Far();
        var site = await StartAsync(Map, redis: proxy.Address, options: o => o.PreloadSession = false, afterSession: ReadInMiddleware);
        Assert.Equal(("not loaded", "True 1"), await ReadAsync(await VisitorAsync(site), "/none"));
    }

    [Fact]
    public async Task A_failed_load_is_not_thrown_and_is_logged_once_by_whoever_reads()
    {
        var site = await StartAsync(Map, afterSession: app => app.UseWhen(context => context.Request.Query.ContainsKey("read"), ReadInMiddleware));
        var session = await site.Sessions.CreateAsync([new("a", "1"u8.ToArray())]);
        var browser = site.NewBrowser();
        browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf(session.SecretKey));
        var db = await DatabaseAsync();
        await db.KeyDeleteAsync(KeyOf(session.Id));
        await db.StringSetAsync(KeyOf(session.Id), "wrong type");
        Assert.Equal("none", await browser.GetAsync("/none"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
        Assert.Equal(("not loaded", "False "), await ReadAsync(browser, "/get/a?read"));
        Assert.Single(site.Log.Ours, entry => entry.Level == LogLevel.Error);
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    public async Task A_pipeline_executed_again_finds_the_same_session_without_another_load(string how)
    {
        using var proxy = Far();
        var seen = new List<(ISession Session, string State)>();
        var site = await StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapGet("/fails/{how}", (string how) => how == "exception" ? throw new InvalidOperationException("On purpose.") : Results.NotFound());
                app.MapGet("/error", (HttpContext context) => context.Session.GetString("a"));
            },
            redis: proxy.Address,
            beforeSession: app => app.UseExceptionHandler("/error").UseStatusCodePagesWithReExecute("/error"),
            afterSession: app => app.Use((context, next) =>
            {
                seen.Add((context.Session, PreloadTests.State(context)));
                return next(context);
            }));
        var visitor = await VisitorAsync(site);
        await visitor.GetAsync("/none");
        seen.Clear();
        var before = proxy.Snapshot();
        using var response = await visitor.SendAsync(HttpMethod.Get, $"/fails/{how}");
        Assert.Equal("1", await response.Content.ReadAsStringAsync());
        Assert.Equal(["HGET"], (proxy.Snapshot() - before).Commands);
        Assert.Equal(["loaded", "loaded"], seen.Select(one => one.State));
        Assert.Same(seen[0].Session, seen[1].Session);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_is_not_ours_is_left_as_the_box_gives_it(bool withOptions)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseTestServer();
        builder.Services.AddDistributedMemoryCache().AddSession();
        await using var app = builder.Build();
        if (withOptions)
        {
            app.UseSession(new SessionOptions { Cookie = { Name = "own" } });
        }
        else
        {
            app.UseSession();
        }

        Pages.Map(app);
        app.MapGet("/type", (HttpContext context) => $"{context.Session.GetType().Name} {context.Features.Get<ISessionFeature>()!.GetType().Name}");
        await app.StartAsync();
        var browser = new Browser(app.GetTestServer().CreateHandler());
        Assert.Equal("DistributedSession SessionFeature", await browser.GetAsync("/type"));
        await browser.GetAsync("/set/a/1");
        Assert.Equal([withOptions ? "own" : Browser.SessionCookie], browser.Cookies.Keys);
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task Another_store_put_in_place_of_ours_is_left_as_it_is()
    {
        var site = await StartAsync(
            Map,
            services: services => services.AddDistributedMemoryCache(),
            addOns: sessions => sessions.Services.AddTransient<ISessionStore, DistributedSessionStore>());
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }
}

public sealed class UseSessionOnGarnet(InProcessGarnet server) : UseSessionTests(server);

public sealed class UseSessionOnRedis(LocalRedis server) : UseSessionTests(server);
