using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Security;
using RedisSessions.Security.RecentSignIn;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds what a security review asks of sessions.</summary>
public static class SessionSecurityBuilderExtensions
{
    /// <summary>
    /// Binds sessions to their browsers, bounds what a client may cause, and reports security events. Outside Development the session
    /// cookie is Secure and HttpOnly unless the application says otherwise in <see cref="SessionOptions"/>. See
    /// <see cref="ISessionSecurity"/> and docs/security.md. Before or after <c>AddUserIndex()</c>, where that is used.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddSecurity(this RedisSessionBuilder builder, Action<SessionSecurityOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SessionSecurityOptions>, SessionSecurityOptionsValidator>());
        var options = services.AddOptions<SessionSecurityOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        SafeCookie.PutFirst(services);
        services.TryAddSingleton<HostCookie>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<SessionOptions>, HostCookie>(static provider => provider.GetRequiredService<HostCookie>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<SessionOptions>, HostCookie>(static provider => provider.GetRequiredService<HostCookie>()));
        AddEvents(services);
        services.TryAddSingleton<ISessionSecurity, SessionSecurity>();
        services.TryAddSingleton<BrowserTraits>();
        services.TryAddSingleton<BrowserBinding>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, BrowserBinding>(static provider => provider.GetRequiredService<BrowserBinding>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, SessionBounds>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, CreationRate>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, TimeoutsByUser>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, ReportedChanges>());
        services.TryAddSingleton<NetworksInUse>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, NetworksInUse>(static provider => provider.GetRequiredService<NetworksInUse>()));
        services.TryAddSingleton<SuspiciousSessions>();
        services.AddAuthorization();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IAuthorizationHandler, RecentSignInHandler>());
        RecentSignInEvaluator.Wrap(services);
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
        services.TryAddSingleton<RecentSecurityEvents>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ISessionSecurityEvents, RecentSecurityEvents>(static provider => provider.GetRequiredService<RecentSecurityEvents>()));
    }
}
