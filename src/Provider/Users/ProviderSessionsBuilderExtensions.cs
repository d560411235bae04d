using Microsoft.Extensions.DependencyInjection.Extensions;
using RedisSessions;
using RedisSessions.Sessions;
using RedisSessions.Users;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Makes sessions known by their identity provider's sign-ins.</summary>
public static class ProviderSessionsBuilderExtensions
{
    /// <summary>
    /// Finds sessions by the provider's <c>sid</c> and <c>sub</c>, for logout that the provider asks for (OpenID Connect Back-Channel Logout 1.0): see
    /// <see cref="IProviderSessions"/>. Adds the user index.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddProviderSessions(this RedisSessionBuilder builder, Action<ProviderSessionsOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddUserIndex();
        var options = builder.Services.AddOptions<ProviderSessionsOptions>();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        builder.Services.TryAddSingleton<ProviderIndex>();
        builder.Services.TryAddSingleton<IProviderSessions>(static provider => provider.GetRequiredService<ProviderIndex>());
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, ProviderEntries>());
        return builder;
    }
}
