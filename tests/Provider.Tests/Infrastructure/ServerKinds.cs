using DotNet.Testcontainers.Images;
using Testcontainers.Redis;

[assembly: AssemblyFixture(typeof(InProcessGarnet))]
[assembly: AssemblyFixture(typeof(LocalRedis))]
[assembly: AssemblyFixture(typeof(ContainerRedis))]
[assembly: AssemblyFixture(typeof(LocalCluster))]
[assembly: AssemblyFixture(typeof(GivenRedis))]

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Garnet in this process: always there.</summary>
public sealed class InProcessGarnet : RedisServer
{
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

/// <summary>The redis-server on PATH.</summary>
public sealed class LocalRedis : RedisServer
{
    private RedisProcess? _process;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _process = await RedisProcess.StartAsync();
        Address = _process.Address;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _process?.Dispose();
    }
}

/// <summary>A Redis Cluster of local processes, where redis-server and redis-cli are on PATH.</summary>
public sealed class LocalCluster : RedisServer
{
    private RedisClusterProcesses? _cluster;

    protected override async Task StartAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            Missing = "there is no redis-server on PATH";
            return;
        }

        _cluster = await RedisClusterProcesses.StartAsync();
        Address = _cluster.Address;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _cluster?.Dispose();
    }
}

/// <summary>Redis in a container, where a Docker API answers.</summary>
public sealed class ContainerRedis : RedisServer
{
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
    protected override bool RequiredOnCI => false;

    protected override Task StartAsync()
    {
        Address = Environment.GetEnvironmentVariable("REDIS_SESSIONS_TEST_SERVER") ?? "";
        Missing = Address.Length == 0 ? "REDIS_SESSIONS_TEST_SERVER names no server" : null;
        return Task.CompletedTask;
    }
}
