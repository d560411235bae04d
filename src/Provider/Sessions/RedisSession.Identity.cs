using RedisSessions.Diagnostics;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

// Which session this is, and how that changes. The browser learns of it by cookie when the response starts.
//
// Regeneration has to move a hash to another key, and in a cluster that is another slot, so no single step can do it. The
// order makes every intermediate state harmless: (1) the data is written under the new id, which nobody knows yet; (2) the
// old hash is deleted in one step with a check that nothing was committed to it since it was read, else its newer content
// is carried over again; (3) only then does the cookie change. A crash in between leaves the old session as it was and an
// orphan under an id that nobody holds, which expires by itself; a commit that Redis acknowledged is never lost.
internal sealed partial class RedisSession
{
    private string _secret;
    private Guid _id;
    private string _key;
    private bool _isNewKey;
    private string? _newSecret;
    private CookieChange _cookieChange;

    private enum CookieChange
    {
        None,
        Replace,
        Expire,
    }

    public async Task RegenerateIdAsync(CancellationToken cancellationToken)
    {
        await LoadAsync(cancellationToken).ConfigureAwait(false);
        if (_isNewKey || !IsAvailable || _gone)
        {
            // A key made in this request is known to nobody else, so nobody can have planted it.
            return;
        }

        EnsureCookieCanChange("The session id cannot be regenerated after the response has started.");
        if (_loaded is null && _tellFormerStore)
        {
            // It comes from the former store: it gets its hash first, so that it moves like any other.
            await CommitAsync(cancellationToken).ConfigureAwait(false);
        }

        var oldId = _id;
        var secret = SessionId.NewSecret();
        if (_loaded is null)
        {
            // Nothing stored under the key that came, but it came from outside: what is set from here on gets a key of ours.
            StartOver(secret);
            return;
        }

        if (!await MoveToAsync(secret, _loaded).ConfigureAwait(false))
        {
            Gone();
            return;
        }

        ChangeCookie(CookieChange.Replace, secret);
        _store.Metrics.Regenerated.Add(1);
        _store.Logger.SessionRegenerated(oldId, _id);
        foreach (var addOn in _store.AddOns)
        {
            addOn.Regenerated(this, oldId);
        }
    }

    /// <returns>False if the session was destroyed or expired meanwhile; then nothing is left under either id.</returns>
    private async Task<bool> MoveToAsync(string secret, SessionSnapshot session)
    {
        var newKey = _store.Keys.Session(SessionId.Derive(secret));
        if (_store.Former is { } former)
        {
            // First, or the old cookie would find its session again there.
            await former.RemoveAsync(_secret).ConfigureAwait(false);
        }

        while (true)
        {
            var written = await _store.Hash.WriteAsync(newKey, session, _idleTimeout).ConfigureAwait(false);
            var (deleted, newer) = await _store.Hash.DeleteAtVersionAsync(_id, session.Version).ConfigureAwait(false);
            if (written && deleted)
            {
                _store.Copies.Remove(_key);
                _loaded = session;
                SetIdentity(secret);
                _store.Copies.Set(_key, session);
                await TellFormerStoreAsync().ConfigureAwait(false);
                return true;
            }

            if (newer is null)
            {
                await _store.Hash.DeleteAsync(newKey).ConfigureAwait(false);
                return false;
            }

            session = newer;
        }
    }

    public async Task DestroyAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!_isNewKey || _loaded is not null)
        {
            if (_store.Former is { } former)
            {
                await WithinIOTimeout(former.RemoveAsync(_secret), cancellationToken).ConfigureAwait(false);
            }

            await WithinIOTimeout(_store.Hash.DeleteAsync(_key), cancellationToken).ConfigureAwait(false);
            _store.Copies.Remove(_key);
            _store.Metrics.Destroyed.Add(1);
            _store.Logger.SessionDestroyed(_id);
            foreach (var addOn in _store.AddOns)
            {
                addOn.Destroyed(this, _id, _loaded, rejected: false);
            }
        }

        Empty();
    }

    /// <summary>This request is not the session's owner: it goes on with an empty one, under a new id if it sets something.</summary>
    public void Disown()
    {
        _store.Metrics.Rejected.Add(1);
        Forget();
        StartOver(SessionId.NewSecret());
    }

    private void Forget()
    {
        _loaded = null;
        _copy = null;
        _delta = null;
        _gone = false;
        _keptInMemory = false;
        _tellFormerStore = false;
    }

    /// <summary>As <see cref="Disown"/>, and the session ends for its owner, too. What is sent is not waited for: it is behind this request's load and ahead of every later one.</summary>
    public void DestroyAndDisown()
    {
        var (id, key, stored) = (_id, _key, _loaded);
        _store.Copies.Remove(key);
        _store.Metrics.Destroyed.Add(1);
        _ = DeleteAsync();
        foreach (var addOn in _store.AddOns)
        {
            addOn.Destroyed(this, id, stored, rejected: true);
        }

        Disown();
        ChangeCookie(CookieChange.Expire, null);

        async Task DeleteAsync()
        {
            try
            {
                await _store.Hash.DeleteAsync(key).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is StackExchange.Redis.RedisException or TimeoutException)
            {
                _store.Logger.SessionNotDestroyed(id, exception);
            }
        }
    }

    /// <summary>What this request sees once its session is no more. A key that the browser already has is not used again.</summary>
    private void Empty()
    {
        _availability = Availability.Available;
        Forget();
        if (!_isNewKey)
        {
            StartOver(SessionId.NewSecret());
            ChangeCookie(CookieChange.Expire, null);
        }
    }

    /// <summary>Continues as a session that does not exist yet, under a new secret that is sent if something is set.</summary>
    public void StartOver(string secret)
    {
        SetIdentity(secret);
        _isNewKey = true;
        _tryEstablish = () =>
        {
            if (_cookieChange != CookieChange.Replace && _context is { Response.HasStarted: false })
            {
                ChangeCookie(CookieChange.Replace, secret);
            }

            return _cookieChange == CookieChange.Replace;
        };
    }

    private void EnsureCookieCanChange(string otherwise)
    {
        if (_context is not { Response.HasStarted: false })
        {
            throw new InvalidOperationException(otherwise);
        }
    }

    private void ChangeCookie(CookieChange change, string? secret)
    {
        _cookieChange = change;
        _newSecret = secret;
        CallBeforeResponse();
    }

    private void WriteCookie()
    {
        if (_cookieChange == CookieChange.Replace)
        {
            _store.Cookie.Append(_context!, _newSecret!);
        }
        else if (_cookieChange == CookieChange.Expire)
        {
            _store.Cookie.Expire(_context!);
        }
    }

    [System.Diagnostics.CodeAnalysis.MemberNotNull(nameof(_key), nameof(_secret))]
    private void SetIdentity(string secret)
    {
        _secret = secret;
        _id = SessionId.Derive(secret);
        _idText = null;
        _key = _store.Keys.Session(_id);
    }
}
