using Microsoft.Extensions.DependencyInjection.Extensions;
using RedisSessions;
using RedisSessions.Migration;
using RedisSessions.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Moves sessions over from AddStackExchangeRedisCache and AddSession.</summary>
public static class MicrosoftSessionMigrationBuilderExtensions
{
    /// <summary>
    /// Continues sessions that Microsoft's stack stored in this Redis: a cookie whose session has no hash yet is looked up
    /// there, at the cost of one round trip until it has moved. Cookies stay valid.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="instanceName">The instance name that AddStackExchangeRedisCache was given; <see langword="null"/> for none.</param>
    /// <param name="configure">Further options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddMicrosoftSessionMigration(
        this RedisSessionBuilder builder,
        string? instanceName = null,
        Action<MicrosoftSessionMigrationOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddOptions<MicrosoftSessionMigrationOptions>().Configure(options =>
        {
            options.InstanceName = instanceName ?? "";
            configure?.Invoke(options);
        });
        builder.Services.TryAddSingleton<FormerStore, MicrosoftSessions>();
        return builder;
    }
}
