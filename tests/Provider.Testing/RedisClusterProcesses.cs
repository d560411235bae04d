using System.Diagnostics;
using StackExchange.Redis;

namespace RedisSessions.Testing;

/// <summary>A Redis Cluster of three masters and three replicas on this machine.</summary>
public sealed class RedisClusterProcesses : IDisposable
{
    private readonly List<RedisProcess> _nodes = [];

    public string Address => _nodes[0].Address;

    public IReadOnlyList<RedisProcess> Nodes => _nodes;

    public async Task<bool> IsMasterAsync(RedisProcess node) => await MasterOfAsync(node) is null;

    public static async Task<RedisClusterProcesses> StartAsync(params string[] arguments)
    {
        var cluster = new RedisClusterProcesses();
        for (var i = 0; i < 6; i++)
        {
            cluster._nodes.Add(await RedisProcess.StartAsync(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0", .. arguments]));
        }

        using (var create = Process.Start(new ProcessStartInfo("redis-cli", ["--cluster", "create", .. cluster._nodes.Select(node => node.Address), "--cluster-replicas", "1", "--cluster-yes"]) { RedirectStandardOutput = true, RedirectStandardError = true })!)
        {
            var output = await create.StandardOutput.ReadToEndAsync();
            await create.WaitForExitAsync();
            if (create.ExitCode != 0)
            {
                throw new InvalidOperationException(output);
            }
        }

        var limit = Stopwatch.StartNew();
        while (!await cluster.IsReadyAsync())
        {
            if (limit.Elapsed > TimeSpan.FromSeconds(60))
            {
                throw new TimeoutException("The cluster did not become ready.");
            }

            await Task.Delay(50);
        }

        return cluster;
    }

    private async Task<bool> IsReadyAsync()
    {
        var replicas = 0;
        foreach (var node in _nodes)
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync($"{node.Address},allowAdmin=true");
            var server = connection.GetServer(node.Address);
            var info = (await server.ExecuteAsync("INFO", "replication")).ToString();
            var state = (await server.ExecuteAsync("CLUSTER", "INFO")).ToString();
            if (!state.Contains("cluster_state:ok", StringComparison.Ordinal) || !state.Contains("cluster_slots_ok:16384", StringComparison.Ordinal))
            {
                return false;
            }

            replicas += info.Contains("master_link_status:up", StringComparison.Ordinal) ? 1 : 0;
        }

        return replicas == 3;
    }

    /// <summary>A part of the slots is then served by nobody. The node of <see cref="Address"/> stays.</summary>
    public async Task StopOneMasterAndItsReplicaAsync()
    {
        // Asked from each node itself: what one knows of the others may be a moment old.
        foreach (var replica in _nodes)
        {
            var master = await MasterOfAsync(replica);
            if (master is not null && master != _nodes[0])
            {
                replica.Stop();
                master.Stop();
                return;
            }
        }
    }

    private async Task<RedisProcess?> MasterOfAsync(RedisProcess node)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{node.Address},allowAdmin=true");
        var replication = (await connection.GetServer(node.Address).InfoAsync("replication")).Single().ToDictionary(pair => pair.Key, pair => pair.Value);
        return replication.TryGetValue("master_port", out var port) ? _nodes.Single(process => $"{process.Port}" == port) : null;
    }

    public void Dispose()
    {
        foreach (var node in _nodes)
        {
            node.Dispose();
        }
    }
}
