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
}
