using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Caching;
using RedisSessions.Redis;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>IDistributedCache on Redis, in the layout of Microsoft.Extensions.Caching.StackExchangeRedis.</summary>
public static class RedisHashCacheServiceCollectionExtensions
{
    /// <summary>
    /// Registers <see cref="IDistributedCache"/> (and <see cref="IBufferDistributedCache"/>) with Microsoft's layout, so that
    /// entries of AddStackExchangeRedisCache with the same instance name are read, written and expired by either. A
    /// configuration that is the session's uses the session's connection.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configuration">A StackExchange.Redis connection string.</param>
    /// <param name="configure">Further options; <see langword="null"/> for the defaults.</param>
    /// <exception cref="OptionsValidationException">At start-up: an option is wrong; the message says what to write.</exception>
    public static IServiceCollection AddRedisHashCache(this IServiceCollection services, string configuration, Action<RedisHashCacheOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<RedisHashCacheOptions>, Validator>());
        services.AddOptions<RedisHashCacheOptions>().ValidateOnStart().Configure(options =>
        {
            options.Configuration = configuration;
            configure?.Invoke(options);
        });
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<RedisHashCacheConnection>();
        services.Replace(ServiceDescriptor.Singleton<IDistributedCache>(provider => new RedisHashCache(
            provider.GetRequiredService<RedisHashCacheConnection>().Connection,
            provider.GetRequiredService<IOptions<RedisHashCacheOptions>>(),
            provider.GetRequiredService<TimeProvider>())));
        return services;
    }

    private sealed class Validator : IValidateOptions<RedisHashCacheOptions>
    {
        public ValidateOptionsResult Validate(string? name, RedisHashCacheOptions options) =>
            options.ConnectionMultiplexerFactory is not null
            || (options.Configuration is not null && RedisConnectionSettings.TryParse(options.Configuration, out _))
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail("RedisHashCacheOptions.Configuration is not a connection string of StackExchange.Redis. Write host:port and then its options, for example \"localhost:6379,password=...,ssl=true\".");
    }
}

/// <summary>The session's connection where the settings are the same, else one of the cache's own.</summary>
internal sealed class RedisHashCacheConnection : IAsyncDisposable, IDisposable
{
    private readonly RedisConnection? _own;

    public RedisHashCacheConnection(IOptions<RedisHashCacheOptions> options, IOptions<RedisSessionOptions> sessionOptions, IServiceProvider services)
    {
        var shared = services.GetService<RedisConnection>();
        if (shared is not null && SameSettings(options.Value, sessionOptions.Value))
        {
            Connection = shared;
        }
        else
        {
            Connection = _own = new RedisConnection(options.Value.ConnectionMultiplexerFactory, options.Value.Configuration);
        }
    }

    public RedisConnection Connection { get; }

    private static bool SameSettings(RedisHashCacheOptions cache, RedisSessionOptions session) => cache.ConnectionMultiplexerFactory is not null
        ? cache.ConnectionMultiplexerFactory == session.ConnectionMultiplexerFactory
        : session is { ConnectionMultiplexerFactory: null, ConfigurationOptions: null } && cache.Configuration == session.Configuration;

    public void Dispose() => _own?.Dispose();

    public ValueTask DisposeAsync() => _own?.DisposeAsync() ?? ValueTask.CompletedTask;
}
