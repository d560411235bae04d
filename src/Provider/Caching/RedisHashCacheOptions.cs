using StackExchange.Redis;

namespace RedisSessions;

/// <summary>Where <see cref="Microsoft.Extensions.Caching.Distributed.IDistributedCache"/> keeps its entries.</summary>
public sealed class RedisHashCacheOptions
{
    /// <summary>
    /// A StackExchange.Redis connection string. What it leaves unsaid is set up to fail fast. The same text as the session's
    /// shares the session's connection. <see langword="null"/>: see <see cref="ConnectionMultiplexerFactory"/>.
    /// </summary>
    public string? Configuration { get; set; }

    /// <summary>
    /// Makes or finds the connection, which then stays the application's to dispose. Takes precedence over
    /// <see cref="Configuration"/>. Default <see langword="null"/>.
    /// </summary>
    public Func<Task<IConnectionMultiplexer>>? ConnectionMultiplexerFactory { get; set; }

    /// <summary>What every key begins with, as in Microsoft's RedisCacheOptions. Default <see langword="null"/>: nothing.</summary>
    public string? InstanceName { get; set; }
}
