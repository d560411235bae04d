using System.Diagnostics;
using StackExchange.Redis;

namespace RedisSessions.Testing;

/// <summary>One master, two replicas and three Sentinels on this machine.</summary>
public sealed class SentinelProcesses : IDisposable
{
    public const string ServiceName = "sessions";

    private readonly List<RedisProcess> _servers = [];
    private readonly List<RedisProcess> _sentinels = [];

    /// <summary>A connection string: the Sentinels, and the name of their service.</summary>
    public string Address => $"{string.Join(',', _sentinels.Select(sentinel => sentinel.Address))},serviceName={ServiceName}";

    /// <summary>The Sentinels' alone.</summary>
    public IReadOnlyList<RedisProcess> Sentinels => _sentinels;

    public IReadOnlyList<RedisProcess> Servers => _servers;

    public static async Task<SentinelProcesses> StartAsync(params string[] arguments)
    {
        var all = new SentinelProcesses();
        string[] common = ["--repl-diskless-sync-delay", "0", .. arguments];
        var master = await RedisProcess.StartAsync(common);
        all._servers.Add(master);
        for (var i = 0; i < 2; i++)
        {
            all._servers.Add(await RedisProcess.StartAsync([.. common, "--replicaof", "127.0.0.1", $"{master.Port}"]));
        }

        for (var i = 0; i < 3; i++)
        {
            all._sentinels.Add(await RedisProcess.StartSentinelAsync(master, quorum: 2));
        }

        await all.ReadyAsync();
        return all;
    }

    /// <summary>Waits until every Sentinel knows of the other two and of two replicas in step: before that none of them is promoted.</summary>
    public async Task ReadyAsync()
    {
        var limit = Stopwatch.StartNew();
        while (!await IsReadyAsync())
        {
            if (limit.Elapsed > TimeSpan.FromSeconds(60))
            {
                throw new TimeoutException("The Sentinels did not become ready.");
            }

            await Task.Delay(50);
        }
    }

    private async Task<bool> IsReadyAsync()
    {
        try
        {
            return await AreReadyAsync();
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            // Too busy to say.
            return false;
        }
    }

    private async Task<bool> AreReadyAsync()
    {
        foreach (var sentinel in _sentinels)
        {
            await using var connection = await ConnectAsync(sentinel);
            var server = connection.GetServers()[0];
            var master = (await server.SentinelMasterAsync(ServiceName)).ToDictionary(pair => pair.Key, pair => pair.Value);
            if (master["num-other-sentinels"] != "2" || master["num-slaves"] != "2" || master["flags"] != "master")
            {
                return false;
            }

            foreach (var replica in await server.SentinelReplicasAsync(ServiceName))
            {
                var said = replica.ToDictionary(pair => pair.Key, pair => pair.Value);
                if (said["flags"] != "slave" || said["master-link-status"] != "ok")
                {
                    return false;
                }
            }
        }

        return true;
    }

    // As to any server: the client's own connection to Sentinels follows their service, too, which is not wanted here.
    private static Task<ConnectionMultiplexer> ConnectAsync(RedisProcess sentinel)
    {
        var settings = ConfigurationOptions.Parse($"{sentinel.Address},allowAdmin=true,abortConnect=false,tiebreaker=");
        settings.CommandMap = CommandMap.Sentinel;
        return ConnectionMultiplexer.ConnectAsync(settings);
    }

    /// <summary>Whom the Sentinels name; null while they name different ones.</summary>
    public async Task<RedisProcess?> FindMasterAsync()
    {
        var ports = new HashSet<int>();
        foreach (var sentinel in _sentinels)
        {
            try
            {
                await using var connection = await ConnectAsync(sentinel);
                if (await connection.GetServers()[0].SentinelGetMasterAddressByNameAsync(ServiceName) is System.Net.IPEndPoint address)
                {
                    ports.Add(address.Port);
                }
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                // Too busy to say.
                return null;
            }
        }

        return ports.Count == 1 ? _servers.Find(server => ports.Contains(server.Port)) : null;
    }

    public void Dispose()
    {
        foreach (var process in _sentinels.Concat(_servers))
        {
            process.Dispose();
        }
    }
}
