using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Internal;
using Microsoft.Extensions.Options;

namespace RedisSessions.Storage;

/// <summary>
/// The versions of sessions that this server saw last, by key. A copy is never trusted by itself: the load asks Redis
/// whether it is current, and its version then takes the place of the fields. It is bounded in bytes; what does not fit is
/// not kept, which costs one longer reply and nothing else.
/// </summary>
internal sealed class SessionCopies : IDisposable
{
    // The cache's own entry, its key and its slot, beyond what the snapshot says of itself.
    private const int EntryOverhead = 400;

    private readonly MemoryCache? _cache;
    private readonly SessionTimeouts _timeouts;
    private readonly TimeSpan _maxStaleness;

    public SessionCopies(IOptions<RedisSessionOptions> options, SessionTimeouts timeouts)
    {
        var settings = options.Value.LocalCache;
        _timeouts = timeouts;
        _maxStaleness = settings.MaxStaleness;
        if (settings.SizeLimit > 0)
        {
            _cache = new MemoryCache(new MemoryCacheOptions
            {
                SizeLimit = settings.SizeLimit,
                TrackStatistics = true,
                Clock = new SystemClock(timeouts.Clock),
            });
        }
    }

    /// <summary>Estimated bytes held now.</summary>
    public long Size => _cache?.GetCurrentStatistics()?.CurrentEstimatedSize ?? 0;

    public bool TryGet(string key, [NotNullWhen(true)] out SessionCopy? copy)
    {
        copy = null;
        return _cache is not null && _cache.TryGetValue(key, out copy) && copy is not null;
    }

    /// <summary>Keeps a version that Redis just sent or acknowledged.</summary>
    /// <param name="key">The session's key.</param>
    /// <param name="session">The version.</param>
    /// <param name="nextSlide">When the session is to be slid next, Unix milliseconds.</param>
    public void Set(string key, SessionSnapshot session, long nextSlide)
    {
        if (_cache is null)
        {
            return;
        }

        if (session.IsPartial)
        {
            _cache.Remove(key);
            return;
        }

        using var entry = _cache.CreateEntry(key);
        entry.Size = session.Size + EntryOverhead + (2 * key.Length);
        var idle = _timeouts.IdleOf(session, _timeouts.IdleTimeout);
        entry.SlidingExpiration = idle + TimeSpan.FromMilliseconds(_timeouts.PrecisionOf(idle));
        if (_timeouts.EndOf(session) is { } end)
        {
            entry.AbsoluteExpiration = DateTimeOffset.FromUnixTimeMilliseconds(end);
        }

        entry.Value = new SessionCopy(session) { ValidatedAt = _timeouts.Now, NextSlide = nextSlide };
    }

    public void Validated(SessionCopy copy)
    {
        if (_maxStaleness > TimeSpan.Zero)
        {
            copy.ValidatedAt = _timeouts.Now;
        }
    }

    /// <summary>
    /// Whether a request that only reads may do without asking Redis. Never for longer than half of the idle timeout, so
    /// that a session in use does not run out while nobody slides its TTL.
    /// </summary>
    public bool MayBeServed(SessionCopy copy)
    {
        if (_maxStaleness <= TimeSpan.Zero)
        {
            return false;
        }

        var halfIdle = _timeouts.IdleOf(copy.Session, _timeouts.IdleTimeout) / 2;
        var allowed = _maxStaleness < halfIdle ? _maxStaleness : halfIdle;
        return _timeouts.Now - copy.ValidatedAt < (long)allowed.TotalMilliseconds;
    }

    public void Remove(string key) => _cache?.Remove(key);

    public void Dispose() => _cache?.Dispose();

    private sealed class SystemClock(TimeProvider clock) : ISystemClock
    {
        public DateTimeOffset UtcNow => clock.GetUtcNow();
    }
}

/// <summary>A session version, when Redis last said that it is current, and when the session is to be slid next.</summary>
internal sealed class SessionCopy(SessionSnapshot session)
{
    private long _validatedAt;
    private long _nextSlide;

    public SessionSnapshot Session { get; } = session;

    /// <summary>Unix milliseconds.</summary>
    public long ValidatedAt
    {
        get => Volatile.Read(ref _validatedAt);
        set => Volatile.Write(ref _validatedAt, value);
    }

    /// <summary>Unix milliseconds: the expiry that was last seen, less the idle timeout.</summary>
    public long NextSlide
    {
        get => Volatile.Read(ref _nextSlide);
        set => Volatile.Write(ref _nextSlide, value);
    }
}
