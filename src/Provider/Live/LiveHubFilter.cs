using Microsoft.AspNetCore.Components.Server.Circuits;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace RedisSessions.Live;

/// <summary>Lets the connections of all hubs belong to their sessions, whichever transport they have.</summary>
internal sealed class LiveHubFilter(LiveConnections connections, TimeProvider clock) : IHubFilter
{
    public async Task OnConnectedAsync(HubLifetimeContext context, Func<HubLifetimeContext, Task> next)
    {
        var hub = LiveHub.Of(context.Context, clock);
        if (!IsBlazors(context.Hub) && hub.Subject is { } subject)
        {
            hub.Connection = connections.Enter(subject, LiveKind.Hub, hub.Client, hub.Close);
        }

        Accessor(context.ServiceProvider).Become(hub.Connection);
        await next(context).ConfigureAwait(false);
    }

    public async ValueTask<object?> InvokeMethodAsync(HubInvocationContext context, Func<HubInvocationContext, ValueTask<object?>> next)
    {
        var hub = LiveHub.Of(context.Context, clock);
        if (IsBlazors(context.Hub))
        {
            // Circuits are opened, and opened again, within such calls.
            LiveHub.Current = hub;
            return await next(context).ConfigureAwait(false);
        }

        Accessor(context.ServiceProvider).Become(hub.Connection);
        hub.Connection?.Used();
        return await next(context).ConfigureAwait(false);
    }

    public async Task OnDisconnectedAsync(HubLifetimeContext context, Exception? exception, Func<HubLifetimeContext, Exception?, Task> next)
    {
        var hub = LiveHub.Of(context.Context, clock);
        Accessor(context.ServiceProvider).Become(hub.Connection);
        try
        {
            await next(context, exception).ConfigureAwait(false);
        }
        finally
        {
            hub.Connection?.Dispose();
        }
    }

    /// <summary>Of Blazor's own hub: what it carries belongs to a circuit, which may outlive a connection.</summary>
    private static bool IsBlazors(Hub hub) => hub.GetType().Assembly == typeof(CircuitHandler).Assembly;

    private static LiveSessionAccessor Accessor(IServiceProvider services) => services.GetRequiredService<LiveSessionAccessor>();

    /// <summary>For every hub of the application.</summary>
    public sealed class Adding(LiveHubFilter filter) : IConfigureOptions<HubOptions>
    {
        public void Configure(HubOptions options) => options.AddFilter(filter);
    }
}

/// <summary>A hub's connection, beside SignalR's own.</summary>
internal sealed class LiveHub
{
    // The client is told that it was closed, and not to connect again by itself, unless the hub is too busy to do so.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    private static readonly AsyncLocal<LiveHub?> CallersHub = new();

    private readonly HubCallerContext _context;
    private readonly TimeProvider _clock;

    private LiveHub(HubCallerContext context, TimeProvider clock)
    {
        (_context, _clock) = (context, clock);
        var request = context.GetHttpContext();
        (Subject, Client) = (LiveRequests.SubjectOf(request), LiveRequests.ClientOf(request));
    }

    /// <summary>The one whose call this is part of.</summary>
    public static LiveHub? Current
    {
        get => CallersHub.Value;
        set => CallersHub.Value = value;
    }

    /// <summary>Whose it is; null for nobody's.</summary>
    public LiveSubject? Subject { get; }

    public LiveClient Client { get; }

    public LiveConnection? Connection { get; set; }

    public static LiveHub Of(HubCallerContext context, TimeProvider clock)
    {
        if (context.Items.TryGetValue(typeof(LiveHub), out var found) && found is LiveHub hub)
        {
            return hub;
        }

        hub = new LiveHub(context, clock);
        context.Items[typeof(LiveHub)] = hub;
        return hub;
    }

    public void Close()
    {
        _context.Abort();
        _ = CutAsync();
    }

    /// <summary>A hub whose method does not return does not end its connection either.</summary>
    private async Task CutAsync()
    {
        await Task.Delay(Grace, _clock).ConfigureAwait(false);
        _context.Features.Get<IConnectionLifetimeFeature>()?.Abort();
    }
}
