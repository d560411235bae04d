using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;

namespace RedisSessions.Benchmarks.Contenders;

/// <summary>
/// A HybridCache where Microsoft's session asks for an IDistributedCache; neither HybridCache nor FusionCache brings such an adapter. A hybrid
/// cache has no sliding expiry: what was read is kept as long as it was written for.
/// </summary>
internal sealed class HybridDistributedCache(HybridCache cache) : IDistributedCache
{
    private static readonly HybridCacheEntryOptions ReadOnly = new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData };

    public Task<byte[]?> GetAsync(string key, CancellationToken token = default) =>
        cache.GetOrCreateAsync(key, static _ => ValueTask.FromResult<byte[]?>(null), ReadOnly, cancellationToken: token).AsTask();

    public Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default) =>
        cache.SetAsync(key, value, new HybridCacheEntryOptions { Expiration = options.SlidingExpiration, LocalCacheExpiration = options.SlidingExpiration }, cancellationToken: token).AsTask();

    public Task RefreshAsync(string key, CancellationToken token = default) => Task.CompletedTask;

    public Task RemoveAsync(string key, CancellationToken token = default) => cache.RemoveAsync(key, token).AsTask();

    public byte[]? Get(string key) => GetAsync(key).GetAwaiter().GetResult();

    public void Set(string key, byte[] value, DistributedCacheEntryOptions options) => SetAsync(key, value, options).GetAwaiter().GetResult();

    public void Refresh(string key)
    {
    }

    public void Remove(string key) => RemoveAsync(key).GetAwaiter().GetResult();
}
