using System.Net;
using System.Security.Claims;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.Logging;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Preloading;

/// <summary>The wrapped endpoint: the load is awaited first, and everything else about the endpoint is as it was.</summary>
public sealed class PreloadTests(InProcessGarnet garnet) : ServerTest(garnet)
{
    public static string State(HttpContext context) => ((RedisSession)context.Session).IsLoaded ? "loaded" : "not loaded";

    private async Task<(Site Site, Browser Browser)> SignedInAsync(
        Action<WebApplication> map,
        Action<RedisSessionOptions>? options = null,
        Action<IServiceCollection>? services = null,
        Action<IApplicationBuilder>? afterSession = null)
    {
        // Far from Redis, so that no load arrives by chance before the endpoint runs.
        var proxy = new RedisProxy(Server.Address, TimeSpan.FromMilliseconds(20));
        var site = await StartAsync(
            app =>
            {
                RedisSessions.Tests.Infrastructure.Pages.Map(app);
                map(app);
            },
            redis: proxy.Address,
            options: options,
            services: services,
            afterSession: afterSession);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        return (site, browser);
    }

    [Fact]
    public async Task The_session_is_loaded_before_mvc_razor_pages_and_minimal_endpoints_run()
    {
        var (_, browser) = await SignedInAsync(
            app =>
            {
                app.MapGet("/minimal/{name}", (HttpContext context, string name) => $"{State(context)}:{name}:{context.Session.GetString("a")}");
                app.MapControllers();
                app.MapControllerRoute("default", "{controller=Preload}/{action=Conventional}/{name?}");
                app.MapRazorPages();
                app.MapDynamicControllerRoute<ToPreload>("dynamic/{name}");
                app.MapFallback((HttpContext context) => $"{State(context)}:fallback:{context.Session.GetString("a")}");
            },
            services: services =>
            {
                services.AddRazorPages(o => o.RootDirectory = "/Preloading/Pages");
                services.AddControllersWithViews().AddApplicationPart(typeof(PreloadTests).Assembly);
                services.AddSingleton<ToPreload>();
            });
        Assert.Equal("loaded:x:1", await browser.GetAsync("/minimal/x"));
        Assert.Equal("loaded:x:1", await browser.GetAsync("/attribute/x"));
        Assert.Equal("loaded:x:1", await browser.GetAsync("/Preload/Conventional/x"));
        Assert.Equal("loaded:x:1", (await browser.GetAsync("/razor/x")).Trim());
        Assert.Equal("loaded:x:1", await browser.GetAsync("/dynamic/x"));
        Assert.Equal("loaded:fallback:1", await browser.GetAsync("/nowhere/at/all"));
    }

    [Fact]
    public async Task It_can_be_turned_off_for_an_endpoint_and_altogether()
    {
        var (_, browser) = await SignedInAsync(app =>
        {
            app.MapGet("/off", (HttpContext context) => State(context)).DisableSessionPreload();
            app.MapGet("/attribute-off", [SessionPreload(false)] (HttpContext context) => State(context));
            app.MapGet("/on", (HttpContext context) => State(context));
        });
        Assert.Equal("not loaded", await browser.GetAsync("/off"));
        Assert.Equal("not loaded", await browser.GetAsync("/attribute-off"));
        Assert.Equal("loaded", await browser.GetAsync("/on"));

        var (_, plain) = await SignedInAsync(app => app.MapGet("/on", (HttpContext context) => State(context)), options: o => o.PreloadSession = false);
        Assert.Equal("not loaded", await plain.GetAsync("/on"));
    }

    [Fact]
    public async Task Metadata_names_route_values_and_link_generation_are_kept()
    {
        var (_, browser) = await SignedInAsync(app =>
        {
            app.MapGet("/item/{id:int}", (HttpContext context, LinkGenerator links, int id) =>
            {
                var endpoint = (RouteEndpoint)context.GetEndpoint()!;
                return string.Join('|',
                    endpoint.Metadata.GetMetadata<EndpointNameMetadata>()!.EndpointName,
                    endpoint.Metadata.GetMetadata<Marker>()!.Text,
                    endpoint.RoutePattern.RawText,
                    endpoint.DisplayName,
                    context.Request.RouteValues["id"],
                    links.GetPathByName("item", new { id = id + 1 }));
            }).WithName("item").WithMetadata(new Marker("kept")).WithDisplayName("shown");
        });
        Assert.Equal("item|kept|/item/{id:int}|shown|7|/item/8", await browser.GetAsync("/item/7"));
        using var wrong = await browser.SendAsync(HttpMethod.Get, "/item/x");
        Assert.Equal(HttpStatusCode.NotFound, wrong.StatusCode);
        using var method = await browser.SendAsync(HttpMethod.Post, "/item/7");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, method.StatusCode);
    }

    [Fact]
    public async Task Authorization_cors_antiforgery_output_caching_and_health_endpoints_work()
    {
        var runs = 0;
        var (_, browser) = await SignedInAsync(
            app =>
            {
                app.MapGet("/secret", () => "secret").RequireAuthorization();
                app.MapGet("/login", (HttpContext context) => Results.SignIn(
                    new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, "ada")], "Cookies")), authenticationScheme: "Cookies"));
                app.MapGet("/shared", () => "shared").RequireCors("open");
                app.MapGet("/token", (HttpContext context, IAntiforgery antiforgery) => antiforgery.GetAndStoreTokens(context).RequestToken);
                app.MapPost("/form", ([FromForm] string text) => text);
                app.MapGet("/cached", () => $"{++runs}").CacheOutput(policy => policy.Expire(TimeSpan.FromMinutes(1)).With(_ => true));
                app.MapHealthChecks("/health");
            },
            services: services =>
            {
                services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie();
                services.AddAuthorization();
                services.AddCors(o => o.AddPolicy("open", policy => policy.WithOrigins("http://elsewhere")));
                services.AddAntiforgery();
                services.AddOutputCache();
                services.AddHealthChecks();
            },
            afterSession: app =>
            {
                app.UseRouting();
                app.UseCors();
                app.UseAuthentication();
                app.UseAuthorization();
                app.UseAntiforgery();
                app.UseOutputCache();
            });

        using (var refused = await browser.SendAsync(HttpMethod.Get, "/secret"))
        {
            Assert.Equal(HttpStatusCode.Redirect, refused.StatusCode);
        }

        await browser.GetAsync("/login");
        Assert.Equal("secret", await browser.GetAsync("/secret"));

        browser.Headers["Origin"] = "http://elsewhere";
        using (var shared = await browser.SendAsync(HttpMethod.Get, "/shared"))
        {
            Assert.Equal(["http://elsewhere"], shared.Headers.GetValues("Access-Control-Allow-Origin"));
        }

        browser.Headers.Clear();
        var token = await browser.GetAsync("/token");
        using (var form = await browser.SendAsync(HttpMethod.Post, "/form", new FormUrlEncodedContent([new("text", "hello"), new("__RequestVerificationToken", token)])))
        {
            Assert.Equal("hello", (await form.Content.ReadAsStringAsync()).Trim('"'));
        }

        using (var forged = await browser.SendAsync(HttpMethod.Post, "/form", new FormUrlEncodedContent([new("text", "hello")])))
        {
            Assert.Equal(HttpStatusCode.BadRequest, forged.StatusCode);
        }

        Assert.Equal("Healthy", await browser.GetAsync("/health"));
        var stranger = browser.Copy();
        await stranger.GetAsync("/cached");
        Assert.True(runs >= 1);
    }

    [Fact]
    public async Task SignalR_hubs_work()
    {
        var (site, browser) = await SignedInAsync(app => app.MapHub<Echo>("/hub"), services: services => services.AddSignalR());
        using var negotiated = await browser.SendAsync(HttpMethod.Post, "/hub/negotiate?negotiateVersion=1");
        Assert.Equal(HttpStatusCode.OK, negotiated.StatusCode);
        Assert.Contains("connectionToken", await negotiated.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        var client = site.Server.CreateWebSocketClient();
        var socket = await client.ConnectAsync(new Uri("ws://localhost/hub"), CancellationToken.None);
        await socket.SendAsync("{\"protocol\":\"json\",\"version\":1}\u001e"u8.ToArray(), System.Net.WebSockets.WebSocketMessageType.Text, true, CancellationToken.None);
        var buffer = new byte[100];
        var answer = await socket.ReceiveAsync(buffer, CancellationToken.None);
        Assert.Equal("{}\u001e"u8, buffer.AsSpan(0, answer.Count));
    }

    [Fact]
    public async Task A_failed_load_is_not_thrown_before_the_endpoint_and_is_logged_once_by_whoever_reads()
    {
        var (site, browser) = await SignedInAsync(app => app.MapGet("/read", (HttpContext context) => $"{context.Session.IsAvailable}:{context.Session.GetString("a")}"));
        var id = await browser.GetAsync("/id");
        var db = await DatabaseAsync();
        await db.KeyDeleteAsync(KeyOf(id));
        await db.StringSetAsync(KeyOf(id), "wrong type");
        site.Log.Clear();
        Assert.Equal("False:", await browser.GetAsync("/read"));
        Assert.Single(site.Log.Ours, entry => entry.Level == LogLevel.Error);
        site.Log.Clear();
        Assert.Equal("none", await browser.GetAsync("/none"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
    }

    private sealed record Marker(string Text);

    private sealed class Echo : Hub;

    private sealed class ToPreload : Microsoft.AspNetCore.Mvc.Routing.DynamicRouteValueTransformer
    {
        public override ValueTask<RouteValueDictionary> TransformAsync(HttpContext httpContext, RouteValueDictionary values)
        {
            values["controller"] = "Preload";
            values["action"] = "Conventional";
            return ValueTask.FromResult(values);
        }
    }
}

public sealed class PreloadController : Controller
{
    [HttpGet("/attribute/{name}")]
    public string Attributed(string name) => $"{PreloadTests.State(HttpContext)}:{name}:{HttpContext.Session.GetString("a")}";

    public string Conventional(string name) => $"{PreloadTests.State(HttpContext)}:{name}:{HttpContext.Session.GetString("a")}";
}
