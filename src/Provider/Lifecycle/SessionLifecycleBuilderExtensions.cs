using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Lifecycle;
using RedisSessions.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Tells the application that sessions have ended.</summary>
public static class SessionLifecycleBuilderExtensions
{
    /// <summary>
    /// Calls <typeparamref name="T"/> for every session that has ended, on one server of the fleet, until it succeeds. Every server of the fleet is to have
    /// it. Called once; a second call is an error at start-up.
    /// </summary>
    /// <typeparam name="T">Scoped, unless the application has registered it otherwise.</typeparam>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    /// <exception cref="OptionsValidationException">At start-up: an option is wrong; the message says what to write.</exception>
    public static RedisSessionBuilder AddLifecycle<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(
        this RedisSessionBuilder builder, Action<SessionLifecycleOptions>? configure = null)
        where T : class, ISessionLifecycle
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SessionLifecycleOptions>, SessionLifecycleOptionsValidator>());
        var options = services.AddOptions<SessionLifecycleOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.TryAddScoped<T>();
        services.AddSingleton(new LifecycleRegistration(typeof(T)));
        services.TryAddSingleton<SessionWatch>();
        services.TryAddSingleton<SessionLook>();
        services.TryAddSingleton<WatchSignals>();
        services.TryAddSingleton<LifecycleCaller>();
        services.TryAddSingleton<LifecycleWatcher>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, LifecycleRecorder>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, LifecycleWatcher>(static provider => provider.GetRequiredService<LifecycleWatcher>()));
        return builder;
    }
}
