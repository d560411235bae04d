using System.Collections;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// One request's view of one session: a state, which says what it is, and a content, which is what the request sees and changed.
/// Reading and writing are pure memory once the load has arrived.
/// <para>
/// The parts, in the order a request meets them: <c>RedisSession.Loading.cs</c>, this file, <c>RedisSession.Committing.cs</c>,
/// <c>RedisSession.Identity.cs</c>, <c>RedisSession.Response.cs</c>; <c>RedisSession.Turn.cs</c> where requests take turns. All fields are here. What each member does in each state is a
/// table in src/Provider/README.md. Like every ISession, not for concurrent use.
/// </para>
/// </summary>
[DebuggerDisplay("Id = {_identity}, {_state.Kind}")]
internal sealed partial class RedisSession : ISession, IBeforeAgain
{
    private readonly RedisSessionStore _store;
    private readonly HttpContext? _context;
    private readonly TimeSpan _idleTimeout;
    private readonly TimeSpan _ioTimeout;

    // SessionMiddleware's, which sends its cookie for the key that it made, and for no other.
    private readonly Func<bool> _tryEstablish;
    private readonly SessionIdentity _initial;

    private readonly SessionContent _content;
    private SessionState _state;
    private SessionIdentity _identity;
    private SessionIdentity? _next;
    private SessionMove? _move;
    private FailedCommit? _failedCommit;
    private Creation? _creation;
    private bool _hasDeparted;

    // An error page went out in place of what could not be stored: nobody has to be told in another way.
    private bool _isToldByResponse;
    private ResponseTurn _responseTurn;
    private bool _hadResponseTurn;
    private SessionIdentity? _established;
    private SessionIdentity? _announced;
    private bool _cookieEnds;

    // Until when the browser is to keep the cookie, where that could not be stored; 0 for nothing.
    private long _promisedCookieEnd;

    // The session that the request came with and that was not there, or is not any more; and why, once that is known.
    private LostSession? _lost;
    private Dictionary<SessionAddOn, object>? _addOnStates;

    // Where the endpoint asks for one.
    private SessionTurn? _turn;

    public RedisSession(
        RedisSessionStore store,
        SessionIdentity identity,
        TimeSpan idleTimeout,
        TimeSpan ioTimeout,
        Func<bool> tryEstablish,
        HttpContext? context)
    {
        _store = store;
        _content = new SessionContent(store.Timeouts);
        _context = context;
        _idleTimeout = idleTimeout;
        _ioTimeout = ioTimeout;
        _tryEstablish = tryEstablish;
        _initial = _identity = identity;
        AwaitResponse();
        BeginLoad();
    }

    /// <summary>Which session this is, whether or not it could be loaded.</summary>
    public SessionIdentity Identity => _identity;

    /// <summary>
    /// Whether the session goes by this id: by its own, or by the one that it had before, until the response tells the browser.
    /// </summary>
    public bool GoesBy(Guid id) => _identity.Id == id || _move?.From.Id == id;

    /// <summary>The id that the session gets when its id next changes in this request, for who has to reserve it before.</summary>
    public Guid NextId => Next.Id;

    private SessionIdentity Next => _next ??= new(SessionId.NewSecret(), _store.Keys, isNew: true);

    /// <summary>The id that it had before, until the response tells the browser the new one; null if that is the same.</summary>
    public Guid? FormerId => _move?.From.Id;

    /// <summary>The session that the request came with and that was not there, or is not any more; null if there is none.</summary>
    public Guid? LostId => _lost?.Identity.Id;

    /// <summary>What Redis held when this request loaded or last committed; null if there is no such session.</summary>
    public SessionSnapshot? Stored => _state.Stored;

    public SessionStateKind State => _state.Kind;

    public HttpContext? Context => _context;

    /// <summary>Whether the load's outcome is known, so that reading blocks no thread.</summary>
    public bool IsLoaded => _state.Kind != SessionStateKind.Loading;

    /// <inheritdoc/>
    public bool IsAvailable
    {
        get
        {
            EnsureLoaded();
            return _state.Kind != SessionStateKind.Unavailable;
        }
    }

    /// <summary>The id that names this session in Redis; empty while the session is unavailable, as the in-box session's.</summary>
    public string Id => IsAvailable ? _identity.ToString() : string.Empty;

    /// <inheritdoc/>
    /// <remarks>A live view, as the in-box session's: it shows what is set later, too.</remarks>
    public IEnumerable<string> Keys
    {
        get
        {
            EnsureLoaded();
            return new LiveKeys(_content);
        }
    }

    /// <summary>When the session was created; <see langword="null"/> if it is not stored yet.</summary>
    public DateTimeOffset? CreatedAt
    {
        get
        {
            EnsureLoaded();
            return _state.Stored is { } stored ? DateTimeOffset.FromUnixTimeMilliseconds(stored.CreatedAt) : null;
        }
    }

    /// <summary>A field was read as something that it does not hold.</summary>
    public void ReportUnreadable(string key, string type) => _store.Logger.ValueUnreadable(_identity.Id, key, type);

    /// <summary>How many fields there are.</summary>
    public int FieldCount => _content.Count;

    /// <summary>How many bytes names in UTF-8 and values have together.</summary>
    public long FieldBytes => _content.Bytes;

    /// <summary>Where it is from: the site's store, or a tenant's.</summary>
    public RedisSessionStore Store => _store;

    /// <summary>The idle timeout of sessions that have none of their own.</summary>
    public TimeSpan SitesIdleTimeout => _idleTimeout;

    /// <summary>How many it would have with a value of so many bytes in a field; null if not more than it has.</summary>
    public long? SizeGrownBy(string key, int bytes)
    {
        var replaced = Peek(key);
        var growth = bytes + (replaced is null ? Encoding.UTF8.GetByteCount(key) : -replaced.Length);
        return growth > 0 ? FieldBytes + growth : null;
    }

    /// <summary>How long it lives unused.</summary>
    public TimeSpan Life => _store.Timeouts.IdleOf(_state.Stored, _idleTimeout);

    /// <inheritdoc/>
    public bool TryGetValue(string key, [NotNullWhen(true)] out byte[]? value)
    {
        ArgumentNullException.ThrowIfNull(key);
        EnsureLoaded();
        value = _content.TryGet(FieldNames.Normalize(key), out var stored) ? stored.AsSpan().ToArray() : null;
        return value is not null;
    }

    /// <inheritdoc/>
    public void Set(string key, byte[] value) => Set(key, value, lifetime: null);

    /// <summary>Sets a value that is gone by itself when its time is over.</summary>
    public void Set(string key, byte[] value, TimeSpan? lifetime)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (lifetime is { } time)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.FromMilliseconds(1), nameof(lifetime));
        }

        if (!IsAvailable)
        {
            return;
        }

        ArgumentNullException.ThrowIfNull(key);
        if (lifetime is not null)
        {
            _store.FieldExpiry.Require();
        }

        FieldNames.ThrowIfTooLong(key);
        _store.AddOns.Setting(this, key, value.Length);
        EnsureWithinTenantsLimit(key, value.Length);
        Establish();
        _content.Set(FieldNames.Normalize(key), value.AsSpan().ToArray(), lifetime is { } until ? _store.Timeouts.Now + Ttl.Milliseconds(until) : null);
        AwaitResponse();
    }

    /// <summary>Whether the tenant's limit is the one that a session meets first.</summary>
    private bool IsTenantsLimit => _store.Tenant?.MaxSessionSize is { } most && !(most > _store.AddOns.Limits?.Bytes);

    private void EnsureWithinTenantsLimit(string key, int bytes)
    {
        if (IsTenantsLimit && SizeGrownBy(key, bytes) > _store.Tenant!.MaxSessionSize)
        {
            throw TooLargeForTenant();
        }
    }

    private InvalidOperationException TooLargeForTenant() =>
        new($"The session would be larger than SessionTenant.MaxSessionSize ({_store.Tenant!.MaxSessionSize:N0} bytes) of {_store.Tenant.Name} allows.");

    /// <inheritdoc/>
    public void Remove(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        EnsureLoaded();
        _content.Remove(FieldNames.Normalize(key));
        AwaitResponse();
    }

    /// <inheritdoc/>
    public void Clear()
    {
        // A stored session is cleared even if it looked empty: what counts is what there is at commit time.
        if (IsAvailable)
        {
            _content.Clear();
            AwaitResponse();
        }
    }

    /// <summary>Gives this session an idle timeout of its own, from the next commit on.</summary>
    public void SetIdleTimeout(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.FromMilliseconds(1));
        if (IsAvailable)
        {
            _content.Delta.SetMetadata(FieldNames.IdleTimeout, Ttl.Milliseconds(timeout).ToString(CultureInfo.InvariantCulture));
            AwaitResponse();
        }
    }

    /// <summary>The value of a field, without a copy; null if there is none.</summary>
    public byte[]? Peek(string key) => _content.TryGet(FieldNames.Normalize(key), out var value) ? value : null;

    /// <summary>As <see cref="Peek"/>, but not of a field that expires by itself.</summary>
    public byte[]? PeekLasting(string key) => _content.ExpiryOf(FieldNames.Normalize(key)) is null ? Peek(key) : null;

    /// <summary>Changes metadata with the next commit, which creates the session if need be.</summary>
    public void SetMetadata(string name, string? value)
    {
        if (IsAvailable)
        {
            if (value is not null)
            {
                Establish();
            }

            var delta = _content.Delta;
            delta.Creates |= value is not null;
            delta.SetMetadata(name, value);
            AwaitResponse();
        }
    }

    /// <summary>As <see cref="SetMetadata"/>, for what the next request would note again: where a stored session's cannot be stored, no request fails for it.</summary>
    public void NoteMetadata(string name, string? value)
    {
        if (State == SessionStateKind.Loaded)
        {
            _content.Delta.NoteMetadata(name, value);
            AwaitResponse();
        }
        else
        {
            SetMetadata(name, value);
        }
    }

    /// <summary>Metadata as this request sees it.</summary>
    public string? GetMetadata(string name)
    {
        EnsureLoaded();
        return _content.GetMetadata(name);
    }

    /// <summary>What an add-on keeps of this request's session; null if it has kept nothing.</summary>
    public T? StateOf<T>(SessionAddOn addOn)
        where T : class => _addOnStates is not null && _addOnStates.TryGetValue(addOn, out var state) ? (T)state : null;

    public void Keep(SessionAddOn addOn, object state) => (_addOnStates ??= [])[addOn] = state;

    private sealed class LostSession(SessionIdentity identity)
    {
        public SessionIdentity Identity { get; } = identity;

        /// <summary>Whether it is known why it ended, or that there is nothing to know.</summary>
        public bool IsKnown { get; set; }

        public SessionEndReason? Reason { get; set; }
    }

    private sealed record Creation(SessionIdentity Of, long At);

    private sealed class LiveKeys(SessionContent content) : IEnumerable<string>
    {
        public IEnumerator<string> GetEnumerator() => content.Names.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
