using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection.Extensions;
using RedisSessions.Sessions;
using StackExchange.Redis;
using ZiggyCreatures.Caching.Fusion;
using ZiggyCreatures.Caching.Fusion.Serialization.SystemTextJson;

namespace RedisSessions.Benchmarks.Contenders;

/// <summary>How each contender is registered, as its own documentation says.</summary>
public static class Contender
{
    public const string Ours = "RedisSessions";
    public const string OursNotified = "RedisSessions, notified";
    public const string OursWithoutCopies = "RedisSessions, no copies";
    public const string OursDedicated = "RedisSessions, dedicated threads";
    public const string OursOnPool = "RedisSessions, threads of the pool";
    public const string OursWithUsers = "RedisSessions, user index";
    public const string OursWithSecurity = "RedisSessions, user index, security";
    public const string OursWithEncryption = "RedisSessions, encryption";
    public const string OursWithAnalytics = "RedisSessions, user index, analytics";
    public const string Microsoft = "Microsoft";
    public const string JsonBlob = "JSON blob";
    public const string InMemory = "in memory";
    public const string Hybrid = "Microsoft over HybridCache";
    public const string Fusion = "Microsoft over FusionCache";
    public const string Ping = "PING limit";
    public const string PingRemembered = "PING limit, cookies remembered";
    public const string PingDedicated = "PING limit, dedicated threads";

    private const int MostBytes = 4 * 1024 * 1024;

    public static IServiceCollection Add(IServiceCollection services, string contender, string redis, string? prefix = null)
    {
        prefix ??= contender.Replace(" ", "", StringComparison.Ordinal).Replace(",", "", StringComparison.Ordinal) + ":";
        switch (contender)
        {
            case Ours:
                services.AddRedisSession(redis, o => o.KeyPrefix = prefix);
                break;
            case OursNotified:
                services.AddRedisSession(redis, o => (o.KeyPrefix, o.LocalCache.Mode) = (prefix, LocalCacheMode.Notified));
                break;
            case OursWithoutCopies:
                services.AddRedisSession(redis, o => (o.KeyPrefix, o.LocalCache.SizeLimit) = (prefix, 0));
                break;
            case OursDedicated:
                services.AddRedisSession(redis, o => (o.KeyPrefix, o.UseDedicatedThreads) = (prefix, true));
                break;
            case OursOnPool:
                services.AddRedisSession(redis, o => (o.KeyPrefix, o.UseDedicatedThreads) = (prefix, false));
                break;
            case OursWithUsers:
                services.AddRedisSession(redis, o => o.KeyPrefix = prefix).AddUserIndex();
                break;
            case OursWithSecurity:
                services.AddRedisSession(redis, o => o.KeyPrefix = prefix).AddUserIndex().AddSecurity(o =>
                {
                    (o.Address, o.UserAgent, o.Fingerprint) = (AddressBinding.Network, UserAgentBinding.Family, true);
                    o.MaxCreationsPerMinute = int.MaxValue;
                });
                break;
            case OursWithAnalytics:
                services.AddRedisSession(redis, o => o.KeyPrefix = prefix).AddUserIndex().AddAnalytics();
                break;
            case OursWithEncryption:
                services.AddRedisSession(redis, o => o.KeyPrefix = prefix).AddEncryption();
                break;
            case Microsoft:
                services.AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (redis, prefix));
                services.AddSession();
                break;
            case InMemory:
                services.AddDistributedMemoryCache(o => o.SizeLimit = null);
                services.AddSession();
                break;
            case Hybrid:
                AddRedisCache(services, redis, prefix);
                services.AddHybridCache(o => o.MaximumPayloadBytes = MostBytes);
                AddSessionOverHybridCache(services);
                break;
            case Fusion:
                AddRedisCache(services, redis, prefix);
                services.AddFusionCache()
                    .WithSerializer(new FusionCacheSystemTextJsonSerializer())
                    .WithRegisteredDistributedCache()
                    .AsHybridCache();
                AddSessionOverHybridCache(services);
                break;
            case JsonBlob:
                services.AddSingleton<IConnectionMultiplexer>(_ => ConnectionMultiplexer.Connect(redis));
                services.AddSingleton(provider => new JsonBlobSessions(provider.GetRequiredService<IConnectionMultiplexer>().GetDatabase(), prefix));
                services.AddSession();
                services.Replace(ServiceDescriptor.Singleton<ISessionStore, JsonBlobSessionStore>());
                break;
            case PingDedicated:
                ConnectionMultiplexer.SetFeatureFlag("DedicatedThreads", true);
                goto case Ping;
            case PingRemembered:
                // The session middleware as ours has it, which does not unprotect a cookie that it knows.
                services.AddSingleton(TimeProvider.System).AddSingleton<RememberedCookies>();
                goto case Ping;
            case Ping:
                services.AddSession();
                services.AddSingleton<IConnectionMultiplexer>(_ => ConnectionMultiplexer.Connect(redis));
                services.Replace(ServiceDescriptor.Singleton<ISessionStore>(provider =>
                    new PingSessionStore(provider.GetRequiredService<IConnectionMultiplexer>().GetDatabase())));
                break;
            default:
                throw new ArgumentException($"There is no contender {contender}.", nameof(contender));
        }

        return services;
    }

    private static void AddRedisCache(IServiceCollection services, string redis, string prefix) =>
        services.AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (redis, prefix));

    // The session's cache is the two-level one, whose second level is the container's.
    private static void AddSessionOverHybridCache(IServiceCollection services)
    {
        services.AddSession();
        services.Replace(ServiceDescriptor.Singleton<ISessionStore>(static provider => new DistributedSessionStore(
            new HybridDistributedCache(provider.GetRequiredService<HybridCache>()), provider.GetRequiredService<ILoggerFactory>())));
    }
}
