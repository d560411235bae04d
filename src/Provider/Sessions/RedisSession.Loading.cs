using System.Runtime.ExceptionServices;
using Microsoft.AspNetCore.Http;
using RedisSessions.Diagnostics;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

// The load is sent once, by the store, and awaited or waited for by whoever comes first. Its outcome holds for the
// request: a session that could not be read stays unavailable, so that no page works with half the truth.
internal sealed partial class RedisSession
{
    private Availability _availability;
    private SessionCopy? _copy;
    private SessionHash.LoadReply? _reply;
    private Exception? _loadFailure;
    private Measured _measuredLoad;

    private enum Availability
    {
        NotLoaded,
        Available,
        Unavailable,
    }

    /// <summary>Whether the load's outcome is known, so that reading blocks no thread.</summary>
    public bool IsLoaded => _availability != Availability.NotLoaded;

    private long KnownVersion => _copy?.Session.Version ?? SessionSnapshot.UnknownVersion;

    private bool OnlyReads => _context is { } context && (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method));

    public void StartLoading()
    {
        _loadFailure = null;
        if (_store.Copies.TryGet(_key, out _copy) && OnlyReads && _store.Copies.MayBeServed(_copy))
        {
            _loaded = _copy.Session;
            _availability = Availability.Available;
            return;
        }

        _measuredLoad = Measured.Begin("load session", _store.Metrics.LoadDuration);
        try
        {
            _reply = _store.Hash.StartLoad(_key, _idleTimeout, KnownVersion);
        }
        catch (Exception exception)
        {
            // The client throws at once where it knows that there is no connection; readers meet that where they wait.
            _reply = new SessionHash.LoadReply(Task.FromException<RedisResult>(exception), null);
        }
    }

    /// <summary>Throws when the session cannot be read; the caller is expected to handle that. Asking again tries again.</summary>
    public Task LoadAsync(CancellationToken cancellationToken = default) =>
        IsLoaded ? Task.CompletedTask : LoadSlowAsync(cancellationToken);

    /// <summary>Waits for the load as <see cref="LoadAsync"/> does, but leaves a failure to whoever reads the session.</summary>
    public async Task PreloadAsync()
    {
        try
        {
            await LoadAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            _loadFailure ??= exception;
        }
    }

    private async Task LoadSlowAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_reply is null || _loadFailure is not null)
        {
            StartLoading();
            if (IsLoaded)
            {
                return;
            }
        }

        try
        {
            await ReplyAsync(_reply!.Value, cancellationToken).ConfigureAwait(false);
            _measuredLoad.End(_store.Metrics.LoadDuration);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The caller's own wish: the reply still comes, and another reader may wait for it.
            throw;
        }
        catch (TimeoutException exception) when (exception is not RedisTimeoutException)
        {
            _loadFailure = exception;
            _measuredLoad.End(_store.Metrics.LoadDuration, exception);
            _store.Logger.SessionLoadingTimeout();
            throw new OperationCanceledException("Timed out loading the session.", exception);
        }
        catch (Exception exception)
        {
            _loadFailure = exception;
            _measuredLoad.End(_store.Metrics.LoadDuration, exception);
            throw;
        }
    }

    private async Task ReplyAsync(SessionHash.LoadReply reply, CancellationToken cancellationToken)
    {
        try
        {
            var fields = reply.Fields is null ? null : await WithinIOTimeout(reply.Fields, cancellationToken).ConfigureAwait(false);
            Accept(await WithinIOTimeout(reply.Script, cancellationToken).ConfigureAwait(false), fields);
            await AskFormerStoreAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (RedisScript.IsMissing(exception))
        {
            var retry = _store.Hash.RetryLoadAsync(_key, _idleTimeout, KnownVersion);
            _reply = new SessionHash.LoadReply(retry, null);
            Accept(await WithinIOTimeout(retry, cancellationToken).ConfigureAwait(false), null);
            await AskFormerStoreAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask AskFormerStoreAsync(CancellationToken cancellationToken)
    {
        if (_store.Former is not { } former || (_loaded is not null && !former.IsStillUsed))
        {
            return;
        }

        // Not available before that is known, for a reader in between would take the session for empty.
        _availability = Availability.NotLoaded;
        Import(await WithinIOTimeout(former.FindAsync(_secret, _loaded is not null), cancellationToken).ConfigureAwait(false));
        _availability = Availability.Available;
    }

    /// <summary>What came from elsewhere is a change of this request, so that its commit stores it.</summary>
    private void Import(FormerSession? former)
    {
        if (former is null)
        {
            return;
        }

        var delta = Change();
        if (former.Replaces && _loaded is not null)
        {
            delta.Clear();
        }

        delta.Creates = true;
        former.CopyTo(delta.Fields);
        _tellFormerStore = true;
    }

    /// <summary>
    /// The client gives up by itself after its own timeout, so a longer one needs no timer here; with the defaults a
    /// request creates none.
    /// </summary>
    private Task<T> WithinIOTimeout<T>(Task<T> reply, CancellationToken cancellationToken)
    {
        var clientTimeout = _store.Hash.Connection.ReplyTimeoutMilliseconds;
        var needsTimer = _ioTimeout != Timeout.InfiniteTimeSpan && (clientTimeout == 0 || _ioTimeout.TotalMilliseconds < 2 * clientTimeout);
        if (reply.IsCompleted || (!needsTimer && !cancellationToken.CanBeCanceled))
        {
            return reply;
        }

        return reply.WaitAsync(needsTimer ? _ioTimeout : Timeout.InfiniteTimeSpan, _store.Hash.Timeouts.Clock, cancellationToken);
    }

    /// <summary>What every synchronous member starts with. Never throws: a session that cannot be read is unavailable.</summary>
    private void EnsureLoaded()
    {
        if (!IsLoaded)
        {
            LoadBlocking();
        }
    }

    private void LoadBlocking()
    {
        try
        {
            if (_loadFailure is { } failure)
            {
                // Somebody waited already; waiting once more would only make the page slower.
                ExceptionDispatchInfo.Throw(failure);
            }

            if (_reply is null)
            {
                StartLoading();
                if (IsLoaded)
                {
                    return;
                }
            }

            WaitForReply(_reply!.Value);
            if (_store.Former is { } former && (_loaded is null || former.IsStillUsed))
            {
                Import(former.Find(_secret, _loaded is not null));
            }

            _measuredLoad.End(_store.Metrics.LoadDuration);
        }
        catch (Exception exception)
        {
            _availability = Availability.Unavailable;
            if (_loadFailure is null)
            {
                _measuredLoad.End(_store.Metrics.LoadDuration, exception);
            }

            _store.Logger.SessionReadException(_id, exception);
        }
    }

    private void WaitForReply(SessionHash.LoadReply reply)
    {
        try
        {
            if (!reply.Last.Wait(_ioTimeout))
            {
                throw new TimeoutException("Timed out loading the session.");
            }

            // Redis answers in order, but a script that failed to be sent has no place in that order.
            reply.Script.Wait(_ioTimeout);
            Accept(reply.Script.GetAwaiter().GetResult(), reply.Fields?.GetAwaiter().GetResult());
        }
        catch (AggregateException exception) when (exception.InnerException is { } inner)
        {
            if (!RedisScript.IsMissing(inner))
            {
                ExceptionDispatchInfo.Throw(inner);
            }

            Accept(_store.Hash.RetryLoad(_key, _idleTimeout, KnownVersion), null);
        }
    }

    private void Accept(RedisResult reply, HashEntry[]? fields)
    {
        var due = false;
        if (reply.Length >= 0)
        {
            due = reply.Length % 2 == 1;
            AcceptFields(_store.Hash.Parse(_key, reply));
        }
        else if ((long)reply != SessionScripts.Missing && fields is { Length: > 0 })
        {
            due = (long)reply == SessionScripts.UnchangedAndDue;
            AcceptFields(_store.Hash.Parse(_key, fields));
        }
        else if ((long)reply != SessionScripts.Missing && fields is null)
        {
            due = (long)reply == SessionScripts.UnchangedAndDue;
            _loaded = _copy!.Session;
            _store.Copies.Validated(_copy);
            _store.Metrics.CopyHits.Add(1);
        }
        else
        {
            _store.Copies.Remove(_key);
            _store.Metrics.Missing.Add(1);
            _store.Logger.AccessingExpiredSession(_id);
        }

        _availability = Availability.Available;
        if (_loaded is { } loaded)
        {
            _store.Metrics.Loaded.Add(1);
            _store.Logger.SessionLoaded(_id, loaded.Fields.Count);
            TellAddOns(due);
        }
    }

    private void TellAddOns(bool due)
    {
        foreach (var addOn in _store.AddOns)
        {
            addOn.Loaded(this);
        }

        // One of them may have found that the session is not this browser's.
        if (due && _loaded is not null)
        {
            foreach (var addOn in _store.AddOns)
            {
                addOn.HeartbeatDue(this);
            }
        }
    }

    private void AcceptFields(SessionSnapshot session)
    {
        _loaded = session;
        _store.Copies.Set(_key, session);
        _store.Metrics.CopyMisses.Add(1);
    }
}
