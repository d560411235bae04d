using Microsoft.Extensions.Hosting;

namespace RedisSessions.Redis;

/// <summary>
/// Begins to connect before the server takes requests, and waits for nothing: the first requests may read the session
/// synchronously, and a pool whose threads all wait for the connection has none left to make it.
/// </summary>
internal sealed class ConnectAtStart(RedisConnection connection) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        connection.Begin();
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
