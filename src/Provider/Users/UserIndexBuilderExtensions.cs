using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Sessions;
using RedisSessions.Users;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the index of users' sessions.</summary>
public static class UserIndexBuilderExtensions
{
    /// <summary>
    /// Makes every session of a signed-in user findable through <see cref="IUserSessions"/>, and makes revoking one end the
    /// sign-in. Needs no other line: sessions are bound at cookie sign-in, and otherwise at the first authenticated request.
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddUserIndex(this RedisSessionBuilder builder, Action<UserIndexOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<UserIndexOptions>, UserIndexOptionsValidator>());
        var options = services.AddOptions<UserIndexOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.AddDataProtection();
        services.TryAddSingleton<UserIndex>();
        services.TryAddSingleton<RequestUsers>();
        services.TryAddSingleton<DeviceCookie>();
        services.TryAddSingleton<UserDevices>();
        services.TryAddSingleton<UserBinding>();
        services.TryAddSingleton<SignInClaims>();
        services.TryAddSingleton<CookieSignIn>();
        services.TryAddSingleton<IUserSessions, UserSessions>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, UserBinding>(provider => provider.GetRequiredService<UserBinding>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, LimitEvents>());
        services.TryAddSingleton<IOptionsFactory<CookieAuthenticationOptions>, ChainedCookieOptions>();
        services.AddHostedService<UserIndexPruner>();
        return builder;
    }

    private sealed class UserIndexOptionsValidator(IOptionsFactory<CookieAuthenticationOptions> cookies) : IValidateOptions<UserIndexOptions>
    {
        public ValidateOptionsResult Validate(string? name, UserIndexOptions options)
        {
            var errors = new List<string>();
            if (cookies is not ChainedCookieOptions)
            {
                errors.Add(
                    $"Cookie authentication gets its options from {cookies.GetType().Name}, which leaves out what ties sign-ins to sessions. "
                    + "Remove its registration as IOptionsFactory<CookieAuthenticationOptions>, and write services.PostConfigure<CookieAuthenticationOptions>(...).");
            }

            if (options.MaxSessionsPerUser < 1)
            {
                errors.Add("UserIndexOptions.MaxSessionsPerUser is less than 1. Write a number of sessions, or null for no limit.");
            }

            if (options.RefreshInterval < TimeSpan.FromSeconds(1) || options.RefreshInterval > TimeSpan.FromHours(1))
            {
                errors.Add("UserIndexOptions.RefreshInterval is out of range. Write a time span between one second and one hour, for example TimeSpan.FromMinutes(1).");
            }

            if (options.ActivityRetention < TimeSpan.FromHours(1))
            {
                errors.Add("UserIndexOptions.ActivityRetention is less than one hour. Write a longer time span, for example TimeSpan.FromDays(30).");
            }

            if (options.ActivityShards is < 1 or > 1024)
            {
                errors.Add("UserIndexOptions.ActivityShards is out of range. Write a number between 1 and 1024, the same on every server.");
            }

            if (options.PruneInterval < TimeSpan.Zero)
            {
                errors.Add("UserIndexOptions.PruneInterval is negative. Write a time span, or TimeSpan.Zero to turn pruning off.");
            }

            if (options.DeviceLifetime < TimeSpan.FromDays(1) || options.DeviceLifetime > TimeSpan.FromDays(400))
            {
                errors.Add("UserIndexOptions.DeviceLifetime is out of range. Write a time span between one day and 400 days, for example TimeSpan.FromDays(180).");
            }

            if (options.MaxDevicesPerUser is < 1 or > 1_000)
            {
                errors.Add("UserIndexOptions.MaxDevicesPerUser is out of range. Write a number between 1 and 1,000.");
            }

            if (string.IsNullOrWhiteSpace(options.DeviceCookieName))
            {
                errors.Add("UserIndexOptions.DeviceCookieName is empty. Write a cookie's name, or leave it out.");
            }

            return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
        }
    }
}
