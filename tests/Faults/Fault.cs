using RedisSessions.Testing;

namespace RedisSessions.Faults;

/// <summary>What Redis runs as.</summary>
public enum Engine
{
    Single,
    Cluster,
    Sentinel,
}

/// <summary>One fault: what Redis runs as, and what is done to it while the load runs.</summary>
/// <param name="Name">As the command line has it.</param>
/// <param name="What">In words.</param>
/// <param name="Engine">On what.</param>
/// <param name="Strike">Does it; over when it returns.</param>
/// <param name="Arguments">Of redis-server.</param>
/// <param name="Proxied">Whether the hosts reach Redis through <see cref="Target.Proxy"/>.</param>
public sealed record Fault(string Name, string What, Engine Engine, Func<Target, Task> Strike, string[]? Arguments = null, bool Proxied = false);

/// <summary>What is struck.</summary>
public sealed class Target : IAsyncDisposable
{
    public RedisProcess? Single { get; private init; }

    public RedisClusterProcesses? Cluster { get; private init; }

    public SentinelProcesses? Sentinels { get; private init; }

    public FaultyProxy? Proxy { get; private init; }

    public required string Address { get; init; }

    /// <summary>How long a fault that repeats itself goes on, seconds.</summary>
    public double Seconds { get; init; }

    /// <summary>Kills a host in another process, and starts it again; null where none runs there.</summary>
    public Func<Task>? KillHost { get; set; }

    public static async Task<Target> StartAsync(Fault fault, double seconds = 5)
    {
        string[] arguments = ["--enable-debug-command", "yes", .. fault.Arguments ?? []];
        switch (fault.Engine)
        {
            case Engine.Cluster:
                var cluster = await RedisClusterProcesses.StartAsync(arguments);
                return new Target { Cluster = cluster, Address = cluster.Address, Seconds = seconds };
            case Engine.Sentinel:
                var sentinels = await SentinelProcesses.StartAsync(arguments);
                return new Target { Sentinels = sentinels, Address = sentinels.Address, Seconds = seconds };
            default:
                var single = await RedisProcess.StartAsync(arguments);
                var proxy = fault.Proxied ? new FaultyProxy(single.Address) : null;
                return new Target { Single = single, Proxy = proxy, Address = proxy?.Address ?? single.Address, Seconds = seconds };
        }
    }

    public IEnumerable<RedisProcess> Servers => Single is { } single ? [single] : Cluster?.Nodes ?? Sentinels!.Servers;

    public ValueTask DisposeAsync()
    {
        Proxy?.Dispose();
        Single?.Dispose();
        Cluster?.Dispose();
        Sentinels?.Dispose();
        return ValueTask.CompletedTask;
    }
}
