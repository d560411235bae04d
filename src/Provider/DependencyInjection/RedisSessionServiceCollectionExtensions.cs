using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Diagnostics;
using RedisSessions.Preloading;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts ASP.NET Core's session on Redis.</summary>
public static class RedisSessionServiceCollectionExtensions
{
    /// <summary>
    /// Stores sessions in the Redis of this connection string. The application keeps <c>app.UseSession()</c> and
    /// <c>HttpContext.Session</c> and needs no other line; call it before or after <c>AddSession</c>, which sets the cookie
    /// and the idle timeout. The connection is begun at start-up and nobody waits for it, so Redis may be away then.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configuration">A StackExchange.Redis connection string, such as <c>localhost:6379,password=...</c>.</param>
    /// <param name="configure">Further options; <see langword="null"/> for the defaults.</param>
    /// <exception cref="OptionsValidationException">At start-up: an option is wrong; the message says what to write.</exception>
    public static RedisSessionBuilder AddRedisSession(this IServiceCollection services, string configuration, Action<RedisSessionOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        return services.AddRedisSession(options =>
        {
            options.Configuration = configuration;
            configure?.Invoke(options);
        });
    }

    /// <summary>
    /// Stores sessions in Redis over the container's <see cref="StackExchange.Redis.IConnectionMultiplexer"/>, unless
    /// <paramref name="configure"/> or the configuration section <c>RedisSession</c> names another connection.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    /// <exception cref="OptionsValidationException">At start-up: an option is wrong; the message says what to write.</exception>
    public static RedisSessionBuilder AddRedisSession(this IServiceCollection services, Action<RedisSessionOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);

        // What AddSession() adds but for its store, which declares itself unsafe for trimming.
        services.AddDataProtection();
        services.TryAddSingleton<RedisSessionStore>();
        services.Replace(ServiceDescriptor.Singleton<ISessionStore>(static provider => provider.GetRequiredService<RedisSessionStore>()));
        services.AddHttpContextAccessor();

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<RedisSessionOptions>, BindFromConfiguration>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<RedisSessionOptions>, FindConnectionString>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<RedisSessionOptions>, RedisSessionOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SessionOptions>, SessionOptionsValidator>());
        var options = services.AddOptions<RedisSessionOptions>().ValidateOnStart();
        services.AddOptions<SessionOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<RedisConnection>();
        services.TryAddSingleton<SessionTimeouts>();
        services.TryAddSingleton<SessionHash>();
        services.TryAddSingleton<FieldExpiry>();
        services.TryAddSingleton(static provider => new SessionKeys(provider.GetRequiredService<IOptions<RedisSessionOptions>>().Value.KeyPrefix));
        services.TryAddSingleton<RememberedCookies>();
        services.TryAddSingleton<SessionCookie>();
        services.TryAddSingleton(static provider => new RedisFeed(
            provider.GetRequiredService<RedisConnection>(),
            provider.GetRequiredService<SessionKeys>().ChangesName,
            provider.GetRequiredService<IOptions<RedisSessionOptions>>().Value.LocalCache.MaxLag,
            provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton<SessionCopies>();
        services.TryAddSingleton<SessionMetrics>();
        services.TryAddSingleton<SessionTurns>();
        services.TryAddSingleton<SessionAddOns>();
        services.TryAddSingleton<ReplicationState>();
        services.TryAddSingleton<Durability>();
        services.AddHostedService<ConnectAtStart>();
        services.AddHostedService(static provider => provider.GetRequiredService<Durability>());
        services.AddHostedService<RequireAtStart>();
        services.AddHostedService<HeardChanges>();
        services.TryAddSingleton<SessionTenants>();
        services.TryAddSingleton<ISessionTenants>(static provider => provider.GetRequiredService<SessionTenants>());
        services.AddHostedService(static provider => provider.GetRequiredService<SessionTenants>());
        services.AddMetrics();
        services.AddRouting();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<MatcherPolicy, SessionPreloadPolicy>());
        services.TryAddSingleton<ISessionRepository, SessionRepository>();
        return new RedisSessionBuilder(services);
    }

    /// <summary>Configuration is optional: a container without it, as in a test, has none to bind.</summary>
    private sealed class BindFromConfiguration(IServiceProvider services) : IConfigureOptions<RedisSessionOptions>
    {
        public void Configure(RedisSessionOptions options)
        {
            if (services.GetService<IConfiguration>()?.GetSection(RedisSessionOptions.SectionName) is { } section)
            {
                options.Configuration = section[nameof(RedisSessionOptions.Configuration)] ?? options.Configuration;
                options.ConnectionName = section[nameof(RedisSessionOptions.ConnectionName)] ?? options.ConnectionName;
                options.KeyPrefix = section[nameof(RedisSessionOptions.KeyPrefix)] ?? options.KeyPrefix;
                options.AbsoluteTimeout = section.GetValue(nameof(RedisSessionOptions.AbsoluteTimeout), options.AbsoluteTimeout);
                options.SlidePrecision = section.GetValue(nameof(RedisSessionOptions.SlidePrecision), options.SlidePrecision);
                options.EndReasonRetention = section.GetValue(nameof(RedisSessionOptions.EndReasonRetention), options.EndReasonRetention);
                options.CommitFailure = section.GetValue(nameof(RedisSessionOptions.CommitFailure), options.CommitFailure);
                options.WaitForFailover = section.GetValue(nameof(RedisSessionOptions.WaitForFailover), options.WaitForFailover);
                Bind(section.GetSection("WaitForReplicas:Commits"), options.WaitForReplicas.Commits);
                Bind(section.GetSection("WaitForReplicas:SignIns"), options.WaitForReplicas.SignIns);
                Bind(section.GetSection("WaitForReplicas:Revocations"), options.WaitForReplicas.Revocations);
                options.RequireFieldExpiry = section.GetValue(nameof(RedisSessionOptions.RequireFieldExpiry), options.RequireFieldExpiry);
                options.PreloadSession = section.GetValue(nameof(RedisSessionOptions.PreloadSession), options.PreloadSession);
                options.UseDedicatedThreads = section.GetValue(nameof(RedisSessionOptions.UseDedicatedThreads), options.UseDedicatedThreads);
                var cache = section.GetSection(nameof(RedisSessionOptions.LocalCache));
                options.LocalCache.SizeLimit = cache.GetValue(nameof(LocalCacheOptions.SizeLimit), options.LocalCache.SizeLimit);
                options.LocalCache.Mode = cache.GetValue(nameof(LocalCacheOptions.Mode), options.LocalCache.Mode);
                options.LocalCache.MaxLag = cache.GetValue(nameof(LocalCacheOptions.MaxLag), options.LocalCache.MaxLag);
                var exclusive = section.GetSection(nameof(RedisSessionOptions.Exclusive));
                options.Exclusive.Wait = exclusive.GetValue(nameof(ExclusiveSessionOptions.Wait), options.Exclusive.Wait);
                options.Exclusive.MaxWaiting = exclusive.GetValue(nameof(ExclusiveSessionOptions.MaxWaiting), options.Exclusive.MaxWaiting);
                options.Exclusive.Lease = exclusive.GetValue(nameof(ExclusiveSessionOptions.Lease), options.Exclusive.Lease);
            }
        }
    }

    private static void Bind(IConfigurationSection section, ReplicaWaitOptions wait)
    {
        wait.Replicas = section.GetValue(nameof(ReplicaWaitOptions.Replicas), wait.Replicas);
        wait.OnDisk = section.GetValue(nameof(ReplicaWaitOptions.OnDisk), wait.OnDisk);
        wait.Timeout = section.GetValue(nameof(ReplicaWaitOptions.Timeout), wait.Timeout);
    }

    /// <summary>After all that code and configuration say, so that whoever names the connection last has it.</summary>
    private sealed class FindConnectionString(IServiceProvider services) : IPostConfigureOptions<RedisSessionOptions>
    {
        public void PostConfigure(string? name, RedisSessionOptions options)
        {
            if (options.ConnectionName is { } connection)
            {
                options.Configuration ??= services.GetService<IConfiguration>()?.GetConnectionString(connection);
            }
        }
    }

    private sealed class SessionOptionsValidator : IValidateOptions<SessionOptions>
    {
        public ValidateOptionsResult Validate(string? name, SessionOptions options)
        {
            if (options.IdleTimeout < TimeSpan.FromMilliseconds(1))
            {
                return ValidateOptionsResult.Fail("SessionOptions.IdleTimeout is not positive. Write a positive time span, for example TimeSpan.FromMinutes(20).");
            }

            return options.IOTimeout <= TimeSpan.Zero && options.IOTimeout != Timeout.InfiniteTimeSpan
                ? ValidateOptionsResult.Fail("SessionOptions.IOTimeout is not positive. Write a positive time span, for example TimeSpan.FromSeconds(5), or Timeout.InfiniteTimeSpan.")
                : ValidateOptionsResult.Success;
        }
    }
}
