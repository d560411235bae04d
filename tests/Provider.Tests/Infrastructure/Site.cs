using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Session;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>A whole application in memory, as one server of a fleet: same Redis, same key prefix, same data protection keys.</summary>
public sealed class Site : IAsyncDisposable
{
    private readonly WebApplication _app;
    private bool _killed;

    private Site(WebApplication app, CapturedLog log)
    {
        _app = app;
        Log = log;
    }

    public CapturedLog Log { get; }

    public IServiceProvider Services => _app.Services;

    public ISessionRepository Sessions => Services.GetRequiredService<ISessionRepository>();

    public TestServer Server => (TestServer)_app.Services.GetRequiredService<IServer>();

    public static async Task<Site> StartAsync(
        string redis,
        Action<WebApplication> map,
        Fleet? fleet = null,
        Action<RedisSessionOptions>? options = null,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null,
        Action<IApplicationBuilder>? beforeSession = null,
        Action<IApplicationBuilder>? afterSession = null,
        LogLevel logLevel = LogLevel.Trace,
        Action<WebApplication>? useSession = null)
    {
        var log = new CapturedLog();
        var builder = NewBuilder(redis, fleet ?? new Fleet(), log, options, services, addOns, logLevel);
        builder.WebHost.UseTestServer();
        var app = builder.Build();
        beforeSession?.Invoke(app);
        (useSession ?? (static app => app.UseSession())).Invoke(app);
        afterSession?.Invoke(app);
        map(app);
        await app.StartAsync();
        return new Site(app, log);
    }

    /// <summary>What every application of a test is built from, whichever server it then runs on.</summary>
    public static WebApplicationBuilder NewBuilder(
        string redis,
        Fleet fleet,
        CapturedLog log,
        Action<RedisSessionOptions>? options,
        Action<IServiceCollection>? services,
        Action<RedisSessionBuilder>? addOns,
        LogLevel logLevel = LogLevel.Trace)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = Environments.Production });
        builder.Configuration.Sources.Clear();
        builder.Logging.ClearProviders().SetMinimumLevel(logLevel).AddProvider(log);
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();
        builder.Services.AddSingleton(fleet.Protection);
        builder.Services.AddSingleton(fleet.Clock);
        services?.Invoke(builder.Services);
        var sessions = builder.Services.AddRedisSession(redis, o =>
        {
            o.KeyPrefix = fleet.Prefix;
            options?.Invoke(o);
        });
        addOns?.Invoke(sessions);
        return builder;
    }

    public Browser NewBrowser() => new(Server.CreateHandler(), Services.GetRequiredService<IDataProtectionProvider>());

    /// <summary>The same browser, whose requests from now on reach this server.</summary>
    public void TakeOver(Browser browser) => browser.Server = Server.CreateHandler();

    /// <summary>Ends as a killed process does: nothing that it still had to do is done.</summary>
    public ValueTask KillAsync()
    {
        _killed = true;
        return _app.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_killed)
        {
            return;
        }

        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}

/// <summary>What the servers of one fleet share.</summary>
public sealed class Fleet
{
    public string Prefix { get; init; } = $"t{Guid.NewGuid():N}:";

    public IDataProtectionProvider Protection { get; init; } = new EphemeralDataProtectionProvider();

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The value of the cookie of a session that this fleet may or may not have.</summary>
    public string CookieOf(string secret) => Uri.EscapeDataString(
        Convert.ToBase64String(Protection.CreateProtector(nameof(SessionMiddleware)).Protect(Encoding.UTF8.GetBytes(secret))).TrimEnd('='));
}
