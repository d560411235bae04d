using DotNet.Testcontainers.Images;
using Testcontainers.Redis;

[assembly: AssemblyFixture(typeof(InProcessGarnet))]
[assembly: AssemblyFixture(typeof(LocalRedis))]
[assembly: AssemblyFixture(typeof(ContainerRedis))]
[assembly: AssemblyFixture(typeof(LocalCluster))]
[assembly: AssemblyFixture(typeof(GivenRedis))]
[assembly: AssemblyFixture(typeof(LocalSentinel))]
[assembly: AssemblyFixture(typeof(TlsRedis))]
[assembly: AssemblyFixture(typeof(Resp2Redis))]
[assembly: AssemblyFixture(typeof(AclRedis))]

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Garnet in this process: always there.</summary>
public sealed class InProcessGarnet : RedisServer
{
    protected override string Name => "Garnet";

    private EmbeddedGarnet? _garnet;

    protected override Task StartAsync()
    {
        _garnet = new EmbeddedGarnet();
        Address = _garnet.Address;
        return Task.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _garnet?.Dispose();
    }
}

/// <summary>What the redis-server on PATH is started as.</summary>
public abstract class InstalledRedis<T> : RedisServer
    where T : class, IDisposable
{
    private T? _servers;

    protected sealed override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _servers = await StartServersAsync();
        Address = AddressOf(_servers);
    }

    protected abstract Task<T> StartServersAsync();

    protected abstract string AddressOf(T servers);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _servers?.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>One server.</summary>
public class LocalRedis : InstalledRedis<RedisProcess>
{
    protected override string Name => "Redis";

    protected override Task<RedisProcess> StartServersAsync() => RedisProcess.StartAsync();

    protected override string AddressOf(RedisProcess servers) => servers.Address;
}

/// <summary>Spoken to in the older protocol, as where a proxy or a version knows no other.</summary>
public sealed class Resp2Redis : LocalRedis
{
    protected override string Name => "Redis, RESP2";

    protected override string AddressOf(RedisProcess servers) => servers.Address + ",protocol=resp2";
}

/// <summary>A Redis Cluster.</summary>
public sealed class LocalCluster : InstalledRedis<RedisClusterProcesses>
{
    protected override string Name => "Redis Cluster of 3 + 3";

    protected override Task<RedisClusterProcesses> StartServersAsync() => RedisClusterProcesses.StartAsync();

    protected override string AddressOf(RedisClusterProcesses servers) => servers.Address;
}

/// <summary>A master and its replicas behind three Sentinels, found by their name.</summary>
public sealed class LocalSentinel : InstalledRedis<SentinelProcesses>
{
    protected override string Name => "Redis behind Sentinels";

    protected override Task<SentinelProcesses> StartServersAsync() => SentinelProcesses.StartAsync();

    protected override string AddressOf(SentinelProcesses servers) => servers.Address;
}

/// <summary>Redis in a container, where a Docker API answers.</summary>
public sealed class ContainerRedis : RedisServer
{
    protected override string Name => "Redis in a container";

    private RedisContainer? _container;

    // Set by .ci/run, with a loud line, where no container engine can be had.
    protected override bool RequiredOnCI => Environment.GetEnvironmentVariable("REDIS_SESSIONS_WITHOUT_DOCKER") is null;

    protected override async Task StartAsync()
    {
        try
        {
            _container = new RedisBuilder(Environment.GetEnvironmentVariable("REDIS_SESSIONS_TEST_IMAGE") ?? "redis:7.0")
                .WithImagePullPolicy(PullPolicy.Missing)
                .Build();
            await _container.StartAsync();
        }
        catch (Exception exception)
        {
            Missing = $"no Docker API answers here ({exception.GetType().Name}: {exception.Message.ReplaceLineEndings(" ")})";
            return;
        }

        Address = _container.GetConnectionString();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_container is not null)
        {
            await _container.DisposeAsync();
        }
    }
}

/// <summary>The server whose address is in REDIS_SESSIONS_TEST_SERVER.</summary>
public sealed class GivenRedis : RedisServer
{
    protected override string Name => "a server given by its address";

    protected override bool RequiredOnCI => false;

    protected override Task StartAsync()
    {
        Address = Environment.GetEnvironmentVariable("REDIS_SESSIONS_TEST_SERVER") ?? "";
        Missing = Address.Length == 0 ? "REDIS_SESSIONS_TEST_SERVER names no server" : null;
        return Task.CompletedTask;
    }
}
