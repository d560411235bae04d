using System.Runtime.ExceptionServices;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using RedisSessions.Clients;
using RedisSessions.Diagnostics;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

// The load is sent once, when the session is made, and awaited or waited for by whoever comes first. A session that was read
// and found unavailable stays so for the request, so that no page works with half the truth.
internal sealed partial class RedisSession
{
    private bool OnlyReads => _context is { } context && (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method));

    private IODeadline NewDeadline() => DeadlineSince(_store.Timeouts.Clock.GetTimestamp());

    private IODeadline DeadlineSince(long began) => new(_ioTimeout, _store.Timeouts.Clock, _store.Connection.LongestWait, began);

    private void BeginLoad()
    {
        if (_identity.IsNew)
        {
            // Costs no round trip; but where Redis is known to be away, nothing that is set could be stored.
            _state = _store.Connection.IsDown()
                ? SessionState.Loading(new SessionLoad(this, _identity, new RedisConnectionException(ConnectionFailureType.UnableToConnect, CommandFlags.None, "There is no connection to Redis.")))
                : SessionState.New;
            return;
        }

        var load = new SessionLoad(this, _identity);
        _state = SessionState.Loading(load);
        if (!OnlyReads || _store.Former is { IsStillUsed: true } || !_store.Copies.TryGetCurrent(_identity.Key, out _))
        {
            load.Send();
        }
    }

    /// <summary>
    /// Ends a load that has not been sent with the copy at hand, if the request may do with that: which endpoint it is for is known by then, and
    /// the copy may be another than when the request began, or none. If not, the load is sent.
    /// </summary>
    private bool TryServe(SessionLoad load)
    {
        if (load.IsSent)
        {
            return false;
        }

        if (_context?.GetEndpoint() is not { } endpoint
            || endpoint.Metadata.GetMetadata<ISessionValidatedMetadata>() is not null
            || !_store.Copies.TryGetCurrent(_identity.Key, out var copy))
        {
            load.Send();
            return false;
        }

        try
        {
            _store.Metrics.CopyServed.Add(1);
            Accept(new ReadReply(copy.Session, null, IsCopy: true), copy, ticket: null);
        }
        catch (Exception exception)
        {
            Fail(exception);
        }

        return true;
    }

    /// <summary>Waits for what an add-on sent for this session, no longer than for the session itself.</summary>
    /// <exception cref="TimeoutException">It took longer.</exception>
    public Task<T> InTimeAsync<T>(Task<T> task, CancellationToken cancellationToken) => NewDeadline().WaitAsync(task, cancellationToken);

    /// <summary>Throws when the session cannot be read; the caller is expected to handle that. As long as nobody has read it, asking again tries again.</summary>
    public Task LoadAsync(CancellationToken cancellationToken = default) => _state.Kind switch
    {
        SessionStateKind.Loading when !cancellationToken.IsCancellationRequested && TryServe(_state.Load!) => LoadAsync(cancellationToken),
        SessionStateKind.Loading => LoadSlowAsync(cancellationToken),
        SessionStateKind.Unavailable => Task.FromException(_state.Reason!),
        // Not Task.FromCanceled: the in-box session throws just this.
        SessionStateKind.New when cancellationToken.IsCancellationRequested => Task.FromException(new OperationCanceledException(cancellationToken)),
        _ => Task.CompletedTask,
    };

    /// <summary>Waits for the load as <see cref="LoadAsync"/> does, but leaves a failure to whoever reads the session.</summary>
    /// <remarks>Where somebody has waited for it in vain, waiting once more would only make the page slower.</remarks>
    public Task PreloadAsync() =>
        _state.Load is not { Failure: null } load || TryServe(load) ? Task.CompletedTask : LoadSlowAsync(CancellationToken.None, isPreload: true);

    private async Task LoadSlowAsync(CancellationToken cancellationToken, bool isPreload = false)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_state.Load is { Failure: { } failure } failed)
        {
            if (failed.IsUnmet)
            {
                failed.IsUnmet = false;
                ExceptionDispatchInfo.Throw(failure);
            }

            BeginLoad();
        }

        if (_state.Load is not { } load)
        {
            return;
        }

        try
        {
            ReadReply reply;
            for (var began = _store.Timeouts.Clock.GetTimestamp(); !load.TryEnd(out reply);)
            {
                // Whether it failed says its end.
                var pending = load.Pending;
                await DeadlineSince(began).Limit(pending, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
                if (!ReferenceEquals(_state.Load, load))
                {
                    // Somebody else who waited was first.
                    return;
                }

                if (!pending.IsCompleted)
                {
                    throw new TimeoutException("Timed out loading the session.");
                }
            }

            Accept(reply, load.Copy, load.Ticket);
        }
        catch (Exception exception)
        {
            var met = Failed(load, exception, cancellationToken);
            if (isPreload)
            {
                // Kept in the state, and logged by whoever reads the session.
                load.IsUnmet = true;
                return;
            }

            if (ReferenceEquals(met, exception))
            {
                throw;
            }

            throw met;
        }
    }

    /// <returns>What whoever waited is to meet.</returns>
    private Exception Failed(SessionLoad load, Exception exception, CancellationToken cancellationToken)
    {
        switch (exception)
        {
            case OperationCanceledException when cancellationToken.IsCancellationRequested:
                // The caller's own wish: the reply still comes, and another reader may wait for it.
                return exception;
            case var _ when !ReferenceEquals(_state.Load, load):
                // The load came, and what was done with it failed.
                Fail(exception);
                return exception;
            case TimeoutException and not RedisTimeoutException:
                _store.Logger.SessionLoadingTimeout();
                var timedOut = new OperationCanceledException("Timed out loading the session.", exception);
                load.Fail(timedOut);
                load.IsLogged = true;
                return timedOut;
            default:
                load.Fail(exception);
                return exception;
        }
    }

    /// <summary>What every synchronous member starts with. Never throws: a session that cannot be read is unavailable.</summary>
    private void EnsureLoaded()
    {
        if (_state.Load is { } load && !TryServe(load))
        {
            LoadBlocking(load);
        }
    }

    private void LoadBlocking(SessionLoad load)
    {
        try
        {
            if (load.Failure is { } failure)
            {
                // Somebody waited already; waiting once more would only make the page slower.
                ExceptionDispatchInfo.Throw(failure);
            }

            var deadline = NewDeadline();
            ReadReply reply;
            while (!load.TryEnd(out reply))
            {
                deadline.Wait(load.Pending, "Timed out loading the session.");
            }

            Accept(reply, load.Copy, load.Ticket);
        }
        catch (Exception exception)
        {
            if (load.Failure is null && ReferenceEquals(_state.Load, load))
            {
                load.Fail(exception);
            }

            Fail(exception);
        }
    }

    /// <summary>From here on nothing of the session can be read in this request, and nothing is written: half a truth is worse than none.</summary>
    public void Fail(Exception reason)
    {
        if (_state.Load is not { IsLogged: true })
        {
            _store.Logger.SessionReadException(_identity.Id, reason);
        }

        // What was to move stays where it is, and there it can be destroyed.
        _identity = _move?.From ?? _identity;
        _state = SessionState.Unavailable(reason);
        Forget();
    }

    /// <param name="reply">What was read.</param>
    /// <param name="copy">The copy that was at hand.</param>
    /// <param name="ticket">What was known when Redis was asked; null if it was not, or nobody needs it.</param>
    private void Accept(ReadReply reply, SessionCopy? copy, CopyTicket? ticket)
    {
        if (reply.IsForged)
        {
            // Not this browser's session, nor anybody's: it begins anew, and what is in Redis is left as it is.
            _store.Copies.Remove(_identity.Key);
            _store.Metrics.Rejected.Add(1);
            StartOver(cookieEnds: true);
            return;
        }

        if (reply.Session is not { } session || _store.Timeouts.IsOver(session))
        {
            _state = SessionState.Absent;
            TakeLoaded(null);
            _lost = new LostSession(_identity);
            _store.Copies.Remove(_identity.Key);
            _store.Metrics.Missing.Add(1);
            _store.Logger.AccessingExpiredSession(_identity.Id);
            if (reply.Session is { } over)
            {
                // Its script deletes what is past its absolute timeout.
                _ = SlideAsync(_identity.Id, _identity.Key, over, null, default);
            }

            return;
        }

        _state = SessionState.Loaded(session);
        TakeLoaded(session);
        var (identity, isDue) = (_identity, Keep(reply, copy, ticket));
        _store.Logger.SessionLoaded(identity.Id, session.Fields.Count);
        _store.AddOns.Loaded(this);
        if (isDue && _state.Kind == SessionStateKind.Loaded)
        {
            _ = SlideAsync(identity.Id, identity.Key, session, copy, BeatOf(identity.Id, session, Client));
        }
    }

    private void TakeLoaded(SessionSnapshot? session)
    {
        if (_content.Load(session))
        {
            _failedCommit = null;
            _store.Metrics.Dropped.Add(1);
            _store.Logger.SessionGoneAtCommit(_identity.Id);
        }
    }

    /// <summary>Keeps what was read for the next request.</summary>
    /// <param name="reply">What was read.</param>
    /// <param name="copy">The copy that was at hand.</param>
    /// <param name="ticket">What was known when Redis was asked; null if it was not, or nobody needs it.</param>
    /// <param name="isUse">Whether the request is a use of the session; null if it has to be asked.</param>
    /// <returns>Whether the session is to be slid.</returns>
    private bool Keep(ReadReply reply, SessionCopy? copy, CopyTicket? ticket, bool? isUse = null)
    {
        var (session, heartbeat) = (reply.Session!, _store.AddOns.HeartbeatInterval);
        var nextSlide = reply.IsCopy ? copy!.NextSlide : _store.Timeouts.NextSlide(session, reply.Life, _idleTimeout, heartbeat);
        var isDue = nextSlide <= _store.Timeouts.Now && (isUse ?? IsUse);
        if (isDue)
        {
            nextSlide = _store.Timeouts.NextSlide(session, _idleTimeout, heartbeat);
        }

        _store.Metrics.Loaded.Add(1);
        if (reply.IsCopy)
        {
            _store.Metrics.CopyHits.Add(1);
            copy!.NextSlide = nextSlide;
            if (ticket is { } asked)
            {
                _store.Copies.Confirm(_identity.Key, copy, asked);
            }
        }
        else
        {
            _store.Metrics.CopyMisses.Add(1);
            _store.Copies.Set(_identity.Key, session, nextSlide, reply.Life ?? _store.Timeouts.IdleOf(session, _idleTimeout), ticket);
        }

        return isDue;
    }

    /// <summary>What only keeps a connection open is none.</summary>
    private bool IsUse => _context is not { } context || _store.AddOns.IsUse(context);

    /// <summary>Who the request is from; nobody asks where there is no heartbeat.</summary>
    private (string Address, string UserAgent) Client => _store.AddOns.HeartbeatInterval > TimeSpan.Zero
        ? (ClientAddress.Of(_context?.Connection.RemoteIpAddress), _context?.Request.Headers[HeaderNames.UserAgent].ToString() ?? "")
        : ("", "");

    private SessionBeat BeatOf(Guid id, SessionSnapshot session, (string Address, string UserAgent) client) =>
        new(id, _store.Timeouts.Now, session, _store.Timeouts.IdleOf(session, _idleTimeout), client.Address, client.UserAgent);

    /// <summary>
    /// A session that nobody read is used all the same, and slides. The request does not wait for its load, and once that
    /// comes the request may be over: it is nobody's then, so add-ons are not asked about it.
    /// </summary>
    private Task LeaveUnread(SessionLoad load)
    {
        if (TryServe(load) || load.Pending.IsCompleted)
        {
            return PreloadAsync();
        }

        // The context may serve another request by then.
        var (client, isUse) = (Client, IsUse);
        _ = EndAsync();
        return Task.CompletedTask;

        async Task EndAsync()
        {
            try
            {
                ReadReply reply;
                while (!load.TryEnd(out reply))
                {
                    await load.Pending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }

                if (!ReferenceEquals(_state.Load, load) || reply.Session is not { } session)
                {
                    return;
                }

                if (Keep(reply, load.Copy, load.Ticket, isUse))
                {
                    await SlideAsync(_identity.Id, _identity.Key, session, load.Copy, BeatOf(_identity.Id, session, client)).ConfigureAwait(false);
                }
            }
            catch (Exception exception)
            {
                _store.Logger.SessionNotSlid(_identity.Id, exception);
            }
        }
    }

    /// <summary>No request waits for this.</summary>
    private async Task SlideAsync(Guid id, string key, SessionSnapshot session, SessionCopy? copy, SessionBeat beat)
    {
        try
        {
            var sentAt = _store.Timeouts.Now;
            var reply = await _store.Hash.SlideAsync(key, _idleTimeout, _store.AddOns.HeartbeatInterval).ConfigureAwait(false);
            if (reply != SlideReply.Missing)
            {
                _store.Copies.Slid(key, session, _store.Timeouts.IdleOf(session, _idleTimeout), sentAt);
            }

            switch (reply)
            {
                // Unless the request has ended the session meanwhile: then it is not in use any more.
                case SlideReply.SlidAndHeartbeatDue when beat.Stored is not null && GoesBy(id):
                    _store.AddOns.HeartbeatDue(beat);
                    break;
                case SlideReply.Missing:
                    _store.Copies.Remove(key);
                    break;
            }
        }
        catch (Exception exception)
        {
            // The next load tries again.
            if (copy is not null)
            {
                copy.NextSlide = 0;
            }
            else
            {
                _store.Copies.Remove(key);
            }

            _store.Logger.SessionNotSlid(id, exception);
        }
    }
}
