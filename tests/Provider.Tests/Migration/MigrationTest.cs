using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Logging;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Migration;

/// <summary>Servers of Microsoft's stack and of ours on the same Redis.</summary>
public abstract class MigrationTest(RedisServer server) : ServerTest(server)
{
    private readonly List<WebApplication> _old = [];

    protected string Instance { get; } = $"ms{Guid.NewGuid():N}:";

    /// <summary>A server of the old version: AddStackExchangeRedisCache and AddSession.</summary>
    protected async Task<HttpMessageHandler> StartOldAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.WebHost.UseTestServer();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(Fleet.Protection);
        builder.Services.AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (Server.Address, Instance));
        builder.Services.AddSession();
        SignInSite.AddServices(builder.Services);
        var app = builder.Build();
        app.UseSession();
        Map(app);
        await app.StartAsync();
        _old.Add(app);
        return ((TestServer)app.Services.GetRequiredService<IServer>()).CreateHandler();
    }

    protected Task<Site> StartNewAsync(bool writeBoth = false, string? redis = null, Action<WebApplication>? map = null) => StartAsync(
        app =>
        {
            Map(app);
            app.MapGet("/regenerate", (HttpContext context) => context.Session.RegenerateIdAsync());
            app.MapGet("/destroy", (HttpContext context) => context.Session.DestroyAsync());
            map?.Invoke(app);
        },
        redis: redis,
        services: SignInSite.AddServices,
        addOns: builder => builder.AddMicrosoftSessionMigration(Instance, o => o.WriteBoth = writeBoth));

    private static void Map(WebApplication app)
    {
        app.MapGet("/get/{key}", (HttpContext context, string key) => context.Session.GetString(key) ?? "");
        app.MapGet("/set/{key}/{value}", (HttpContext context, string key, string value) => context.Session.SetString(key, value));
        app.MapGet("/keys", (HttpContext context) => string.Join(",", context.Session.Keys.Order()));
        app.MapGet("/login/{user}", (string user) => Results.SignIn(SignInSite.PrincipalOf(user), authenticationScheme: "Cookies"));
        app.MapGet("/whoami", (HttpContext context) => context.User.Identity?.Name ?? "");
    }

    protected async Task<string[]> BlobsAsync()
    {
        var keys = new List<string>();
        foreach (var master in (await Server.AdminAsync()).GetServers())
        {
            keys.AddRange(master.Keys(pattern: $"{Instance}*").Select(key => (string)key!));
        }

        return [.. keys];
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (var app in _old)
        {
            await app.DisposeAsync();
        }

        await base.DisposeAsync();
    }
}
