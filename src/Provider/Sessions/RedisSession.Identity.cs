using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Sessions;

// Which session this is, and how that changes.
internal sealed partial class RedisSession
{
    /// <summary>Gives the session another id from here on. The commit writes it there, and the response tells the browser.</summary>
    public async Task RegenerateIdAsync(CancellationToken cancellationToken)
    {
        await LoadAsync(cancellationToken).ConfigureAwait(false);
        if (_identity.IsNew || _state.Kind is not (SessionStateKind.Loaded or SessionStateKind.Absent))
        {
            // A key made in this request is known to nobody else, so nobody can have planted it.
            return;
        }

        EnsureCookieCanChange("The session id cannot be regenerated after the response has started.");
        if (_state.Stored is { } stored)
        {
            _store.AddOns.IdChanging(this);
            _move = new SessionMove(_identity, stored);
            _established = _identity = NewIdentity();
            _context!.Response.OnCompleted(static session => ((RedisSession)session).ForgetUnannouncedAsync(), this);
        }
        else
        {
            // Nothing is stored under the key that came, but it came from outside: what is set goes under a key of ours.
            _state = SessionState.New;
            _identity = NewIdentity();
            if (_content.WouldCreate)
            {
                Establish();
            }
        }

        AwaitResponse();
    }

    private SessionIdentity NewIdentity()
    {
        var identity = Next;
        _next = null;
        return identity;
    }

    /// <summary>
    /// Goes on as another session of the same browser, which another of its requests began and whose cookie this response
    /// sends, too. What this request changed before is not carried over.
    /// </summary>
    public Task ContinueAsAsync(string secret, CancellationToken cancellationToken)
    {
        if (!CanTellBrowser)
        {
            throw new InvalidOperationException("The session cannot be replaced after the response has started.");
        }

        if (!_initial.IsNew)
        {
            EnsureCookieIsOurs();
        }

        _established = _identity = new(secret, _store.Keys, isNew: false);
        Forget();
        _lost = null;
        BeginLoad();
        AwaitResponse();
        return LoadAsync(cancellationToken);
    }

    /// <summary>The first step of regeneration: see <see cref="SessionMove"/>.</summary>
    private async Task<CommitOutcome> WriteMovedAsync(SessionMove move, SessionCommit commit, IODeadline deadline, CancellationToken cancellationToken)
    {
        if (_turn is { } turn && !await deadline.WaitAsync(_store.Turns.IsLatestAsync(turn.Fence), cancellationToken).ConfigureAwait(false))
        {
            // Here, because the new id has nothing to do with it; and once more where the old one goes.
            _content.PutBack(commit);
            return CommitOutcome.TurnLost;
        }

        var before = commit.Before!;
        var moved = commit.After(SessionSnapshot.NoVersion, before.CreatedAt);
        var ticket = _store.Copies.Expect(_identity.Key);
        var reply = await deadline.WaitAsync(
            _store.Hash.CommitAsync(new CommitRequest(_identity.Key, SessionDelta.Whole(moved), Expected.Anything, _idleTimeout) { CreatedAt = before.CreatedAt }),
            cancellationToken).ConfigureAwait(false);
        move.Own.Add(commit.Delta);
        if (!await deadline.WaitAsync(move.MayGoOnAsync(_store.Hash), cancellationToken).ConfigureAwait(false)
            || !await deadline.WaitAsync(_store.AddOns.MovingAsync(this, moved, move.From.Id).AsTask(), cancellationToken).ConfigureAwait(false))
        {
            await deadline.WaitAsync(_store.Hash.DeleteAsync(_identity.Key), cancellationToken).ConfigureAwait(false);
            _content.PutBack(commit);
            Gone();
            return CommitOutcome.Missing;
        }

        AcceptCommit(commit, reply, ticket, isKnown: before.Version != SessionSnapshot.NoVersion);
        move.IsWritten = true;
        await TellFormerStoreAsync(deadline, cancellationToken).ConfigureAwait(false);
        return CommitOutcome.Done;
    }

    /// <summary>The response never started, as after an exception that nobody handled: the browser has the old cookie, and the old session.</summary>
    private async Task ForgetUnannouncedAsync()
    {
        if (_move is null || (!_move.IsWritten && _failedCommit is not { IsOutcomeUnknown: true }))
        {
            return;
        }

        var (identity, move) = (_identity, _move);
        _move = null;
        try
        {
            await _store.Hash.DeleteAsync(identity.Key).ConfigureAwait(false);
            _store.Copies.Remove(identity.Key);
            if (_store.Former is { IsStillUsed: true } former)
            {
                await former.RemoveAsync(identity.Secret).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // It expires by itself.
            _store.Logger.FormerIdNotDeleted(identity.Id, exception);
        }

        _store.AddOns.Destroyed(this, identity.Id, _state.Stored, rejected: false);
        _store.AddOns.MoveWithdrawn(this, move.Departed, move.From.Id, identity.Id);
    }

    public Task DestroyAsync(CancellationToken cancellationToken) => DestroyAsync(SessionEndReason.SignedOut, cancellationToken);

    public async Task DestroyAsync(SessionEndReason reason, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!_initial.IsNew && CanTellBrowser)
        {
            EnsureCookieIsOurs();
        }

        var durable = await DurableWrites.BeginAsync(_store.Durability.Revocations).ConfigureAwait(false);
        string[] ended = _move is { } moving ? [moving.From.Key, _identity.Key] : [_identity.Key];
        await EndAllAsync(reason, cancellationToken).ConfigureAwait(false);
        if (durable is not null)
        {
            Array.ForEach(ended, durable.Touch);
            await durable.EndAsync().ConfigureAwait(false);
        }
    }

    private async Task EndAllAsync(SessionEndReason reason, CancellationToken cancellationToken)
    {
        if (_move is { } move)
        {
            await EndAsync(move.From, move.Departed, reason, cancellationToken).ConfigureAwait(false);
            if (move.IsWritten || _failedCommit is { IsOutcomeUnknown: true })
            {
                await EndAsync(_identity, _state.Stored, reason, cancellationToken).ConfigureAwait(false);
            }
        }
        else if (!_identity.IsNew || _state.Stored is not null || _failedCommit is { IsOutcomeUnknown: true })
        {
            try
            {
                await EndAsync(_identity, _state.Stored, reason, cancellationToken).ConfigureAwait(false);
            }
            catch when (_identity.IsNew && !ReferenceEquals(_announced, _identity))
            {
                // Whether it was deleted is not known. The browser has not learned its key, and is not told it any more: nobody can use it.
                StartOver(cookieEnds: !_initial.IsNew);
                throw;
            }
        }

        StartOver(cookieEnds: !_initial.IsNew || _announced is not null);
    }

    private async Task EndAsync(SessionIdentity identity, SessionSnapshot? stored, SessionEndReason reason, CancellationToken cancellationToken)
    {
        var deadline = NewDeadline();
        EndedSession? ended = null;
        try
        {
            if (_store.FormerOf(identity) is { } former)
            {
                await deadline.WaitAsync(former.RemoveAsync(identity.Secret), cancellationToken).ConfigureAwait(false);
            }

            ended = (await deadline.WaitAsync(_store.Hash.EndAsync(identity.Id, reason), cancellationToken).ConfigureAwait(false)).Ended;
            if (_store.FormerOf(identity) is { IsStillUsed: true } used)
            {
                // A commit that was made in time may have told it since.
                await deadline.WaitAsync(used.RemoveAsync(identity.Secret), cancellationToken).ConfigureAwait(false);
            }
        }
        catch (TimeoutException exception) when (exception is not StackExchange.Redis.RedisTimeoutException)
        {
            throw new OperationCanceledException("Timed out destroying the session.", exception);
        }

        _store.Copies.Remove(identity.Key);
        _store.Metrics.Destroyed.Add(1);
        _store.Logger.SessionDestroyed(identity.Id);
        _store.AddOns.Destroyed(this, identity.Id, stored, rejected: false);
        _store.AddOns.Ended(identity.Id, stored, reason);
        if (ended is { } session)
        {
            _store.AddOns.Over(new SessionEnd(session, reason, Stored: stored));
        }
    }

    /// <summary>
    /// Why the session that the request came with was not there, or is not any more; null if it was, if it lives on under another id, and where
    /// the request came with none. Asks Redis once, and only where there was none.
    /// </summary>
    public async Task<SessionEndReason?> FindEndReasonAsync(CancellationToken cancellationToken)
    {
        await LoadAsync(cancellationToken).ConfigureAwait(false);
        if (_lost is { IsKnown: false } lost && _store.Timeouts.EndReasonRetention > TimeSpan.Zero)
        {
            Learn(lost, await InTimeAsync(_store.Hash.ReadRemainsAsync(lost.Identity.Id), cancellationToken).ConfigureAwait(false));
        }

        return _lost?.Reason;
    }

    /// <summary>As <see cref="FindEndReasonAsync"/>, and says whether the session lives on under another id.</summary>
    public async Task<SessionRemains> FindRemainsAsync()
    {
        if (_lost is { IsKnown: true, Reason: { } reason })
        {
            return new SessionRemains(HasMoved: false, reason);
        }

        var remains = await _store.Hash.ReadRemainsAsync(LostId ?? _identity.Id).ConfigureAwait(false);
        if (_lost is { } lost)
        {
            Learn(lost, remains);
        }

        return remains with { Reason = _lost?.Reason };
    }

    /// <summary>Whether that the browser came back after the session's end is news. Where nobody knows, it is.</summary>
    public async Task<bool> ClaimReturnAsync()
    {
        if (_lost is not { Identity.Id: var id, Reason: { } reason })
        {
            return false;
        }

        try
        {
            return await InTimeAsync(_store.Hash.ClaimReturnAsync(id, reason), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            _store.Logger.ReturnNotClaimed(id, exception);
            return true;
        }
    }

    private void Learn(LostSession lost, SessionRemains remains)
    {
        lost.IsKnown = true;
        if (_store.Timeouts.EndReasonRetention > TimeSpan.Zero && !remains.HasMoved)
        {
            // Whoever ends one leaves a mark.
            lost.Reason = remains.Reason ?? SessionEndReason.Expired;
        }
    }

    private void Lost(SessionIdentity identity, SessionEndReason? reason) => _lost = new LostSession(identity) { IsKnown = true, Reason = reason };

    /// <summary>This request is not the session's owner: it goes on with an empty one, under a new id if it sets something.</summary>
    /// <param name="reason">What the browser is to learn; null for nothing.</param>
    public void Disown(SessionEndReason? reason = null)
    {
        Lost(_identity, reason);
        _store.Metrics.Rejected.Add(1);
        StartOver(cookieEnds: false);
    }

    /// <summary>The browser is to forget the cookie that it sent, unless this response brings it another.</summary>
    public void ForgetCookie()
    {
        _cookieEnds = true;
        AwaitResponse();
    }

    /// <summary>As <see cref="Disown"/>, and the session ends for its owner, too. What is sent is not waited for: it is behind this request's load and ahead of every later one.</summary>
    /// <param name="rejected">Whether it did not match its browser; else its time was over.</param>
    public void DestroyAndDisown(bool rejected = true)
    {
        var (identity, stored) = (_identity, _state.Stored);
        var reason = rejected ? SessionEndReason.Mismatch : SessionEndReason.Expired;
        Lost(identity, reason);
        _store.Copies.Remove(identity.Key);
        _store.Metrics.Destroyed.Add(1);
        _ = DeleteAsync();
        _store.AddOns.Destroyed(this, identity.Id, stored, rejected);
        _store.AddOns.Ended(identity.Id, stored, reason);
        _store.Metrics.Rejected.Add(rejected ? 1 : 0);
        StartOver(cookieEnds: true);

        async Task DeleteAsync()
        {
            try
            {
                if ((await _store.Hash.EndAsync(identity.Id, reason).ConfigureAwait(false)).Ended is { } ended)
                {
                    _store.AddOns.Over(new SessionEnd(ended, reason, Stored: stored));
                }

                if (_store.FormerOf(identity) is { } former)
                {
                    await former.RemoveAsync(identity.Secret).ConfigureAwait(false);
                }
            }
            catch (Exception exception)
            {
                // Nobody waits for this, and what a former store of the application's throws is its own.
                _store.Logger.SessionNotDestroyed(identity.Id, exception);
            }
        }
    }

    /// <summary>Continues as a session that does not exist yet, under a new secret that is sent if something is stored.</summary>
    /// <param name="cookieEnds">Whether the browser's cookie expires if nothing is.</param>
    private void StartOver(bool cookieEnds)
    {
        _identity = NewIdentity();
        _state = SessionState.New;
        Forget();
        _cookieEnds = cookieEnds;
        AwaitResponse();
    }

    /// <summary>What belongs to the session that this was until now.</summary>
    private void Forget()
    {
        _content.Reset(null);
        _move = null;
        _failedCommit = null;
        _hasDeparted = false;
        _cookieEnds = false;
        _promisedCookieEnd = 0;
    }

    private void EnsureCookieCanChange(string otherwise)
    {
        if (!CanTellBrowser)
        {
            throw new InvalidOperationException(otherwise);
        }

        if (!_initial.IsNew)
        {
            // Else it came without one, and goes on as what another request of its browser began.
            EnsureCookieIsOurs();
        }
    }

    /// <summary>SessionMiddleware does not tell with which options it works, and where only it knows them, this cannot replace its cookie.</summary>
    private void EnsureCookieIsOurs()
    {
        if (_store.Cookie.Read(_context!) != _initial.Secret)
        {
            throw new InvalidOperationException(
                "The session cookie cannot be replaced, because UseSession was given options of its own on a branch of the pipeline. Write services.Configure<SessionOptions>(...), or give them to UseSession of the WebApplication itself.");
        }
    }
}
