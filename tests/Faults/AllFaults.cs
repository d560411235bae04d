using System.Diagnostics;
using RedisSessions.Testing;
using StackExchange.Redis;

namespace RedisSessions.Faults;

/// <summary>Every fault there is.</summary>
public static class AllFaults
{
    private static readonly string[] Kept = ["--appendonly", "yes", "--appendfsync", "always"];
    private static readonly string[] Recommended = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"];

    public static IReadOnlyList<Fault> List { get; } =
    [
        new("none", "nothing happens", Engine.Single, _ => Task.Delay(2000)),
        new("restart", "Redis restarts at once (append-only file, always)", Engine.Single, RestartAsync, Kept),
        new("away", "Redis is away for 3 s (append-only file, always)", Engine.Single, target => AwayAsync(target, TimeSpan.FromSeconds(3)), Kept),
        new("kill-clients", "CLIENT KILL of every client, each 50 ms", Engine.Single, target => RepeatAsync(target, 50, () => AdminAsync(target.Single!, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))),
        new("cut", "every connection cut, at random each 20 to 200 ms", Engine.Single, target => RepeatAsync(target, 0, async () =>
        {
            target.Proxy!.Cut();
            await Task.Delay(Random.Shared.Next(20, 200));
        }), Proxied: true),
        new("halve", "a request or reply is sent by half, then its connection is cut, each 100 ms", Engine.Single, target => RepeatAsync(target, 100, () =>
        {
            target.Proxy!.HalveNext();
            return Task.CompletedTask;
        }), Proxied: true),
        new("delay", "20 ms more each way", Engine.Single, async target =>
        {
            target.Proxy!.Delay = 20;
            await Task.Delay(5000);
            target.Proxy.Delay = 0;
        }, Proxied: true),
        new("blackhole", "the network swallows everything for 8 s", Engine.Single, async target =>
        {
            target.Proxy!.Swallows = true;
            await Task.Delay(8000);
            target.Proxy.Swallows = false;
        }, Proxied: true),
        new("script-flush", "SCRIPT FLUSH each 20 ms", Engine.Single, target => RepeatAsync(target, 20, () => AdminAsync(target.Single!, "SCRIPT", "FLUSH"))),
        new("read-only", "Redis is a replica for 2 s", Engine.Single, async target =>
        {
            await AdminAsync(target.Single!, "REPLICAOF", "127.0.0.1", "1");
            await Task.Delay(2000);
            await AdminAsync(target.Single!, "REPLICAOF", "NO", "ONE");
        }),
        new("pause", "CLIENT PAUSE of writes for 1 s", Engine.Single, target => AdminAsync(target.Single!, "CLIENT", "PAUSE", "1000", "WRITE")),
        new("sleep", "DEBUG SLEEP of 1 s", Engine.Single, target => AdminAsync(target.Single!, "DEBUG", "SLEEP", "1")),
        new("full", "memory is full for 2 s (noeviction)", Engine.Single, async target =>
        {
            await AdminAsync(target.Single!, "CONFIG", "SET", "maxmemory", "1");
            await Task.Delay(2000);
            await AdminAsync(target.Single!, "CONFIG", "SET", "maxmemory", "0");
        }),
        new("power-loss", "Redis killed, its file synchronised each second, and started again", Engine.Single, RestartAsync, ["--appendonly", "yes", "--appendfsync", "everysec"]),
        new("host-kill", "an application server is killed in the midst of its work, five times", Engine.Single, async target =>
        {
            for (var i = 0; i < 5; i++)
            {
                await target.KillHost!();
                await Task.Delay(500);
            }
        }),
        new("cluster-kill", "a master of a cluster killed", Engine.Cluster, target => StrikeMasterAsync(target, master => master.Stop())),
        new("cluster-freeze", "a master of a cluster frozen, and resumed 10 s later", Engine.Cluster, async target =>
        {
            RedisProcess? frozen = null;
            await StrikeMasterAsync(target, master =>
            {
                frozen = master;
                master.Pause();
            });
            await Task.Delay(10_000);
            frozen!.Resume();
        }),
        new("cluster-migrate", "3,000 slots moved to another master", Engine.Cluster, MigrateAsync),
        new("sentinel-kill", "a Sentinel's master killed, and started again once another is promoted", Engine.Sentinel, target => SentinelKillAsync(target)),
        new("sentinel-kill-safe", "the same with min-replicas-to-write 1", Engine.Sentinel, target => SentinelKillAsync(target), Recommended),
        new("sentinel-lag", "a Sentinel's master killed whose replicas had not heard it for 1.5 s", Engine.Sentinel, SentinelLagAsync),
        new("sentinel-freeze", "a Sentinel's master frozen, and resumed 10 s later", Engine.Sentinel, target => SentinelFreezeAsync(target, 10_000)),
        new("sentinel-freeze-short", "the same, resumed 4 s later", Engine.Sentinel, target => SentinelFreezeAsync(target, 4_000)),
        new("sentinel-freeze-safe", "the same with min-replicas-to-write 1", Engine.Sentinel, target => SentinelFreezeAsync(target, 4_000), Recommended),
    ];

    private static async Task RestartAsync(Target target)
    {
        target.Single!.Stop();
        await target.Single.StartAgainAsync();
    }

    private static async Task AwayAsync(Target target, TimeSpan time)
    {
        target.Single!.Stop();
        await Task.Delay(time);
        await target.Single.StartAgainAsync();
    }

    private static async Task RepeatAsync(Target target, int pause, Func<Task> strike)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed.TotalSeconds < target.Seconds)
        {
            await strike();
            await Task.Delay(pause);
        }
    }

    private static async Task AdminAsync(RedisProcess redis, params string[] command)
    {
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        await admin.GetServers()[0].ExecuteAsync(command[0], command[1..]);
    }

    private static async Task StrikeMasterAsync(Target target, Action<RedisProcess> strike)
    {
        // Not the one whose address the hosts were given.
        foreach (var node in target.Cluster!.Nodes.Skip(1))
        {
            if (await target.Cluster.IsMasterAsync(node))
            {
                strike(node);
                break;
            }
        }

        await Task.Delay(5000);
    }

    private static async Task MigrateAsync(Target target)
    {
        var masters = new List<string>();
        foreach (var node in target.Cluster!.Nodes)
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync($"{node.Address},allowAdmin=true");
            if (await target.Cluster.IsMasterAsync(node))
            {
                masters.Add((string)(await connection.GetServer(node.Address).ExecuteAsync("CLUSTER", "MYID"))!);
            }
        }

        string[] arguments = ["--cluster", "reshard", target.Address, "--cluster-from", masters[0], "--cluster-to", masters[1], "--cluster-slots", "3000", "--cluster-yes"];
        using var reshard = Process.Start(new ProcessStartInfo("redis-cli", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _ = reshard.StandardOutput.ReadToEndAsync();
        var errors = await reshard.StandardError.ReadToEndAsync();
        await reshard.WaitForExitAsync();
        if (reshard.ExitCode != 0)
        {
            throw new InvalidOperationException("The slots were not moved: " + errors);
        }
    }

    private static async Task SentinelKillAsync(Target target)
    {
        var master = await target.Sentinels!.FindMasterAsync() ?? target.Sentinels.Servers[0];
        master.Stop();
        while (await target.Sentinels.FindMasterAsync() is var now && (now is null || now == master))
        {
            await Task.Delay(50);
        }

        await master.StartAgainAsync();
        await Task.Delay(2000);
    }

    private static async Task SentinelLagAsync(Target target)
    {
        var master = await target.Sentinels!.FindMasterAsync() ?? target.Sentinels.Servers[0];
        foreach (var replica in target.Sentinels.Servers.Where(server => server != master))
        {
            // At a port where nobody is: it keeps what it has.
            await AdminAsync(replica, "REPLICAOF", "127.0.0.1", "1");
        }

        await Task.Delay(1500);
        await SentinelKillAsync(target);
    }

    private static async Task SentinelFreezeAsync(Target target, int milliseconds)
    {
        var master = await target.Sentinels!.FindMasterAsync() ?? target.Sentinels.Servers[0];
        master.Pause();
        await Task.Delay(milliseconds);
        master.Resume();

        // A Sentinel makes it a replica only after a while.
        await Task.Delay(10_000);
    }
}
