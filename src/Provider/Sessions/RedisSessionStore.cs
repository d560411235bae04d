using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Logging;
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
    ILogger<RedisSessionStore> logger) : ISessionStore
{
    public SessionHash Hash { get; } = hash;

    public SessionKeys Keys { get; } = keys;

    public SessionCookie Cookie { get; } = cookie;

    public SessionCopies Copies { get; } = copies;

    public SessionMetrics Metrics { get; } = metrics;

    public ILogger Logger { get; } = logger;

    public ISession Create(string sessionKey, TimeSpan idleTimeout, TimeSpan ioTimeout, Func<bool> tryEstablishSession, bool isNewSessionKey)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionKey);
        ArgumentNullException.ThrowIfNull(tryEstablishSession);

        var session = new RedisSession(this, sessionKey, idleTimeout, ioTimeout, tryEstablishSession, isNewSessionKey, contexts.HttpContext);
        if (!isNewSessionKey)
        {
            session.StartLoading();
        }

        return session;
    }
}
