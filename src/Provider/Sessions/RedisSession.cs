using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Microsoft.AspNetCore.Http;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// One request's view of one session: the version that was loaded, which other requests share and nobody changes, under a
/// delta of what this request changed. Reading and writing are pure memory once the load has arrived.
/// <para>
/// The parts, in the order a request meets them: <c>RedisSession.Loading.cs</c>, this file,
/// <c>RedisSession.Committing.cs</c>, <c>RedisSession.Identity.cs</c>. Like every ISession, not for concurrent use.
/// </para>
/// </summary>
[DebuggerDisplay("Id = {_id}, {_availability}")]
internal sealed partial class RedisSession : ISession
{
    private readonly RedisSessionStore _store;
    private readonly HttpContext? _context;
    private readonly TimeSpan _idleTimeout;
    private readonly TimeSpan _ioTimeout;
    private Func<bool> _tryEstablish;
    private string? _idText;
    private SessionSnapshot? _loaded;
    private SessionDelta? _delta;

    public RedisSession(
        RedisSessionStore store,
        string secret,
        TimeSpan idleTimeout,
        TimeSpan ioTimeout,
        Func<bool> tryEstablish,
        bool isNewKey,
        HttpContext? context)
    {
        _store = store;
        _context = context;
        _idleTimeout = idleTimeout;
        _ioTimeout = ioTimeout;
        _tryEstablish = tryEstablish;
        _isNewKey = isNewKey;
        _availability = isNewKey ? Availability.Available : Availability.NotLoaded;
        SetIdentity(secret);
    }

    /// <summary>The id, whether or not the session could be loaded.</summary>
    public Guid Identity => _id;

    /// <summary>What Redis held when this request loaded or last committed; null if there is no such session.</summary>
    public SessionSnapshot? Stored => _loaded;

    public HttpContext? Context => _context;

    /// <inheritdoc/>
    public bool IsAvailable
    {
        get
        {
            EnsureLoaded();
            return _availability == Availability.Available;
        }
    }

    /// <summary>The id that names this session in Redis; empty while the session is unavailable, as the in-box session's.</summary>
    public string Id => IsAvailable ? _idText ??= _id.ToString() : string.Empty;

    /// <inheritdoc/>
    public IEnumerable<string> Keys
    {
        get
        {
            EnsureLoaded();
            return _delta is null or { IsCleared: false, Fields.Count: 0 } ? _loaded?.Fields.Keys ?? [] : MergedKeys();
        }
    }

    /// <summary>When the session was created; <see langword="null"/> if it is not stored yet.</summary>
    public DateTimeOffset? CreatedAt
    {
        get
        {
            EnsureLoaded();
            return _loaded is { } loaded ? DateTimeOffset.FromUnixTimeMilliseconds(loaded.CreatedAt) : null;
        }
    }

    /// <inheritdoc/>
    public bool TryGetValue(string key, [NotNullWhen(true)] out byte[]? value)
    {
        ArgumentNullException.ThrowIfNull(key);
        EnsureLoaded();
        var stored = Find(FieldNames.Normalize(key));
        value = stored?.AsSpan().ToArray();
        return value is not null;
    }

    /// <inheritdoc/>
    public void Set(string key, byte[] value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (!IsAvailable)
        {
            return;
        }

        ArgumentNullException.ThrowIfNull(key);
        FieldNames.ThrowIfTooLong(key);
        foreach (var addOn in _store.AddOns)
        {
            addOn.Setting(this, key, value.Length);
        }

        Establish();
        Change().Fields[FieldNames.Normalize(key)] = value.AsSpan().ToArray();
    }

    /// <inheritdoc/>
    public void Remove(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        EnsureLoaded();
        key = FieldNames.Normalize(key);
        if (Find(key) is not null)
        {
            Change().Fields[key] = null;
        }
    }

    /// <inheritdoc/>
    public void Clear()
    {
        EnsureLoaded();
        // A stored session is cleared even if it looked empty: what counts is what there is at commit time.
        if (_loaded is not null || _delta is not null)
        {
            Change().Clear();
        }
    }

    /// <summary>Gives this session an idle timeout of its own, from the next commit on.</summary>
    public void SetIdleTimeout(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.FromMilliseconds(1));
        if (IsAvailable)
        {
            Change().SetMetadata(FieldNames.IdleTimeout, SessionHash.Milliseconds(timeout).ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    /// <summary>How many fields there are beside this one, and how many bytes they have.</summary>
    public (int Count, long Bytes) Measure(string key)
    {
        var (count, bytes) = (0, 0L);
        foreach (var name in Keys)
        {
            if (name != key)
            {
                count++;
                bytes += Encoding.UTF8.GetByteCount(name) + Find(name)!.Length;
            }
        }

        return (count, bytes);
    }

    /// <summary>Changes metadata with the next commit, which creates the session if need be.</summary>
    public void SetMetadata(string name, string? value)
    {
        var delta = Change();
        delta.Creates |= value is not null;
        delta.SetMetadata(name, value);
    }

    /// <summary>Metadata as this request sees it.</summary>
    public string? GetMetadata(string name)
    {
        EnsureLoaded();
        return _delta is { } delta && delta.Metadata.TryGetValue(name, out var changed) ? changed : _loaded?.GetMetadata(name);
    }

    private byte[]? Find(string key)
    {
        if (_delta is { } delta)
        {
            if (delta.Fields.TryGetValue(key, out var changed))
            {
                return changed;
            }

            if (delta.IsCleared)
            {
                return null;
            }
        }

        return _loaded is { } loaded && loaded.Fields.TryGetValue(key, out var value) ? value : null;
    }

    private IEnumerable<string> MergedKeys()
    {
        if (_loaded is { } loaded && _delta is not { IsCleared: true })
        {
            foreach (var key in loaded.Fields.Keys)
            {
                if (_delta is null || !_delta.Fields.ContainsKey(key))
                {
                    yield return key;
                }
            }
        }

        if (_delta is { } delta)
        {
            foreach (var (key, value) in delta.Fields)
            {
                if (value is not null)
                {
                    yield return key;
                }
            }
        }
    }

    public void Establish()
    {
        if (!_tryEstablish())
        {
            throw new InvalidOperationException("The session cannot be established after the response has started.");
        }
    }

    private SessionDelta Change()
    {
        CallBeforeResponse();
        return _delta ??= new SessionDelta();
    }
}
