using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace RedisSessions.Tests.Diagnostics;

[Collection(Alone.Name)]
public sealed class HealthTests(InProcessGarnet garnet, LocalCluster cluster)
{
    private static ServiceProvider StartApplication(string redis)
    {
        var services = new ServiceCollection().AddLogging();
        services.AddRedisSession(redis, o => o.KeyPrefix = new Fleet().Prefix);
        services.AddHealthChecks().AddRedisSession();
        return services.BuildServiceProvider();
    }

    private static async Task<HealthReportEntry> CheckAsync(ServiceProvider application) =>
        (await application.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["redis_session"];

    private static async Task<HealthReportEntry> CheckAsync(string redis)
    {
        await using var application = StartApplication(redis);
        return await CheckAsync(application);
    }

    [Fact]
    public async Task A_redis_that_is_well_is_healthy_and_says_what_it_is()
    {
        var entry = await CheckAsync(garnet.Address);
        Assert.True(entry.Status == HealthStatus.Healthy, $"{entry.Description} {entry.Exception}");
        Assert.Contains("round_trip_ms", entry.Data.Keys);
        Assert.Contains("Standalone", entry.Data[garnet.Address].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cluster_that_serves_all_slots_is_healthy()
    {
        cluster.SkipIfMissing();
        var entry = await CheckAsync(cluster.Address);
        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.Equal(3, entry.Data.Values.Count(value => value.ToString()!.StartsWith("Cluster", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("yes")]
    [InlineData("no")]
    public async Task A_cluster_that_does_not_serve_all_slots_is_unhealthy(string requireFullCoverage)
    {
        RedisServer.SkipUnlessInstalled();
        using var broken = await RedisClusterProcesses.StartAsync("--cluster-require-full-coverage", requireFullCoverage);
        await using var application = StartApplication(broken.Address);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(application)).Status);
        await broken.StopOneMasterAndItsReplicaAsync();
        await Eventually.TrueAsync(
            async () => await CheckAsync(application) is { Status: HealthStatus.Unhealthy, Description: "The Redis Cluster does not serve all slots." },
            what: "the nodes that are left notice");
    }

    [Theory]
    [InlineData("noeviction", HealthStatus.Healthy)]
    [InlineData("allkeys-lru", HealthStatus.Degraded)]
    [InlineData("volatile-ttl", HealthStatus.Degraded)]
    public async Task Sessions_that_could_be_evicted_degrade(string policy, HealthStatus status)
    {
        RedisServer.SkipUnlessInstalled();
        using var redis = await RedisProcess.StartAsync("--maxmemory", "100mb", "--maxmemory-policy", policy);
        Assert.Equal(status, (await CheckAsync(redis.Address)).Status);
    }

    [Fact]
    public async Task What_a_crash_or_a_failover_would_lose_is_said_and_is_no_reason_to_be_unwell()
    {
        RedisServer.SkipUnlessInstalled();
        using var redis = await RedisProcess.StartAsync("--repl-diskless-sync-delay", "0");
        await using var application = StartApplication(redis.Address);
        await using var admin = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        var server = admin.GetServers()[0];

        async Task SaysAsync(string[] risks)
        {
            var entry = await CheckAsync(application);
            Assert.Equal(HealthStatus.Healthy, entry.Status);
            string[] all = ["append-only", "No replica", "min-replicas-to-write"];
            Assert.Equal(risks, all.Where(risk => entry.Description?.Contains(risk, StringComparison.Ordinal) == true));
        }

        await SaysAsync(["append-only", "No replica"]);
        await server.ConfigSetAsync("appendonly", "yes");
        await SaysAsync(["No replica"]);
        using var replica = await RedisProcess.StartAsync("--replicaof", "127.0.0.1", $"{redis.Port}", "--repl-diskless-sync-delay", "0");
        await Eventually.TrueAsync(
            async () => (await server.InfoAsync("replication")).Single().Any(pair => pair.Key == "slave0" && pair.Value.Contains("state=online", StringComparison.Ordinal)),
            what: "the replica follows");
        await SaysAsync(["min-replicas-to-write"]);
        await server.ConfigSetAsync("min-replicas-to-write", "1");
        await SaysAsync([]);
    }

    [Fact]
    public async Task A_stopped_redis_and_a_replica_are_unhealthy_and_no_password_is_shown()
    {
        RedisServer.SkipUnlessInstalled();
        using var redis = await RedisProcess.StartAsync();
        using (var replica = await RedisProcess.StartAsync("--replicaof", "127.0.0.1", $"{redis.Port}", "--repl-diskless-sync-delay", "0"))
        {
            Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(replica.Address)).Status);
        }

        redis.Stop();
        var entry = await CheckAsync($"{redis.Address},password=hunter2");
        Assert.Equal(HealthStatus.Unhealthy, entry.Status);
        Assert.DoesNotContain("hunter2", $"{entry.Description} {entry.Exception}", StringComparison.Ordinal);
    }
}
