using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Data Protection's keys beside the sessions whose cookies they protect.</summary>
public static class DataProtectionSessionBuilderExtensions
{
    /// <summary>
    /// Keeps Data Protection's keys in the sessions' Redis (a list, <c>dataprotection</c> behind the key prefix, without a TTL), so that every server of a fleet reads the
    /// cookies of every other, and a new container those of the one before. Without shared keys a session's cookie is worth something on one server only.
    /// <para>
    /// The keys are stored as they are unless <c>AddDataProtection().ProtectKeysWith...()</c> says otherwise: who can read this Redis can then make cookies. All
    /// applications with the same prefix must have the same application name (<c>SetApplicationName</c>), or be deployed to the same path. Redis must be there when the keys are first needed.
    /// </para>
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    public static RedisSessionBuilder PersistDataProtectionKeys(this RedisSessionBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddDataProtection();
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<KeyManagementOptions>, KeysInRedis>());
        return builder;
    }

    private sealed class KeysInRedis(RedisConnection connection, SessionKeys keys) : IConfigureOptions<KeyManagementOptions>
    {
        public void Configure(KeyManagementOptions options) => options.XmlRepository = new RedisXmlRepository(connection, $"{keys.Prefix}dataprotection");
    }
}
