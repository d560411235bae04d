using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// Where SessionMiddleware comes in. <see cref="Create"/> starts the load at once when a cookie came, so that it travels
/// while the rest of the pipeline works; a request without a cookie costs no round trip unless something is set.
/// </summary>
internal sealed class RedisSessionStore(
    SessionHash hash,
    SessionKeys keys,
    SessionCookie cookie,
    SessionCopies copies,
    SessionMetrics metrics,
    IHttpContextAccessor contexts,
    IOptions<SessionOptions> options,
    IEnumerable<SessionAddOn> addOns,
    IServiceProvider services,
    ILogger<RedisSessionStore> logger) : ISessionStore
{
    public SessionHash Hash { get; } = hash;

    public SessionKeys Keys { get; } = keys;

    public SessionCookie Cookie { get; } = cookie;

    public SessionCopies Copies { get; } = copies;

    public SessionMetrics Metrics { get; } = metrics;

    /// <summary>Where sessions may come from that have no hash yet; usually null.</summary>
    public FormerStore? Former { get; } = services.GetService<FormerStore>();

    /// <summary>Usually none; never null.</summary>
    public SessionAddOn[] AddOns { get; } = Attach(hash, [.. addOns]);

    public ILogger Logger { get; } = logger;

    public ISession Create(string sessionKey, TimeSpan idleTimeout, TimeSpan ioTimeout, Func<bool> tryEstablishSession, bool isNewSessionKey)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionKey);
        ArgumentNullException.ThrowIfNull(tryEstablishSession);

        var context = contexts.HttpContext;
        if (context?.Features.Get<EarlySession>() is { } early && (isNewSessionKey || early.Secret == sessionKey))
        {
            return early.Session;
        }

        var session = new RedisSession(this, sessionKey, idleTimeout, ioTimeout, tryEstablishSession, isNewSessionKey, context);
        if (!isNewSessionKey)
        {
            session.StartLoading();
        }

        return session;
    }

    /// <summary>
    /// The session that this request's cookie names, even before SessionMiddleware ran: authentication often comes first. The
    /// middleware then gets the same one, so it is loaded once. Null without a valid cookie.
    /// </summary>
    public RedisSession? Find(HttpContext context)
    {
        if (context.Features.Get<ISessionFeature>() is { } feature)
        {
            return feature.Session as RedisSession;
        }

        if (context.Features.Get<EarlySession>() is { } early)
        {
            return early.Session;
        }

        if (Cookie.Read(context) is not { } secret)
        {
            return null;
        }

        var session = new RedisSession(this, secret, options.Value.IdleTimeout, options.Value.IOTimeout, static () => true, isNewKey: false, context);
        session.StartLoading();
        context.Features.Set(new EarlySession(secret, session));
        return session;
    }

    /// <summary>As <see cref="Find"/>, but begins a session under a key of our own where the request names none.</summary>
    public RedisSession FindOrBegin(HttpContext context)
    {
        if (Find(context) is { } found)
        {
            return found;
        }

        var session = new RedisSession(this, SessionId.NewSecret(), options.Value.IdleTimeout, options.Value.IOTimeout, static () => true, isNewKey: true, context);
        session.StartOver(SessionId.NewSecret());
        context.Features.Set(new EarlySession(null, session));
        return session;
    }

    private static SessionAddOn[] Attach(SessionHash hash, SessionAddOn[] addOns)
    {
        foreach (var addOn in addOns)
        {
            hash.MayHaveOwnAbsoluteTimeouts |= addOn.SetsAbsoluteTimeouts;
            var interval = addOn.HeartbeatInterval;
            if (interval > TimeSpan.Zero && (hash.HeartbeatInterval == TimeSpan.Zero || interval < hash.HeartbeatInterval))
            {
                hash.HeartbeatInterval = interval;
            }
        }

        return addOns;
    }

    private sealed record EarlySession(string? Secret, RedisSession Session);
}
