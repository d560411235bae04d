using RedisSessions.Sessions;

namespace RedisSessions.Live;

/// <summary>The live connections of one session under one id, on this server. The registry's lock guards what may change, but for the time.</summary>
internal sealed class LiveGroup(RedisSessionStore store, Guid id, TimeSpan idle)
{
    private long _nextSlide;

    /// <summary>Where the session is from.</summary>
    public RedisSessionStore Store { get; } = store;

    public Guid Id { get; } = id;

    public string Key { get; } = store.Keys.Session(id);

    /// <summary>The site's idle timeout.</summary>
    public TimeSpan SitesIdle { get; } = idle;

    /// <summary>The session's own, once Redis has said so.</summary>
    public TimeSpan Idle { get; set; } = idle;

    public HashSet<LiveConnection> Connections { get; } = [];

    /// <summary>Asks again when the session may be over.</summary>
    public ITimer? Timer { get; set; }

    /// <summary>Whether it is time to slide, which then is for whoever asked.</summary>
    public bool TakesSlide(long now, long interval)
    {
        var due = Volatile.Read(ref _nextSlide);
        return now >= due && Interlocked.CompareExchange(ref _nextSlide, now + interval, due) == due;
    }
}
