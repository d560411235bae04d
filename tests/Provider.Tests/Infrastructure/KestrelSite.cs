using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.DataProtection;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>
/// A whole application on Kestrel, for what the in-memory server does in ways of its own: the order and number of OnStarting
/// callbacks, responses without a body, an HttpContext that one connection's requests share, and a thread pool that is blocked.
/// </summary>
public sealed class KestrelSite : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpMessageHandler _connections;

    private KestrelSite(WebApplication app, CapturedLog log)
    {
        _app = app;
        Log = log;
        _connections = NewConnection(maxConnections: int.MaxValue);
    }

    public CapturedLog Log { get; }

    public IServiceProvider Services => _app.Services;

    public ISessionRepository Sessions => Services.GetRequiredService<ISessionRepository>();

    public static Task<KestrelSite> StartAsync(
        string redis,
        Action<WebApplication> map,
        Fleet? fleet = null,
        Action<RedisSessionOptions>? options = null,
        Action<IServiceCollection>? services = null,
        Action<IApplicationBuilder>? beforeSession = null,
        Action<IApplicationBuilder>? afterSession = null) => StartPipelineAsync(
            redis,
            fleet ?? new Fleet(),
            app =>
            {
                beforeSession?.Invoke(app);
                app.UseSession();
                afterSession?.Invoke(app);
                map(app);
            },
            services,
            options: options);

    /// <summary>With a pipeline that is the test's own from end to end.</summary>
    public static async Task<KestrelSite> StartPipelineAsync(
        string redis,
        Fleet fleet,
        Action<WebApplication> pipeline,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null,
        Action<RedisSessionOptions>? options = null)
    {
        var log = new CapturedLog();
        var app = Site.NewBuilder(redis, fleet, log, options, services, addOns).Build();
        app.Urls.Add("http://127.0.0.1:0");
        pipeline(app);
        await app.StartAsync();
        return new KestrelSite(app, log);
    }

    public Browser NewBrowser() => new(_connections, Services.GetRequiredService<IDataProtectionProvider>());

    /// <summary>Whose requests, several browsers' perhaps, follow each other on one connection, as behind a reverse proxy.</summary>
    public HttpMessageHandler NewConnection(int maxConnections = 1)
    {
        var port = new Uri(_app.Urls.Single()).Port;
        return new SocketsHttpHandler
        {
            UseCookies = false,
            AllowAutoRedirect = false,
            MaxConnectionsPerServer = maxConnections,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
    }

    public async ValueTask DisposeAsync()
    {
        _connections.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
