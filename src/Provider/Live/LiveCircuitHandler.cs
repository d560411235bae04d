using Microsoft.AspNetCore.Components.Server.Circuits;

namespace RedisSessions.Live;

/// <summary>
/// Lets a circuit belong to the session of the request that opened it, for as long as the server keeps it: also while its browser is not connected, for the browser may come back
/// to it. Who comes back must come with the same session, which is still there: the circuit itself asks for no cookie.
/// </summary>
internal sealed class LiveCircuitHandler(LiveConnections connections, LiveSessionAccessor accessor) : CircuitHandler
{
    private LiveHub? _hub;
    private LiveConnection? _connection;

    public override Task OnCircuitOpenedAsync(Circuit circuit, CancellationToken cancellationToken)
    {
        if (LiveHub.Current is { Subject: { } subject } hub)
        {
            _hub = hub;
            _connection = connections.Enter(subject, LiveKind.Circuit, hub.Client, () => _hub?.Close());
        }

        accessor.Become(_connection);
        return Task.CompletedTask;
    }

    public override async Task OnConnectionUpAsync(Circuit circuit, CancellationToken cancellationToken)
    {
        if (_connection is null || LiveHub.Current is not { } hub || ReferenceEquals(hub, _hub))
        {
            return;
        }

        if (hub.Subject is not { } subject || !await connections.IsSameAsync(_connection, subject).ConfigureAwait(false))
        {
            // It is told no more of it than that.
            hub.Close();
            throw new InvalidOperationException("The session of the circuit is over.");
        }

        _hub = hub;
    }

    public override Task OnConnectionDownAsync(Circuit circuit, CancellationToken cancellationToken)
    {
        _hub = null;
        return Task.CompletedTask;
    }

    public override Task OnCircuitClosedAsync(Circuit circuit, CancellationToken cancellationToken)
    {
        _connection?.Dispose();
        return Task.CompletedTask;
    }

    public override Func<CircuitInboundActivityContext, Task> CreateInboundActivityHandler(Func<CircuitInboundActivityContext, Task> next) => context =>
    {
        _connection?.Used();
        return next(context);
    };
}
