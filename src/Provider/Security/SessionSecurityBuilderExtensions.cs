using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Security;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds what a security review asks of sessions.</summary>
public static class SessionSecurityBuilderExtensions
{
    /// <summary>
    /// Binds sessions to their browsers, bounds what a client may cause, and reports security events; see
    /// <see cref="ISessionSecurity"/> and docs/security.md. Call it after <c>AddUserIndex()</c>, where that is used.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddSecurity(this RedisSessionBuilder builder, Action<SessionSecurityOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SessionSecurityOptions>, Validator>());
        var options = services.AddOptions<SessionSecurityOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        AddEvents(services);
        services.TryAddSingleton<ISessionSecurity, SessionSecurity>();
        services.TryAddSingleton<BrowserBinding>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, BrowserBinding>(static provider => provider.GetRequiredService<BrowserBinding>()));
        services.AddAuthorization();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IAuthorizationHandler, RequireRecentSignInAttribute.Handler>());
        services.Replace(ServiceDescriptor.Singleton<IAuthorizationMiddlewareResultHandler, RequireRecentSignInAttribute.ResultHandler>());
        return builder;
    }

    /// <summary>
    /// Encrypts the application's values at rest through ASP.NET Core Data Protection, bound to the session and the field.
    /// Names and metadata stay readable. Every server needs the same key ring.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddEncryption(this RedisSessionBuilder builder, Action<SessionEncryptionOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddDataProtection();
        var options = builder.Services.AddOptions<SessionEncryptionOptions>();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        AddEvents(builder.Services);
        builder.Services.TryAddSingleton<FieldCodec, FieldEncryption>();
        return builder;
    }

    private static void AddEvents(IServiceCollection services)
    {
        services.TryAddSingleton<SecurityEvents>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ISessionSecurityEvents, LoggedSecurityEvents>());
    }

    private sealed class Validator : IValidateOptions<SessionSecurityOptions>
    {
        public ValidateOptionsResult Validate(string? name, SessionSecurityOptions options)
        {
            var errors = new List<string>();
            Check(options.IPv4PrefixLength is >= 1 and <= 32, "IPv4PrefixLength", "between 1 and 32");
            Check(options.IPv6PrefixLength is >= 1 and <= 128, "IPv6PrefixLength", "between 1 and 128");
            Check(options.MaxFieldCount >= 1, "MaxFieldCount", "of at least 1");
            Check(options.MaxFieldSize >= 1, "MaxFieldSize", "of at least 1 byte");
            Check(options.MaxSessionSize >= 1, "MaxSessionSize", "of at least 1 byte");
            Check(options.MaxCreationsPerMinute >= 0, "MaxCreationsPerMinute", "of at least 0, which is no limit");
            if (options.Fingerprint && options.FingerprintHeaders.Count == 0)
            {
                errors.Add("SessionSecurityOptions.FingerprintHeaders is empty. Add a header name, for example \"User-Agent\", or set Fingerprint to false.");
            }

            return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);

            void Check(bool valid, string option, string what)
            {
                if (!valid)
                {
                    errors.Add($"SessionSecurityOptions.{option} is out of range. Write a number {what}.");
                }
            }
        }
    }
}
