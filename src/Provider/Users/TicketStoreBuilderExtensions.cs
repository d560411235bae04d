using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Users;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Keeps authentication tickets in sessions.</summary>
public static class TicketStoreBuilderExtensions
{
    /// <summary>
    /// Keeps the ticket of a cookie sign-in, encrypted, in the hash of its session, so that the authentication cookie stays small however
    /// many claims and tokens there are, and one round trip loads both. Adds the user index. Cookies from before keep working: see docs/users.md.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    /// <exception cref="OptionsValidationException">At start-up: <see cref="UserIndexOptions.EndSignInWithSession"/> is off.</exception>
    public static RedisSessionBuilder AddTicketStore(this RedisSessionBuilder builder, Action<TicketStoreOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddUserIndex();
        var services = builder.Services;
        var options = services.AddOptions<TicketStoreOptions>();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.TryAddSingleton<TicketStores>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<UserIndexOptions>, EndsWithSession>());
        return builder;
    }

    private sealed class EndsWithSession : IValidateOptions<UserIndexOptions>
    {
        public ValidateOptionsResult Validate(string? name, UserIndexOptions options) => options.EndSignInWithSession
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(
                "UserIndexOptions.EndSignInWithSession is off, but AddTicketStore keeps tickets in sessions, so a sign-in cannot outlive its session. Leave it on, or do without AddTicketStore.");
    }
}
