using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Diagnostics;

/// <summary>
/// Whether sessions can be read and written, and whether they are safe where they are. Unhealthy: no connection, no reply, not
/// writable, a cluster that does not serve all slots. Degraded: slow, sessions could be evicted, or another server cannot read this one's cookies. What makes a crash or a
/// fail-over lose sessions is said, and is no reason to be unwell: many are content with it.
/// </summary>
internal sealed class RedisSessionHealthCheck(RedisConnection connection, SessionKeys keys, KeyRingCheck keyRing, ReplicationState replication) : IHealthCheck
{
    private const string AllSlots = "16384";

    private static readonly RedisScript Script = new("return redis.call('EXISTS', KEYS[1])");

    private static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(100);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken)
    {
        var data = new Dictionary<string, object>();
        try
        {
            var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
            var watch = Stopwatch.GetTimestamp();
            await database.PingAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
            var roundTrip = Stopwatch.GetElapsedTime(watch);
            data["round_trip_ms"] = roundTrip.TotalMilliseconds;

            var (problems, risks) = (new List<string>(), new List<string>());
            if (roundTrip > Slow)
            {
                problems.Add(string.Create(CultureInfo.InvariantCulture, $"A round trip takes {roundTrip.TotalMilliseconds:N0} ms."));
            }

            foreach (var server in database.Multiplexer.GetServers())
            {
                if (server is { IsConnected: true, IsReplica: false } && await CheckServerAsync(server, data, problems, risks, cancellationToken).ConfigureAwait(false) is { } broken)
                {
                    return new HealthCheckResult(HealthStatus.Unhealthy, broken, data: data);
                }
            }

            // Each check of each server writes a key of its own, which goes by itself.
            await database.StringSetAsync($"{keys.Prefix}health:{Guid.NewGuid():N}", "", TimeSpan.FromSeconds(10)).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (!await keyRing.IsSharedAsync(database).WaitAsync(cancellationToken).ConfigureAwait(false))
            {
                problems.Add("Another server with this key prefix has other Data Protection keys, so neither reads the other's cookies. Share them, for example with AddRedisSession(...).PersistDataProtectionKeys(), and give both the same SetApplicationName.");
            }

            if (replication.IsUsed)
            {
                data["not_on_replicas"] = replication.NotReachedSince;
                if (replication.NotReachedSince is > 0 and var changes)
                {
                    problems.Add(string.Create(CultureInfo.InvariantCulture, $"The last {changes} changes that were to be on replicas (WaitForReplicas) did not come there in time: replicas are away or slow, or fewer than were asked for."));
                }
            }

            // Everything that changes a session is a script.
            try
            {
                await Script.EvaluateAsync(database, [$"{keys.Prefix}health"], []).WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (RedisServerException exception)
            {
                return new HealthCheckResult(HealthStatus.Unhealthy, "Redis runs no scripts for this user, so no session can be stored. Allow EVAL and EVALSHA (docs/engines.md).", exception, data);
            }

            return problems.Count == 0
                ? HealthCheckResult.Healthy(risks.Count > 0 ? string.Join(' ', risks) : null, data)
                : HealthCheckResult.Degraded(string.Join(' ', problems.Concat(risks)), data: data);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            // The exception's text names endpoints, but no password.
            return new HealthCheckResult(HealthStatus.Unhealthy, "Sessions cannot be read and written.", exception, data);
        }
    }

    /// <returns>What makes the whole unhealthy; null if nothing does.</returns>
    private static async Task<string?> CheckServerAsync(
        IServer server, Dictionary<string, object> data, List<string> problems, List<string> risks, CancellationToken cancellationToken)
    {
        data[$"{server.EndPoint}"] = $"{server.ServerType} {server.Version}";
        if (server.ServerType == ServerType.Cluster)
        {
            // Without full coverage required, the state stays ok while sessions in some slots cannot be reached.
            var info = await AskAsync(server, "return redis.call('CLUSTER', 'INFO')", cancellationToken).ConfigureAwait(false);
            if (ValueOf(info, "cluster_state") is not (null or "ok") || ValueOf(info, "cluster_slots_ok") is not (null or AllSlots))
            {
                return "The Redis Cluster does not serve all slots.";
            }
        }

        var memory = await AskAsync(server, "return redis.call('INFO', 'memory')", cancellationToken).ConfigureAwait(false);
        var (limit, policy) = (ValueOf(memory, "maxmemory"), ValueOf(memory, "maxmemory_policy"));
        if (policy is not null)
        {
            data["maxmemory_policy"] = policy;
            if (limit is not null and not "0" && policy != "noeviction")
            {
                // Every key of ours has a TTL, so the volatile policies choose among them as well.
                problems.Add($"Redis evicts sessions when its memory is full (maxmemory-policy {policy}). Set it to noeviction, and enough memory.");
            }
        }

        await FindRisksAsync(server, data, risks, cancellationToken).ConfigureAwait(false);
        return null;
    }

    private static async Task FindRisksAsync(IServer server, Dictionary<string, object> data, List<string> risks, CancellationToken cancellationToken)
    {
        var persistence = await AskAsync(server, "return redis.call('INFO', 'persistence')", cancellationToken).ConfigureAwait(false);
        if (ValueOf(persistence, "aof_enabled") is { } appends)
        {
            data[$"{server.EndPoint} appendonly"] = appends == "1";
            if (appends != "1")
            {
                risks.Add($"{server.EndPoint} keeps no append-only file: a restart loses what was written since its last snapshot, or everything.");
            }
        }

        var replication = await AskAsync(server, "return redis.call('INFO', 'replication')", cancellationToken).ConfigureAwait(false);
        if (ValueOf(replication, "connected_slaves") is not { } replicas)
        {
            return;
        }

        data[$"{server.EndPoint} replicas"] = replicas;
        if (replicas == "0")
        {
            risks.Add($"No replica follows {server.EndPoint}: what it holds is lost with it.");
        }
        else if (ValueOf(replication, "min_slaves_good_slaves") is null)
        {
            // The server tells how many are good only where it asks for some.
            risks.Add($"{server.EndPoint} takes writes without a replica, so that two servers may be masters at once and one of them loses what it took. Set min-replicas-to-write to 1 and min-replicas-max-lag to a few seconds.");
        }
    }

    /// <summary>
    /// From within a script, because the client sends INFO and CLUSTER INFO itself only on a connection in admin mode. Empty
    /// where the server does not tell, which is no reason to be unwell.
    /// </summary>
    private static async Task<string> AskAsync(IServer server, string script, CancellationToken cancellationToken)
    {
        try
        {
            return (string?)await server.ExecuteAsync("EVAL", script, 0).WaitAsync(cancellationToken).ConfigureAwait(false) ?? "";
        }
        catch (RedisServerException)
        {
            return "";
        }
    }

    private static string? ValueOf(string info, string name)
    {
        foreach (var line in info.Split('\n'))
        {
            if (line.StartsWith(name + ":", StringComparison.Ordinal))
            {
                return line[(name.Length + 1)..].Trim();
            }
        }

        return null;
    }
}
