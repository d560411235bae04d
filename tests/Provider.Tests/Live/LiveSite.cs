using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using RedisSessions.Redis;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Live;

/// <summary>A site with a hub, a WebSocket and server-sent events, as one server of a fleet.</summary>
internal sealed class LiveSite(KestrelSite site, Uri address) : IAsyncDisposable
{
    private StrongBox<int> _polls = null!;
    private StrongBox<int> _posts = null!;

    public KestrelSite Site { get; } = site;

    /// <summary>How often clients of the hub asked for messages.</summary>
    public int Polls => Volatile.Read(ref _polls.Value);

    /// <summary>How often they sent some, pings among them.</summary>
    public int Posts => Volatile.Read(ref _posts.Value);

    public Uri Address { get; } = address;

    public IServiceProvider Services => Site.Services;

    public static async Task<LiveSite> StartAsync(
        string redis,
        Fleet fleet,
        Action<LiveConnectionOptions>? live = null,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null,
        Action<WebApplication>? map = null,
        Action<WebApplication>? behindSession = null,
        Action<RedisSessionOptions>? options = null,
        bool withUsers = true)
    {
        Uri? address = null;
        var (polls, posts) = (new StrongBox<int>(), new StrongBox<int>());
        var site = await KestrelSite.StartPipelineAsync(
            redis,
            fleet,
            app =>
            {
                app.UseWebSockets();
                app.Use((context, next) =>
                {
                    if (context.Request.Path == "/hub")
                    {
                        Interlocked.Increment(ref (HttpMethods.IsGet(context.Request.Method) ? polls : posts).Value);
                    }

                    return next(context);
                });
                app.UseAuthentication();
                app.UseSession();
                behindSession?.Invoke(app);
                app.UseAuthorization();
                SignInSite.Map(app);
                app.MapHub<TalkHub>("/hub", options => options.LongPolling.PollTimeout = TimeSpan.FromMilliseconds(200));
                app.MapGet("/ws", EchoAsync).CloseWithSession();
                app.MapGet("/events", (HttpContext context) => StreamAsync(context)).CloseWithSession();
                app.MapGet("/owner-idle/{seconds:int}", (HttpContext context, int seconds) => context.Session.SetIdleTimeout(TimeSpan.FromSeconds(seconds)));
                map?.Invoke(app);
                app.Lifetime.ApplicationStarted.Register(() => address = new Uri(app.Urls.Single()));
            },
            collection =>
            {
                SignInSite.AddServices(collection);
                collection.AddSignalR(options => options.EnableDetailedErrors = true);
                services?.Invoke(collection);
            },
            builder =>
            {
                _ = withUsers ? builder.AddUserIndex() : builder;
                builder.AddLiveConnections(live);
                addOns?.Invoke(builder);
            },
            options);
        return new LiveSite(site, address!) { _polls = polls, _posts = posts };
    }

    public static IEnumerable<HttpTransportType> Transports => [HttpTransportType.WebSockets, HttpTransportType.ServerSentEvents, HttpTransportType.LongPolling];

    private static async Task EchoAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[1024];
        while (await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted) is { MessageType: not WebSocketMessageType.Close } received)
        {
            await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, context.RequestAborted);
        }
    }

    private static async Task StreamAsync(HttpContext context)
    {
        await context.Response.WriteAsync("begun\n");
        await context.Response.Body.FlushAsync();
        await Task.Delay(Timeout.Infinite, context.RequestAborted);
    }

    /// <summary>Waits until this server is sure to hear, so that what happens next is known by what it heard.</summary>
    public Task HearsAsync() => Eventually.TrueAsync(() => Services.GetRequiredService<RedisFeed>().Epoch != 0, what: "changes are heard");

    public Browser NewBrowser() => Site.NewBrowser();

    /// <summary>The same browser, at this server.</summary>
    public Browser BrowserOf(Browser other)
    {
        var here = NewBrowser();
        foreach (var (name, value) in other.Cookies)
        {
            here.SetCookie(name, value);
        }

        return here;
    }

    public async Task<HubClient> ConnectAsync(Browser browser, HttpTransportType transport = HttpTransportType.WebSockets, TimeSpan? pings = null)
    {
        var client = new HubClient(new Uri(Address, "/hub"), browser, transport);
        client.Connection.KeepAliveInterval = pings ?? client.Connection.KeepAliveInterval;
        await client.StartAsync();
        return client;
    }

    public async Task<ClientWebSocket> OpenSocketAsync(Browser browser)
    {
        var socket = new ClientWebSocket();
        if (browser.Cookies.Count > 0)
        {
            socket.Options.SetRequestHeader("Cookie", HubClient.CookiesOf(browser));
        }

        await socket.ConnectAsync(new UriBuilder(Address) { Scheme = "ws", Path = "/ws" }.Uri, CancellationToken.None);
        return socket;
    }

    public ValueTask DisposeAsync() => Site.DisposeAsync();
}

/// <summary>A client of the hub with a browser's cookies, which does not connect again by itself.</summary>
internal sealed class HubClient : IAsyncDisposable
{
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HubClient(Uri address, Browser browser, HttpTransportType transport)
    {
        Connection = new HubConnectionBuilder().WithUrl(address, transport, options =>
        {
            if (browser.Cookies.Count > 0)
            {
                options.Headers["Cookie"] = CookiesOf(browser);
            }
        }).Build();
        Connection.Closed += _ =>
        {
            _closed.TrySetResult();
            return Task.CompletedTask;
        };
    }

    public HubConnection Connection { get; }

    /// <summary>Ends when the server has closed it.</summary>
    public Task Closed => _closed.Task;

    public static string CookiesOf(Browser browser) => string.Join("; ", browser.Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}"));

    public Task StartAsync() => Connection.StartAsync();

    public Task<string> SayAsync(string text) => Connection.InvokeAsync<string>(nameof(TalkHub.Say), text);

    public Task<string?> ReadAsync(string key) => Connection.InvokeAsync<string?>(nameof(TalkHub.Read), key);

    public Task<bool> WriteAsync(string key, string value) => Connection.InvokeAsync<bool>(nameof(TalkHub.Write), key, value);

    public ValueTask DisposeAsync() => Connection.DisposeAsync();
}

/// <summary>What a live site's browsers talk to.</summary>
internal sealed class TalkHub(ILiveSession live) : Hub
{
    public string Say(string text) => text;

    public async Task<string?> Read(string key) => await live.LoadAsync() is { } session ? session.GetString(key) ?? "" : null;

    public async Task<bool> Write(string key, string value)
    {
        if (await live.LoadAsync() is not { } session)
        {
            return false;
        }

        session.SetString(key, value);
        await session.CommitAsync();
        return true;
    }

    public async Task End() => await (await live.LoadAsync())!.DestroyAsync();

    /// <summary>Never comes back.</summary>
    public Task Wait() => Task.Delay(Timeout.Infinite, CancellationToken.None);

    /// <summary>Nor does this, and it has a thread.</summary>
    public void Block(Gate gate) => Thread.Sleep(gate.Milliseconds);

    public sealed record Gate(int Milliseconds);
}
