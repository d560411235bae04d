using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Internal;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// The versions of sessions that this server saw last, by key. A copy is never trusted by itself: the load asks Redis
/// whether it is current, and its version then takes the place of the fields. It is bounded in bytes; what does not fit is
/// not kept, which costs one longer reply and nothing else.
/// <para>
/// Where changes are heard (<see cref="LocalCacheMode.Notified"/>), a copy is current as long as nothing else was heard of its session since it
/// was asked for, and all has been heard since: within one epoch of the <see cref="RedisFeed"/>. A message may overtake the reply to a load that
/// was sent before the change; so whoever asks notes first what has been heard (<see cref="Expect"/>), and what it then brings is
/// current only if that is all that has. What is not sure is kept, to be asked about.
/// </para>
/// </summary>
internal sealed class SessionCopies : IDisposable
{
    // The cache's own entry, its key and its slot, beyond what the snapshot says of itself.
    private const int EntryOverhead = 400;

    // Sessions share a place: what is heard of one makes others that are being loaded just then be asked about once more.
    private const int Places = 4096;

    // Not all that ends a session is heard: an eviction, a DEL by hand, a server of the fleet that does not publish, a backup.
    private const long AskedWithin = 60_000;

    private readonly MemoryCache? _cache;
    private readonly SessionTimeouts _timeouts;
    private readonly RedisFeed? _feed;
    private readonly Lock _hearing = new();
    private readonly (long Messages, long Version)[] _heard;

    public SessionCopies(IOptions<RedisSessionOptions> options, SessionTimeouts timeouts, RedisFeed feed)
    {
        var settings = options.Value.LocalCache;
        _timeouts = timeouts;
        _feed = settings.Mode == LocalCacheMode.Notified ? feed : null;
        _heard = _feed is null ? [] : new (long, long)[Places];
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

    /// <summary>Whether any copy may be served without asking, at any time.</summary>
    public bool AreNotified => _feed is not null;

    public bool TryGet(string key, [NotNullWhen(true)] out SessionCopy? copy)
    {
        copy = null;
        return _cache is not null && _cache.TryGetValue(key, out copy) && copy is not null;
    }

    /// <summary>A copy that is current to within the greatest lag, whatever other servers do, and whose session lives.</summary>
    public bool TryGetCurrent(string key, [NotNullWhen(true)] out SessionCopy? copy)
    {
        // The epoch first: what had been heard by then has taken its copy away.
        copy = null;
        if (_feed is not { Epoch: not 0 and var epoch } || !TryGet(key, out var found))
        {
            return false;
        }

        var now = _timeouts.Now;
        if (found.Epoch != epoch || found.Expires <= now || now - found.AskedAt >= AskedWithin)
        {
            return false;
        }

        copy = found;
        return true;
    }

    /// <summary>The copy of just this version, if there is one.</summary>
    public SessionCopy? Find(string key, SessionSnapshot session) => TryGet(key, out var copy) && copy.Session.Version == session.Version ? copy : null;

    /// <summary>To be called before a load or a commit is sent whose outcome is to be kept. Null where every load asks, so that nobody looks at it.</summary>
    public CopyTicket? Expect(string key)
    {
        if (_feed is null)
        {
            return null;
        }

        lock (_hearing)
        {
            return new CopyTicket(_feed.Epoch, _heard[PlaceOf(key)].Messages, _timeouts.Now);
        }
    }

    /// <summary>Keeps a version that Redis just sent or acknowledged.</summary>
    /// <param name="key">The session's key.</param>
    /// <param name="session">The version.</param>
    /// <param name="nextSlide">When the session is to be slid next, Unix milliseconds.</param>
    /// <param name="life">How long it lives from when that was sent, at least.</param>
    /// <param name="ticket">What was known when the load or commit was sent.</param>
    public void Set(string key, SessionSnapshot session, long nextSlide, TimeSpan life, CopyTicket? ticket)
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

        var copy = new SessionCopy(session) { NextSlide = nextSlide };
        if (ticket is null)
        {
            Keep(key, copy);
            return;
        }

        (copy.AskedAt, copy.Expires) = (ticket.At, ticket.At + (long)life.TotalMilliseconds);
        lock (_hearing)
        {
            copy.Epoch = IsCurrent(key, session.Version, ticket) ? ticket.Epoch : 0;
            Keep(key, copy);
        }
    }

    private void Keep(string key, SessionCopy copy)
    {
        using var entry = _cache!.CreateEntry(key);
        entry.Size = copy.Session.Size + EntryOverhead + (2 * key.Length);
        var idle = _timeouts.IdleOf(copy.Session, _timeouts.IdleTimeout);
        entry.SlidingExpiration = idle + TimeSpan.FromMilliseconds(_timeouts.PrecisionOf(idle));
        if (_timeouts.EndOf(copy.Session) is { } end)
        {
            entry.AbsoluteExpiration = DateTimeOffset.FromUnixTimeMilliseconds(end);
        }

        entry.Value = copy;
    }

    /// <summary>Redis said that a copy is current.</summary>
    public void Confirm(string key, SessionCopy copy, CopyTicket ticket)
    {
        lock (_hearing)
        {
            if (IsCurrent(key, copy.Session.Version, ticket))
            {
                (copy.AskedAt, copy.Epoch) = (ticket.At, ticket.Epoch);
            }
        }
    }

    /// <summary>A session was slid: it lives for its idle timeout from when that was sent, or to its absolute end.</summary>
    public void Slid(string key, SessionSnapshot session, TimeSpan idle, long at)
    {
        if (_feed is not null && TryGet(key, out var copy) && copy.Session.CreatedAt == session.CreatedAt)
        {
            copy.Expires = Math.Max(copy.Expires, at + (long)idle.TotalMilliseconds);
        }
    }

    /// <summary>Another server, or this one, changed a session.</summary>
    public void Hear(string key, long version)
    {
        if (_feed is null)
        {
            return;
        }

        lock (_hearing)
        {
            ref var place = ref _heard[PlaceOf(key)];
            place = (place.Messages + 1, version);
            if (TryGet(key, out var copy) && copy.Session.Version != version)
            {
                Remove(key);
            }
        }
    }

    public void Remove(string key) => _cache?.Remove(key);

    public void Dispose() => _cache?.Dispose();

    /// <summary>Whether nothing was heard since, or only that the session came to this very version.</summary>
    private bool IsCurrent(string key, long version, CopyTicket ticket)
    {
        var (messages, latest) = _heard[PlaceOf(key)];
        return messages == ticket.Heard || (messages == ticket.Heard + 1 && latest == version);
    }

    private static int PlaceOf(string key) => key.GetHashCode() & (Places - 1);

    private sealed class SystemClock(TimeProvider clock) : ISystemClock
    {
        public DateTimeOffset UtcNow => clock.GetUtcNow();
    }
}

/// <summary>What was known when something was sent to Redis.</summary>
/// <param name="Epoch">The feed's; 0 if it was not sure to hear all.</param>
/// <param name="Heard">How much had been heard of the session, and of those that share its place.</param>
/// <param name="At">When, Unix milliseconds.</param>
internal sealed record CopyTicket(long Epoch, long Heard, long At);

/// <summary>A session version, what is known of it, and when the session is to be slid next.</summary>
internal sealed class SessionCopy(SessionSnapshot session)
{
    private long _epoch;
    private long _askedAt;
    private long _expires;
    private long _nextSlide;

    public SessionSnapshot Session { get; } = session;

    /// <summary>The feed's epoch in which it is current until something else is heard; 0 if it has to be asked about.</summary>
    public long Epoch
    {
        get => Volatile.Read(ref _epoch);
        set => Volatile.Write(ref _epoch, value);
    }

    /// <summary>When Redis was last asked about it, Unix milliseconds.</summary>
    public long AskedAt
    {
        get => Volatile.Read(ref _askedAt);
        set => Volatile.Write(ref _askedAt, value);
    }

    /// <summary>Until when the session lives at least, Unix milliseconds.</summary>
    public long Expires
    {
        get => Volatile.Read(ref _expires);
        set => Volatile.Write(ref _expires, value);
    }

    /// <summary>Unix milliseconds: the expiry that was last seen, less the idle timeout.</summary>
    public long NextSlide
    {
        get => Volatile.Read(ref _nextSlide);
        set => Volatile.Write(ref _nextSlide, value);
    }
}
