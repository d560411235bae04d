using StackExchange.Redis;

namespace RedisSessions;

/// <summary>
/// Where sessions are stored and for how long at most. The cookie, the idle timeout and the I/O timeout stay in
/// <see cref="Microsoft.AspNetCore.Builder.SessionOptions"/>. Bound from the configuration section
/// <c>RedisSession</c> where there is one; what code sets afterwards wins.
/// </summary>
public sealed class RedisSessionOptions
{
    /// <summary>The configuration section that these options are bound from: <c>RedisSession</c>.</summary>
    public const string SectionName = "RedisSession";

    /// <summary>
    /// A StackExchange.Redis connection string, such as <c>localhost:6379,password=...</c>. What it leaves unsaid is set up
    /// to fail fast. Default <see langword="null"/>: the connection comes from <see cref="ConfigurationOptions"/>,
    /// <see cref="ConnectionMultiplexerFactory"/> or the container's <see cref="IConnectionMultiplexer"/>.
    /// </summary>
    public string? Configuration { get; set; }

    /// <summary>
    /// The connection's settings as an object, used as they are. Takes precedence over <see cref="Configuration"/>.
    /// Default <see langword="null"/>.
    /// </summary>
    public ConfigurationOptions? ConfigurationOptions { get; set; }

    /// <summary>
    /// Makes or finds the connection, which then stays the application's to dispose. Called when it is first needed, and
    /// again if it threw. Takes precedence over every other setting. Default <see langword="null"/>.
    /// </summary>
    public Func<Task<IConnectionMultiplexer>>? ConnectionMultiplexerFactory { get; set; }

    /// <summary>
    /// The name of a connection string, as in <c>ConnectionStrings:cache</c> of the application's configuration, where .NET Aspire's <c>WithReference(cache)</c> puts it. In place
    /// of <see cref="Configuration"/>, which must then be unset. Default <see langword="null"/>.
    /// </summary>
    public string? ConnectionName { get; set; }

    /// <summary>
    /// The key of the <see cref="IConnectionMultiplexer"/> in the container, as Aspire's <c>AddKeyedRedisClient(key)</c> registers it. Used where none of the settings above names a
    /// connection. Default <see langword="null"/>: the one without a key.
    /// </summary>
    public object? ServiceKey { get; set; }

    /// <summary>
    /// What every key in Redis begins with. Not empty, and without braces, which decide the cluster slot. Servers with the
    /// same prefix share their sessions. Default <c>session:</c>.
    /// </summary>
    public string KeyPrefix { get; set; } = "session:";

    /// <summary>
    /// Says whose a request's session is, where one application serves several tenants: called once for each request, when it first needs its session, which may be before routing. Null for a request that is no tenant's;
    /// its session has the site's own keys and timeouts. What this throws fails the request. It must not go by what a client may choose freely, such as a header that no proxy of yours sets. Add-ons that keep
    /// something of users or sessions elsewhere do not know tenants, and make the site fail at start-up. Default <see langword="null"/>: there are none.
    /// </summary>
    public Func<Microsoft.AspNetCore.Http.HttpContext, SessionTenant?>? TenantOf { get; set; }

    /// <summary>
    /// How long a session may live at most, counted from its creation, however much it is used (OWASP ASVS 5.0, 7.3.2).
    /// Positive, or <see langword="null"/> for no limit. Default <see langword="null"/>, as in the in-box session.
    /// </summary>
    public TimeSpan? AbsoluteTimeout { get; set; }

    /// <summary>
    /// By how much a session may outlive its idle timeout, so that most requests need not write to Redis: the TTL is the idle
    /// timeout plus this, and is extended when less than the idle timeout is left. Not negative; more than the idle timeout
    /// counts as that. Zero extends it with every request. Default <see langword="null"/>: a twentieth of the session's
    /// idle timeout, at most a minute. <see cref="AbsoluteTimeout"/> stays exact.
    /// </summary>
    public TimeSpan? SlidePrecision { get; set; }

    /// <summary>
    /// For how long Redis keeps why a session ended, so that its browser's next request can learn it
    /// (<see cref="Microsoft.AspNetCore.Http.SessionEndExtensions.GetEndReasonAsync"/>): one small key a session that was ended, and none for one that
    /// expired. Not negative; zero keeps none. Default 1 day.
    /// </summary>
    public TimeSpan EndReasonRetention { get; set; } = TimeSpan.FromDays(1);

    /// <summary>
    /// What becomes of a response whose session could not be committed. Default <see cref="CommitFailure.Throw"/>, for a
    /// response that says that all is well would acknowledge a change that is lost.
    /// </summary>
    public CommitFailure CommitFailure { get; set; }

    /// <summary>
    /// For how long requests wait, from when the trouble began, while Redis restarts, a connection is made anew or another master takes over: what Redis refused for
    /// the moment, or what it never got, is sent again, and so is a load whose reply was lost. A commit whose reply was lost is sent again where the hash tells that
    /// it was not made. Never longer than <see cref="Microsoft.AspNetCore.Builder.SessionOptions.IOTimeout"/>. From 0, which never waits, to 1 minute. Default 500 milliseconds: a connection that
    /// breaks or a Redis that restarts at once fails no request, and a Redis that is away still makes no page slow. A fail-over takes longer: for a Cluster or Sentinel
    /// write what theirs takes, say 5 to 20 seconds.
    /// </summary>
    public TimeSpan WaitForFailover { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Whether the application sets values with a lifetime of their own (<c>Session.Set(key, value, lifetime)</c>), so that a server that cannot do that is to be found out at
    /// start-up, which then fails with <see cref="NotSupportedException"/>. Where Redis is away at start-up, that is logged, and the first such value tells. Default
    /// <see langword="false"/>: nobody asks until one is set.
    /// </summary>
    public bool RequireFieldExpiry { get; set; }

    /// <summary>What is to be on replicas before its caller goes on. Off by default.</summary>
    public WaitForReplicasOptions WaitForReplicas { get; } = new();

    /// <summary>This server's copies of sessions.</summary>
    public LocalCacheOptions LocalCache { get; } = new();

    /// <summary>How requests wait that want their session for themselves (<see cref="ExclusiveSessionAttribute"/>).</summary>
    public ExclusiveSessionOptions Exclusive { get; } = new();

    /// <summary>
    /// Whether the session's load is awaited by <c>UseSession()</c> of a <see cref="Microsoft.AspNetCore.Builder.WebApplication"/>, and before the
    /// matched endpoint runs, so that synchronous session code blocks no thread. <see cref="SessionPreloadAttribute"/> turns it off for one
    /// endpoint. Default <see langword="true"/>.
    /// </summary>
    public bool PreloadSession { get; set; } = true;

    /// <summary>
    /// Whether StackExchange.Redis reads and writes on threads of its own rather than on the pool's (its process-wide
    /// switch <c>DedicatedThreads</c>, two threads a Redis node), so that replies arrive even while middleware that reads
    /// the session synchronously occupies the whole pool. It affects every connection made afterwards in this process.
    /// Default <see langword="false"/>: a request alone takes a third longer so, for its commands change threads twice, and only many at once (32 and more
    /// connections) are served faster, by a tenth to a third over one server, and hardly over a cluster.
    /// </summary>
    public bool UseDedicatedThreads { get; set; }

    /// <summary>Whether an add-on of this server hears of changes, so that it tells of its own, whatever <see cref="LocalCacheOptions.Mode"/> says.</summary>
    internal bool HearsChanges { get; set; }

    /// <summary>Whether whoever changes a session publishes it.</summary>
    internal bool TellsChanges => HearsChanges || LocalCache.Mode != LocalCacheMode.Validated;
}
