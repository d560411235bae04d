using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Storage;

/// <summary>
/// The clock, the timeouts that hold for every session that has none of its own, and what follows from both for one session.
/// </summary>
internal sealed class SessionTimeouts(IOptions<RedisSessionOptions> options, IOptions<SessionOptions> sessionOptions, TimeProvider clock)
{
    // The default precision: a twentieth of the idle timeout, at most a minute. One that was asked for: that, at most the idle timeout.
    private readonly (long Limit, long Divisor) _precision = options.Value.SlidePrecision is { } precision ? ((long)precision.TotalMilliseconds, 1) : (60_000, 20);

    private readonly TimeSpan? _tenants;

    private SessionTimeouts(IOptions<RedisSessionOptions> options, IOptions<SessionOptions> sessionOptions, TimeProvider clock, SessionTenant tenant)
        : this(options, sessionOptions, clock)
    {
        _tenants = tenant.IdleTimeout;
        AbsoluteMilliseconds = tenant.AbsoluteTimeout is { } absolute ? Ttl.Milliseconds(absolute) : AbsoluteMilliseconds;
    }

    /// <summary>Those of a tenant's sessions.</summary>
    public SessionTimeouts Of(SessionTenant tenant) => new(options, sessionOptions, Clock, tenant);

    public TimeProvider Clock { get; } = clock;

    /// <summary>Unix milliseconds.</summary>
    public long Now => Clock.GetUtcNow().ToUnixTimeMilliseconds();

    public TimeSpan IdleTimeout => Ttl.Within(_tenants ?? sessionOptions.Value.IdleTimeout);

    /// <summary>0 where there is no absolute timeout.</summary>
    public long AbsoluteMilliseconds { get; } = options.Value.AbsoluteTimeout is { } absolute ? Ttl.Milliseconds(absolute) : 0;

    /// <summary>For how long it is known why a session ended; zero for never.</summary>
    public TimeSpan EndReasonRetention { get; } = options.Value.EndReasonRetention;

    /// <summary>What the TTL of a session with this idle timeout is longer than that, milliseconds; so long nothing needs to slide.</summary>
    /// <remarks>The scripts that slide count it in the same way.</remarks>
    public long PrecisionOf(TimeSpan idle) => Math.Min(_precision.Limit, (long)idle.TotalMilliseconds / _precision.Divisor);

    public TimeSpan IdleOf(SessionSnapshot? session, TimeSpan sites) => Ttl.Within(session?.GetMilliseconds(FieldNames.IdleTimeout) ?? sites);

    /// <summary>Null where the session has no absolute timeout; Unix milliseconds.</summary>
    public long? EndOf(SessionSnapshot session) => EndOf(session.CreatedAt, session.GetNumber(FieldNames.AbsoluteTimeout));

    /// <param name="createdAt">When the session was created, Unix milliseconds.</param>
    /// <param name="own">Its own absolute timeout, milliseconds; null if it has none.</param>
    public long? EndOf(long createdAt, long? own) => (own ?? AbsoluteMilliseconds) is > 0 and var limit ? createdAt + limit : null;

    public bool IsOver(SessionSnapshot session) => EndOf(session) is { } end && end <= Now;

    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    public SlideTimes Times(TimeSpan idle) => new(Now, Ttl.Milliseconds(idle), _precision.Limit, _precision.Divisor, AbsoluteMilliseconds);

    /// <summary>When a session that was slid now is to be slid again, Unix milliseconds.</summary>
    public long NextSlide(SessionSnapshot session, TimeSpan idle, TimeSpan heartbeat)
    {
        var after = PrecisionOf(IdleOf(session, idle));
        return Now + (heartbeat > TimeSpan.Zero ? Math.Min(after, (long)heartbeat.TotalMilliseconds) : after);
    }

    /// <summary>When a session that was just read with this TTL is to be slid next, or its heartbeat is due; Unix milliseconds.</summary>
    /// <param name="session">The session.</param>
    /// <param name="ttl">What is left of its life; null for no end.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    /// <param name="heartbeat">How often the heartbeat is due; zero for never.</param>
    public long NextSlide(SessionSnapshot session, TimeSpan? ttl, TimeSpan idle, TimeSpan heartbeat)
    {
        if (ttl is not { } left)
        {
            return 0;
        }

        var (now, own) = (Now, IdleOf(session, idle));
        var expires = now + (long)left.TotalMilliseconds;
        var slide = expires - Ttl.Milliseconds(own);
        if (EndOf(session) is { } end && end - now < Ttl.Milliseconds(own) + PrecisionOf(own))
        {
            // The last stretch: the TTL cannot slide any more, and the hash says when the session was last used.
            slide = (session.GetNumber(FieldNames.LastSeen) ?? 0) + PrecisionOf(own);
        }

        return heartbeat > TimeSpan.Zero
            ? Math.Min(slide, (session.GetNumber(FieldNames.Heartbeat) ?? 0) + (long)heartbeat.TotalMilliseconds)
            : slide;
    }

    /// <summary>
    /// When a session was last used, to within the precision: what is left of its life tells, or the time kept in the hash where
    /// the absolute timeout limits that.
    /// </summary>
    /// <param name="ttl">What is left of its life.</param>
    /// <param name="own">Its own idle timeout; null if it has none.</param>
    /// <param name="kept">The time kept in the hash, since the Unix epoch; null if there is none.</param>
    public DateTimeOffset LastSeen(TimeSpan ttl, TimeSpan? own, TimeSpan? kept)
    {
        var (now, idle) = (Clock.GetUtcNow(), own ?? IdleTimeout);
        var life = idle + TimeSpan.FromMilliseconds(PrecisionOf(idle));
        var byTtl = ttl < life ? now - (life - ttl) : now;
        return kept is { } time && DateTimeOffset.UnixEpoch + time is var noted && noted > byTtl ? (noted < now ? noted : now) : byTtl;
    }
}
