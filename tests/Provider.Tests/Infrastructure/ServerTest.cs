using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>A test case that runs over every server kind; see the derived classes beside each abstract one.</summary>
public abstract class ServerTest : IAsyncLifetime
{
    private readonly List<IAsyncDisposable> _sites = [];

    protected ServerTest(RedisServer server)
    {
        server.SkipIfMissing();
        Server = server;
    }

    protected RedisServer Server { get; }

    protected Fleet Fleet { get; set; } = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    protected async Task<Site> StartAsync(
        Action<WebApplication>? map = null,
        string? redis = null,
        Action<RedisSessionOptions>? options = null,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null,
        Action<IApplicationBuilder>? beforeSession = null,
        Action<IApplicationBuilder>? afterSession = null,
        LogLevel logLevel = LogLevel.Trace,
        Action<WebApplication>? useSession = null)
    {
        var site = await Site.StartAsync(
            (redis ?? Server.Address) + RedisServer.Patient, map ?? (_ => { }), Fleet, options, services, addOns, beforeSession, afterSession, logLevel, useSession);
        _sites.Add(site);
        return site;
    }

    protected async Task<IDatabase> DatabaseAsync() => (await Server.AdminAsync()).GetDatabase();

    protected string KeyOf(string sessionId) => $"{Fleet.Prefix}{{{sessionId}}}";

    /// <summary>A session outside a request, as SessionMiddleware would ask the store for it.</summary>
    protected static ISession Open(Site site, string secret, bool isNew = false, TimeSpan? idle = null, TimeSpan? io = null) =>
        site.Services.GetRequiredService<ISessionStore>().Create(
            secret, idle ?? TimeSpan.FromMinutes(20), io ?? TimeSpan.FromMinutes(1), () => true, isNew);

    protected static string NewSecret() => Guid.NewGuid().ToString();

    public virtual async ValueTask DisposeAsync()
    {
        CompatibilityMatrix.Note(GetType(), Server);
        foreach (var site in _sites)
        {
            await site.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }
}
