using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RedisSessions.Diagnostics;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>A health check for sessions on Redis.</summary>
public static class RedisSessionHealthChecksBuilderExtensions
{
    /// <summary>
    /// Checks, as <c>redis_session</c>, that sessions can be read and written, how long a round trip takes, whether Redis
    /// could evict them, and whether all servers share Data Protection's keys; see docs/operations.md for the rules.
    /// </summary>
    /// <param name="builder">What AddHealthChecks returned.</param>
    /// <param name="tags">Tags of the check; <see langword="null"/> for none.</param>
    public static IHealthChecksBuilder AddRedisSession(this IHealthChecksBuilder builder, IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton<KeyRingCheck>();
        builder.Services.TryAddSingleton<RedisSessionHealthCheck>();
        return builder.Add(new HealthCheckRegistration("redis_session", provider => provider.GetRequiredService<RedisSessionHealthCheck>(), HealthStatus.Unhealthy, tags));
    }

    /// <summary>
    /// Fails, as <c>redis_session_maintenance</c>, while this server is in maintenance: <see cref="RedisSessions.SessionMaintenance"/> was told so, the setting <c>RedisSession:Maintenance</c> of the configuration says so
    /// (anything but <c>false</c>; read with every check), or the host is stopping. For a balancer, which then sends no more requests; not for whoever restarts servers that fail.
    /// </summary>
    /// <param name="builder">What AddHealthChecks returned.</param>
    /// <param name="failureStatus">What is reported then; <see langword="null"/> for Unhealthy.</param>
    /// <param name="tags">Tags of the check; <see langword="null"/> for <c>ready</c>.</param>
    public static IHealthChecksBuilder AddRedisSessionMaintenance(this IHealthChecksBuilder builder, HealthStatus? failureStatus = null, IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton<RedisSessions.SessionMaintenance>();
        builder.Services.TryAddSingleton<SessionMaintenanceHealthCheck>();
        return builder.Add(new HealthCheckRegistration(
            "redis_session_maintenance", provider => provider.GetRequiredService<SessionMaintenanceHealthCheck>(), failureStatus ?? HealthStatus.Unhealthy, tags ?? ["ready"]));
    }
}
