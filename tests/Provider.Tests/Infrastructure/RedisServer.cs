using StackExchange.Redis;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>
/// A Redis that every test of one kind shares for the whole run; tests keep apart by key prefix. A kind that this machine
/// does not have says why, and its tests are skipped with that reason; on CI, where every kind is installed, they fail.
/// </summary>
public abstract class RedisServer : IAsyncLifetime
{
    private readonly SemaphoreSlim _connecting = new(1);
    private ConnectionMultiplexer? _admin;
    private string _version = "";

    public static bool OnCI => Environment.GetEnvironmentVariable("CI") == "true";

    /// <summary>Whether CI must have it.</summary>
    protected virtual bool RequiredOnCI => true;

    /// <summary>Why this machine does not have it; null if it does.</summary>
    public string? Missing { get; protected set; }

    /// <summary>
    /// Appended to a connection string: a test run keeps every core busy, and a test that is not about slowness must not see
    /// the library give up on a server that merely waits for its turn.
    /// </summary>
    public const string Patient = ",connectTimeout=20000,syncTimeout=30000,asyncTimeout=30000";

    /// <summary>What it is, in a table of all kinds.</summary>
    public string Described => _version.Length > 0 ? $"{Name} ({_version})" : Name;

    /// <summary>What kind of server it is, in words.</summary>
    protected abstract string Name { get; }

    /// <summary>host:port.</summary>
    public string Address { get; protected set; } = "";

    /// <summary>The same for who looks at what is stored, where that is another user.</summary>
    protected string? AdminAddress { get; set; }

    public async ValueTask InitializeAsync()
    {
        try
        {
            await StartAsync();
            _version = Missing is null ? await FindVersionAsync() : "";
        }
        catch (Exception exception)
        {
            Missing = $"could not be started: {exception.Message}";
        }
    }

    protected abstract Task StartAsync();

    private async Task<string> FindVersionAsync()
    {
        var info = (await (await AdminAsync()).GetServers().First(server => server is { IsConnected: true, IsReplica: false }).InfoAsync("server")).SelectMany(group => group).ToDictionary(pair => pair.Key, pair => pair.Value);
        return info.GetValueOrDefault("valkey_version") ?? info.GetValueOrDefault("garnet_version") ?? info.GetValueOrDefault("redis_version") ?? "";
    }

    /// <summary>For tests that need a redis-server of their own.</summary>
    public static void SkipUnlessInstalled()
    {
        if (!RedisProcess.IsInstalled && OnCI)
        {
            Assert.Fail("CI must have redis-server on PATH.");
        }

        Assert.SkipUnless(RedisProcess.IsInstalled, "There is no redis-server on PATH.");
    }

    public void SkipIfMissing()
    {
        if (Missing is not null && OnCI && RequiredOnCI)
        {
            Assert.Fail($"CI must have {GetType().Name}: {Missing}");
        }

        Assert.SkipWhen(Missing is not null, $"{GetType().Name}: {Missing}");
    }

    /// <summary>A connection for looking at what is stored.</summary>
    public async Task<ConnectionMultiplexer> AdminAsync()
    {
        await _connecting.WaitAsync();
        try
        {
            return _admin ??= await ConnectionMultiplexer.ConnectAsync($"{AdminAddress ?? Address},allowAdmin=true,connectTimeout=10000,syncTimeout=30000,asyncTimeout=30000");
        }
        finally
        {
            _connecting.Release();
        }
    }

    /// <summary>Every master. The client calls a node that it has not reached yet a master too, so the cluster itself is asked.</summary>
    public async Task<IReadOnlyList<IServer>> MastersAsync()
    {
        var admin = await AdminAsync();
        var first = admin.GetServers().First(server => server is { IsConnected: true, IsReplica: false });
        return first.ServerType == ServerType.Cluster && await first.ClusterNodesAsync() is { } cluster
            ? [.. cluster.Nodes.Where(node => !node.IsReplica).Select(node => admin.GetServer(node.EndPoint!))]
            : [first];
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (_admin is not null)
        {
            await _admin.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }
}
