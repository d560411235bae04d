using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>
/// An application on a real Kestrel, whose pipeline is the test's own: for what the in-memory server does differently (an
/// unhandled exception) and for pipelines that <see cref="Site"/> does not build.
/// </summary>
public sealed class KestrelSite : IAsyncDisposable
{
    private readonly WebApplication _app;

    private KestrelSite(WebApplication app, CapturedLog log)
    {
        _app = app;
        Log = log;
    }

    public CapturedLog Log { get; }

    public IServiceProvider Services => _app.Services;

    public ISessionRepository Sessions => Services.GetRequiredService<ISessionRepository>();

    public static async Task<KestrelSite> StartAsync(
        string redis,
        Fleet fleet,
        Action<WebApplication> pipeline,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null)
    {
        var log = new CapturedLog();
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = Environments.Production });
        builder.Configuration.Sources.Clear();
        builder.WebHost.UseKestrel(options => options.Listen(IPAddress.Loopback, 0));
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Trace).AddProvider(log);
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();
        builder.Services.AddSingleton(fleet.Protection);
        builder.Services.AddSingleton(fleet.Clock);
        services?.Invoke(builder.Services);
        var sessions = builder.Services.AddRedisSession(redis, o => o.KeyPrefix = fleet.Prefix);
        addOns?.Invoke(sessions);

        var app = builder.Build();
        pipeline(app);
        await app.StartAsync();
        return new KestrelSite(app, log);
    }

    public Browser NewBrowser()
    {
        var addresses = Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!;
        var port = new Uri(addresses.Addresses.First()).Port;
        var handler = new SocketsHttpHandler
        {
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        return new Browser(handler, Services.GetRequiredService<IDataProtectionProvider>());
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
