using System.Diagnostics.CodeAnalysis;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// What a request sees of a session: the fields that were loaded, which other requests share, until the first change; from then on fields of
/// its own, beside a delta of what it changed. A commit takes the delta and, as the next version, the fields.
/// <para>
/// A field that expires by itself is gone from here when its time is over. That is no change of the request's: what it set with a lifetime is stored all the same, and expires there.
/// </para>
/// </summary>
internal sealed class SessionContent(SessionTimeouts timeouts)
{
    private SessionFields _fields = SessionFields.Empty;
    private SessionSnapshot? _stored;
    private SessionDelta? _delta;
    private bool _isShared = true;

    /// <summary>Counts changes, so that a failed commit can tell whether there were any since.</summary>
    public int Changes { get; private set; }

    public bool HasChanges => _delta is { IsEmpty: false };

    /// <summary>Whether committing this would create a session that does not exist.</summary>
    public bool WouldCreate => _delta is { WouldCreate: true };

    /// <summary>Whether there is nothing to be stored but upkeep.</summary>
    public bool IsUpkeep => _delta is { IsUpkeep: true };

    public int Count => Present().Count;

    public long Bytes => Present().Bytes;

    public IEnumerable<string> Names => Present().Names;

    /// <summary>The delta, for who adds to it.</summary>
    public SessionDelta Delta
    {
        get
        {
            Changes++;
            return _delta ??= new SessionDelta();
        }
    }

    /// <summary>Begins anew with what was loaded; null for nothing.</summary>
    public void Reset(SessionSnapshot? stored)
    {
        _stored = stored;
        _fields = stored?.Fields ?? SessionFields.Empty;
        _delta = null;
        _isShared = true;
        Changes = 0;
    }

    /// <summary>
    /// Takes what was loaded. Of what was loaded once more, what the request has changed stays on top of it, unless the session has ended or is another: then those changes are nobody's.
    /// </summary>
    /// <returns>Whether changes were dropped.</returns>
    public bool Load(SessionSnapshot? stored)
    {
        var hadChanges = HasChanges;
        if (!hadChanges || (_stored is not null && stored?.CreatedAt != _stored.CreatedAt))
        {
            Reset(stored);
            return hadChanges;
        }

        (_stored, _fields, _isShared) = (stored, _delta!.AppliedTo(stored?.Fields), false);
        return false;
    }

    public bool TryGet(string name, [NotNullWhen(true)] out byte[]? value) => Present().TryGet(name, out value);

    /// <summary>When a field expires; null for one that does not by itself.</summary>
    public long? ExpiryOf(string name) => _fields.ExpiryOf(name);

    /// <summary>Whether a field's value is the request's own, and nobody else's yet.</summary>
    public bool IsOwn(string name) => _delta is { } delta && delta.Fields.TryGetValue(name, out var value) && value is not null;

    /// <param name="name">The field.</param>
    /// <param name="value">Its value.</param>
    /// <param name="expires">When it expires, Unix milliseconds; null for never.</param>
    public void Set(string name, byte[] value, long? expires = null)
    {
        Own().Set(name, value, expires);
        Delta.Set(name, value, expires);
    }

    public void Remove(string name)
    {
        if (Present().TryGet(name, out _))
        {
            Own().Remove(name);
            Delta.Remove(name);
        }
    }

    /// <summary>It is not there any more, and was taken away by somebody else, or by this request, but by no commit.</summary>
    public void Lose(string name) => Own().Remove(name);

    public void Clear()
    {
        _fields = new SessionFields();
        _isShared = false;
        Delta.Clear();
    }

    public string? GetMetadata(string name) =>
        _delta is { } delta && delta.Metadata.TryGetValue(name, out var changed) ? changed : _stored?.GetMetadata(name);

    /// <summary>Takes the delta and what the session holds with it. Later changes are for the next commit.</summary>
    /// <param name="isElsewhere">Whether all of it is written, to where nothing was.</param>
    public SessionCommit BeginCommit(bool isElsewhere)
    {
        if (isElsewhere || _delta is { Expiries.Count: > 0 })
        {
            ForgetExpired(isElsewhere);
        }

        var commit = new SessionCommit(_delta ?? new SessionDelta(), _fields, _stored);
        _delta = null;
        _isShared = true;
        return commit;
    }

    /// <summary>Whoever gives a field a lifetime clears away what is known of those that have had theirs.</summary>
    private void ForgetExpired(bool isElsewhere)
    {
        foreach (var (name, expired) in Present().Expiries.ToArray())
        {
            if (!_fields.TryGet(name, out _) && (isElsewhere || _delta?.Fields.ContainsKey(name) != true))
            {
                Own().Remove(name);
                if (!isElsewhere)
                {
                    _delta!.Forget(name, expired);
                }
            }
        }
    }

    /// <summary>A change that was made in Redis already, and in no delta.</summary>
    public SessionCommit Stored(string name, byte[] value, long? expires)
    {
        Own().Set(name, value, expires);
        var delta = new SessionDelta();
        delta.Set(name, value, expires);
        _isShared = true;
        return new SessionCommit(delta, _fields, _stored);
    }

    /// <summary>The commit was made: this is what the session was then.</summary>
    public void EndCommit(SessionSnapshot stored) => _stored = stored;

    /// <summary>The commit failed: its changes are to be made yet, before those since.</summary>
    public void PutBack(SessionCommit commit)
    {
        if (_delta is { } since)
        {
            commit.Delta.Add(since);
        }

        _delta = commit.Delta;
    }

    /// <summary>It could not be stored: the next request sees to it.</summary>
    public void ForgetUpkeep() => _delta = null;

    /// <summary>What has not expired.</summary>
    private SessionFields Present()
    {
        // The clock is asked only where something expires at all.
        if (_fields.NextExpiry != long.MaxValue && timeouts.Now is var now && _fields.NextExpiry <= now)
        {
            Own().Expire(now);
        }

        return _fields;
    }

    private SessionFields Own()
    {
        if (_isShared)
        {
            _fields = _fields.Copy();
            _isShared = false;
        }

        return _fields;
    }
}

/// <summary>One commit under way.</summary>
/// <param name="Delta">What it changes.</param>
/// <param name="Fields">All fields as the request sees them with that; nobody changes them any more.</param>
/// <param name="Before">What the request knew of the stored session; null if it knew of none.</param>
internal readonly record struct SessionCommit(SessionDelta Delta, SessionFields Fields, SessionSnapshot? Before)
{
    /// <summary>What the session is at this version, if nobody else changed it since <see cref="Before"/>.</summary>
    public SessionSnapshot After(long version, long createdAt) => SessionSnapshot.After(version, createdAt, Fields, Before, Delta);
}
