using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using RedisSessions.Diagnostics;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

// What happens when the response is about to start: the commit, the cookie, and the end of the old id. Callbacks run last come,
// first served, so this one, which is there from the beginning, runs after those of what came later in the pipeline (TempData's, for
// one); for what changes the session after that it has another turn.
internal sealed partial class RedisSession
{
    private enum ResponseTurn
    {
        None,
        Awaited,
        Taken,
    }

    /// <summary>Whether this still is the session of a request whose response has not started. The context may serve another request by now.</summary>
    private bool CanTellBrowser
    {
        get
        {
            try
            {
                return _context is { } context && (_responseTurn == ResponseTurn.None || IsOfThisRequest) && !context.Response.HasStarted;
            }
            catch (ObjectDisposedException)
            {
                return false;
            }
        }
    }

    private bool IsOfThisRequest => ReferenceEquals(_context?.Features.Get<RequestSession>()?.Session, this);

    /// <summary>Called with every change: the response is to start with it.</summary>
    private void AwaitResponse()
    {
        if (_responseTurn != ResponseTurn.Awaited && CanTellBrowser)
        {
            _responseTurn = ResponseTurn.Awaited;
            _context!.Response.OnStarting(static session => ((RedisSession)session).BeforeResponseAsync(), this);
        }
    }

    private async Task BeforeResponseAsync()
    {
        var isFirst = !_hadResponseTurn;
        (_hadResponseTurn, _responseTurn) = (true, ResponseTurn.Taken);
        try
        {
            if (NeedsCommit)
            {
                await CommitAsync().ConfigureAwait(false);
            }
        }
        catch (Exception) when (_store.CommitFailure == CommitFailure.Log)
        {
            // The response goes out all the same, as with the in-box session. The commit at the end of the request throws, and SessionMiddleware logs that.
        }
        catch (Exception exception) when (_hasDeparted)
        {
            // An earlier turn ended the old id. Without this response, which a throw would rob of its cookie, the browser would lose the whole session.
            _store.Logger.ChangesNotStoredBehindNewId(_identity.Id, exception);
            _failedCommit = _failedCommit is { } failed ? failed with { IsUnmet = true } : null;
        }
        catch (Exception) when (_context?.Response.StatusCode >= StatusCodes.Status500InternalServerError)
        {
            // The response says itself that the request failed, and says it better than the empty one that a throw would make of it. The browser keeps
            // the session that it has; the commit at the end of the request throws, and SessionMiddleware logs that.
            _isToldByResponse = true;
            return;
        }

        await DepartAsync().ConfigureAwait(false);
        WriteCookie(isFirst);
    }

    /// <summary>The response says that all is well, and it is not: the client is to notice, where the end of the request could not tell it otherwise.</summary>
    private void AbortUnfinishedResponse()
    {
        if (_store.CommitFailure != CommitFailure.Throw || _context is null || _isToldByResponse)
        {
            return;
        }

        try
        {
            // SessionMiddleware takes the session off the request before it commits.
            if (IsOfThisRequest && _context.Response.HasStarted && _context.Features.Get<ISessionFeature>() is null)
            {
                _context.Abort();
            }
        }
        catch (ObjectDisposedException)
        {
            // The request is over.
        }
    }

    /// <summary>
    /// A session that is to be stored needs a cookie, and a cookie needs a response that has not started. It goes out, as the in-box session's,
    /// also if nothing is left to be stored by then, so that something may be set while the response is under way.
    /// </summary>
    /// <exception cref="InvalidOperationException">It has.</exception>
    public void Establish()
    {
        if (_state.Kind is not (SessionStateKind.New or SessionStateKind.Absent or SessionStateKind.Loaded) || !_identity.IsNew || ReferenceEquals(_announced, _identity))
        {
            return;
        }

        // Where the middleware is to send its own cookie it is told so in time, and not before the session is really stored.
        if (!(_context is null ? _tryEstablish() : CanTellBrowser))
        {
            throw new InvalidOperationException("The session cannot be established after the response has started.");
        }

        _established = _identity;
    }

    /// <summary>Sends the cookie that the browser has once more, for it is to keep it longer.</summary>
    /// <returns>False where it cannot be sent any more, or is not ours.</returns>
    public bool RenewCookie()
    {
        if (_state.Kind != SessionStateKind.Loaded || !CanTellBrowser || (!_initial.IsNew && _store.Cookie.Read(_context!) != _initial.Secret))
        {
            return false;
        }

        _established = _identity;
        _announced = null;
        AwaitResponse();
        return true;
    }

    /// <summary>Until when the browser is to keep the cookie: never past the session's absolute timeout. Null for as long as the cookie's options say.</summary>
    private DateTimeOffset? CookieEnds
    {
        get
        {
            if (_state.Stored is not { } stored || Math.Max(SessionSnapshot.TimeOf(stored.GetMetadata(FieldNames.CookieEnds)) ?? 0, _promisedCookieEnd) is not (> 0 and var ends))
            {
                return null;
            }

            return DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(ends, _store.Timeouts.EndOf(stored) ?? ends));
        }
    }

    private void WriteCookie(bool isFirst)
    {
        if (_move is not null || ReferenceEquals(_announced, _identity))
        {
            return;
        }

        if (ReferenceEquals(_established, _identity) && _state.Kind is (SessionStateKind.New or SessionStateKind.Loaded))
        {
            // The middleware's own turn comes right after this, but only once, and its cookie has no end.
            var ends = CookieEnds;
            if (ends is not null || !isFirst || !ReferenceEquals(_identity, _initial) || !_tryEstablish())
            {
                _store.Cookie.Append(_context!, _identity.Secret, ends);
            }

            _announced = _identity;
        }
        else if (_cookieEnds)
        {
            _store.Cookie.Expire(_context!);
            _cookieEnds = false;
        }
    }

    /// <summary>What was written under a new id is nobody's: the browser stays with the old one.</summary>
    private async Task WithdrawAsync(SessionIdentity identity)
    {
        Gone();
        try
        {
            await NewDeadline().WaitAsync(_store.Hash.DeleteAsync(identity.Key), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (Redis.RedisAway.Explains(exception))
        {
            // It expires by itself.
            _store.Logger.FormerIdNotDeleted(identity.Id, exception);
        }
    }

    /// <summary>The last step of regeneration. Whatever fails here, the data is there under the new id.</summary>
    private async Task DepartAsync()
    {
        if (_move is not { IsWritten: true } move)
        {
            return;
        }

        _move = null;
        _hasDeparted = true;
        var (identity, deadline) = (_identity, NewDeadline());
        try
        {
            if (_store.Former is { IsStillUsed: true } used)
            {
                // First, too: while only the hash is gone, a request with the old cookie would import it again.
                await deadline.WaitAsync(used.RemoveAsync(move.From.Secret), CancellationToken.None).ConfigureAwait(false);
            }

            if (!await deadline.WaitAsync(move.DepartAsync(_store.Hash, identity, _idleTimeout, _turn?.Fence), CancellationToken.None).ConfigureAwait(false))
            {
                // First of all, for the command that ends the new hash may fail: then nobody has its cookie, and it expires by itself.
                Gone();
                await deadline.WaitAsync(_store.Hash.DeleteAsync(identity.Key), CancellationToken.None).ConfigureAwait(false);
                return;
            }

            if (_store.Former is { } former)
            {
                await deadline.WaitAsync(former.RemoveAsync(move.From.Secret), CancellationToken.None).ConfigureAwait(false);
            }

            if (move.HasCarriedOver)
            {
                await TellFormerStoreAsync(deadline, CancellationToken.None, isKnown: false).ConfigureAwait(false);
            }
        }
        catch (ExclusiveSessionLostException)
        {
            _hasDeparted = false;
            await WithdrawAsync(identity).ConfigureAwait(false);
            if (_store.CommitFailure == CommitFailure.Throw && _context?.Response.StatusCode < StatusCodes.Status500InternalServerError)
            {
                throw;
            }

            return;
        }
        catch (Exception exception)
        {
            // Redis away, or what others changed meanwhile cannot be read.
            if (_state.Kind == SessionStateKind.Gone)
            {
                _store.Logger.FormerIdNotDeleted(identity.Id, exception);
                return;
            }

            _store.Logger.FormerIdNotDeleted(move.From.Id, exception);
        }

        if (move.HasCarriedOver)
        {
            _store.Copies.Remove(_identity.Key);
        }

        _store.Copies.Remove(move.From.Key);
        _store.Metrics.Regenerated.Add(1);
        _store.Logger.SessionRegenerated(move.From.Id, _identity.Id);
        _store.AddOns.Regenerated(this, move.From.Id);
    }
}
