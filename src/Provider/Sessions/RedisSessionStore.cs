using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// Where SessionMiddleware comes in. <see cref="Create"/> starts the load at once when a cookie came, so that it travels
/// while the rest of the pipeline works; a request without a cookie costs no round trip unless something is set.
/// </summary>
internal sealed class RedisSessionStore(
    RedisConnection connection,
    SessionHash hash,
    SessionTimeouts timeouts,
    SessionKeys keys,
    SessionCookie cookie,
    SessionCopies copies,
    FieldExpiry fieldExpiry,
    Durability durability,
    SessionMetrics metrics,
    SessionTurns turns,
    SessionAddOns addOns,
    IHttpContextAccessor contexts,
    IOptions<SessionOptions> options,
    IOptions<RedisSessionOptions> redisOptions,
    IServiceProvider services,
    ILogger<RedisSessionStore> logger) : ISessionStore
{
    // By object, so that whatever an application makes of each request's host name grows nothing here.
    private readonly ConditionalWeakTable<SessionTenant, RedisSessionStore> _tenants = [];

    private Recent<string, SessionIdentity> _identities = new(timeouts.Clock);

    public RedisConnection Connection { get; } = connection;

    public SessionHash Hash { get; private set; } = hash;

    public SessionTimeouts Timeouts { get; private set; } = timeouts;

    public SessionKeys Keys { get; private set; } = keys;

    public SessionCookie Cookie { get; } = cookie;

    public SessionCopies Copies { get; } = copies;

    /// <summary>What is to be on replicas.</summary>
    public Durability Durability { get; } = durability;

    public FieldExpiry FieldExpiry { get; } = fieldExpiry;

    public SessionMetrics Metrics { get; } = metrics;

    public SessionTurns Turns { get; } = turns;

    public SessionAddOns AddOns { get; } = addOns;

    public CommitFailure CommitFailure { get; } = redisOptions.Value.CommitFailure;

    /// <summary>Where sessions may come from that have no hash yet; usually null.</summary>
    public FormerStore? Former { get; } = services.GetService<FormerStore>();

    public ILogger Logger { get; } = logger;

    /// <summary>Whose sessions these are; null for nobody's.</summary>
    public SessionTenant? Tenant { get; private set; }

    /// <summary>What a session may hold, of all that bounds it; null for no limit.</summary>
    public SessionLimits? Limits => Tenant?.MaxSessionSize is { } most
        ? new SessionLimits(AddOns.Limits?.Fields ?? long.MaxValue, Math.Min(AddOns.Limits?.Bytes ?? long.MaxValue, most))
        : AddOns.Limits;

    /// <summary>The store of a tenant's sessions: all that is not the site's is its own.</summary>
    public RedisSessionStore Of(SessionTenant tenant) => _tenants.GetValue(tenant, tenant =>
    {
        var store = (RedisSessionStore)MemberwiseClone();
        (store.Tenant, store.Keys, store.Timeouts) = (tenant, Keys.Of(tenant.Name), Timeouts.Of(tenant));
        store.Hash = Hash.Of(store.Timeouts, store.Keys);
        store._identities = new(Timeouts.Clock);
        return store;
    });

    private RedisSessionStore Of(HttpContext? context) =>
        context is not null && redisOptions.Value.TenantOf is { } tenantOf && tenantOf(context) is { } tenant ? Of(tenant) : this;

    /// <summary>The former store, for a session whose secret is known: it names sessions by that.</summary>
    public FormerStore? FormerOf(SessionIdentity identity) => identity.HasSecret ? Former : null;

    /// <summary>
    /// A session outside a request of its browser's, by its id: nothing of it reaches the browser, so it can neither get another id nor begin. Its load is sent.
    /// </summary>
    public RedisSession Open(Guid id, TimeSpan idleTimeout) =>
        new(this, new SessionIdentity(id, Keys), idleTimeout, options.Value.IOTimeout, static () => false, context: null);

    public ISession Create(string sessionKey, TimeSpan idleTimeout, TimeSpan ioTimeout, Func<bool> tryEstablishSession, bool isNewSessionKey)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionKey);
        ArgumentNullException.ThrowIfNull(tryEstablishSession);

        var context = contexts.HttpContext;
        var cookieSecret = isNewSessionKey ? null : sessionKey;
        return context?.Features.Get<RequestSession>() is { } present && present.CookieSecret == cookieSecret
            ? present.Session
            : Of(context).Begin(context, sessionKey, idleTimeout, ioTimeout, tryEstablishSession, cookieSecret);
    }

    /// <summary>
    /// The session that this request's cookie names, even before SessionMiddleware ran: authentication often comes first. The
    /// middleware then gets the same one, so it is loaded once. Null without a valid cookie.
    /// </summary>
    public RedisSession? Find(HttpContext context)
    {
        if (context.Features.Get<RequestSession>() is { } present)
        {
            return present.Session;
        }

        return Cookie.Read(context) is { } secret
            ? Of(context).Begin(context, secret, options.Value.IdleTimeout, options.Value.IOTimeout, static () => false, secret)
            : null;
    }

    /// <summary>As <see cref="Find"/>, but begins a session under a key of our own where the request names none.</summary>
    public RedisSession FindOrBegin(HttpContext context) =>
        Find(context) ?? Of(context).Begin(context, SessionId.NewSecret(), options.Value.IdleTimeout, options.Value.IOTimeout, static () => false, cookieSecret: null);

    private RedisSession Begin(HttpContext? context, string secret, TimeSpan idleTimeout, TimeSpan ioTimeout, Func<bool> tryEstablish, string? cookieSecret)
    {
        var identity = cookieSecret is null ? new SessionIdentity(secret, Keys, isNew: true) : IdentityOf(secret);
        var session = new RedisSession(this, identity, Tenant?.IdleTimeout ?? idleTimeout, ioTimeout, tryEstablish, context);
        context?.Features.Set(new RequestSession(cookieSecret, session));
        return session;
    }

    /// <summary>A browser comes again and again with the same secret, and what follows from it is the same.</summary>
    private SessionIdentity IdentityOf(string secret)
    {
        if (_identities.Find(secret) is { } known)
        {
            return known;
        }

        var identity = new SessionIdentity(secret, Keys, isNew: false);
        if (secret.Length <= SessionCookie.SecretLength)
        {
            _identities.Add(secret, identity);
        }

        return identity;
    }
}
