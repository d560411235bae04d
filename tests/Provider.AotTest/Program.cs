// Everything that the library offers, in one application compiled ahead of time, driven over HTTP. Argument: a Redis
// server's address. Ends with 0 if all of it worked.
using System.Net;
using System.Net.WebSockets;
using System.Security.Claims;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.Caching.Distributed;
using RedisSessions;
using RedisSessions.AotTest;
using RedisSessions.Json;

if (args is not [var redis])
{
    Console.Error.WriteLine("Say which Redis: RedisSessions.AotTest 127.0.0.1:6379");
    return 2;
}

const string HubStep = "the hub";
var prefix = $"aot:{Guid.NewGuid():N}:";
// Plain HTTP: elsewhere AddSecurity() makes the cookie Secure.
var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = Environments.Development });
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Services.AddAuthentication("Cookies").AddCookie("Cookies");
builder.Services.AddAuthorization();
builder.Services.AddRedisSession(options => (options.Configuration, options.KeyPrefix) = (redis, prefix))
    .AddUserIndex()
    .AddSecurity()
    .AddEncryption()
    .AddAnalytics()
    .AddTicketStore()
    .AddLiveConnections()
    .AddMicrosoftSessionMigration("former:");
builder.Services.AddRedisHashCache(redis, options => options.InstanceName = prefix + "cache:");
builder.Services.AddHealthChecks().AddRedisSession();
builder.Services.AddSignalR().AddJsonProtocol(options => options.PayloadSerializerOptions.TypeInfoResolverChain.Insert(0, AotJson.Default));

await using var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
app.UseSession();
app.MapGet("/sign-in", (HttpContext context) =>
{
    context.Session.SetString("cart", "tea");
    return context.SignInAsync(new ClaimsPrincipal(new ClaimsIdentity([new(ClaimTypes.NameIdentifier, "ada")], "Cookies")));
});
app.MapGet("/read", (HttpContext context) => context.Response.WriteAsync($"{context.User.FindFirstValue(ClaimTypes.NameIdentifier)} {context.Session.GetString("cart")}"));
app.MapGet("/typed", async (HttpContext context) =>
{
    context.Session.Set("basket", new Basket("tea", 3), AotJson.Default.Basket);
    var basket = context.Session.Get("basket", AotJson.Default.Basket);
    await context.Response.WriteAsync($"{basket?.Product} {basket?.Count} {await context.Session.IncrementAsync("hits")}");
});
app.MapGet("/regenerate", (HttpContext context) => context.Session.RegenerateIdAsync());
app.MapGet("/sessions", async (HttpContext context) =>
    await context.Response.WriteAsync($"{await context.RequestServices.GetRequiredService<IUserSessions>().CountAsync("ada")}"));
app.MapGet("/revoke", async (HttpContext context) => { await context.RequestServices.GetRequiredService<IUserSessions>().RevokeAllAsync("ada"); });
app.MapGet("/cache", async (HttpContext context) =>
{
    var cache = context.RequestServices.GetRequiredService<IDistributedCache>();
    await cache.SetStringAsync("key", "value");
    await context.Response.WriteAsync(await cache.GetStringAsync("key") ?? "");
});
app.MapHealthChecks("/health");
app.MapHub<CartHub>("/hub");
await app.StartAsync();

var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
var cookies = new CookieContainer();
using var client = new HttpClient(new HttpClientHandler { CookieContainer = cookies }) { BaseAddress = new Uri(address) };
(string Path, string Expected)[] steps =
[
    ("/sign-in", ""),
    ("/read", "ada tea"),
    ("/typed", "tea 3 1"),
    ("/typed", "tea 3 2"),
    ("/regenerate", ""),
    ("/read", "ada tea"),
    ("/sessions", "1"),
    ("/cache", "value"),
    ("/health", "Healthy"),
    (HubStep, "tea"),
    ("/revoke", ""),
    ("/read", " "),
];
ClientWebSocket? hub = null;
foreach (var (path, expected) in steps)
{
    if (path == HubStep)
    {
        hub = new ClientWebSocket();
        hub.Options.Cookies = cookies;
        await hub.ConnectAsync(new UriBuilder(address) { Scheme = "ws", Path = "/hub" }.Uri, CancellationToken.None);
        await SayAsync(hub, """{"protocol":"json","version":1}""");
        await HearAsync(hub);
        await SayAsync(hub, """{"type":1,"invocationId":"1","target":"Read","arguments":["cart"]}""");
        var said = await HearAsync(hub);
        if (!said.Contains($"\"{expected}\"", StringComparison.Ordinal))
        {
            Console.Error.WriteLine($"The hub answered {said}");
            return 1;
        }

        continue;
    }

    using var response = await client.GetAsync(path);
    var answer = await response.Content.ReadAsStringAsync();
    if (response.StatusCode != HttpStatusCode.OK || answer != expected)
    {
        Console.Error.WriteLine($"{path} answered {(int)response.StatusCode} \"{answer}\" instead of \"{expected}\".");
        return 1;
    }
}

// The session was revoked.
while (hub!.State == WebSocketState.Open)
{
    await HearAsync(hub);
}

hub.Dispose();
await app.StopAsync();
Console.WriteLine($"{steps.Length} steps as expected.");
return 0;

static Task SayAsync(WebSocket hub, string message) => hub.SendAsync(Encoding.UTF8.GetBytes(message + '\u001e'), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

static async Task<string> HearAsync(WebSocket hub)
{
    var buffer = new byte[4096];
    try
    {
        var received = await hub.ReceiveAsync(buffer, new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token);
        return Encoding.UTF8.GetString(buffer, 0, received.Count);
    }
    catch (WebSocketException)
    {
        return "";
    }
}

namespace RedisSessions.AotTest
{
    internal sealed class CartHub(ILiveSession live) : Hub
    {
        public async Task<string?> Read(string key) => (await live.LoadAsync())?.GetString(key);
    }

    internal sealed record Basket(string Product, int Count);

    [JsonSerializable(typeof(Basket))]
    [JsonSerializable(typeof(string))]
    internal sealed partial class AotJson : JsonSerializerContext;
}
