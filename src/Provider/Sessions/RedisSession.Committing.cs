using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using RedisSessions.Diagnostics;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

// A changed session is committed when the response is about to start, so that the next request sees the change whichever
// server answers it, and once more by SessionMiddleware at the end of the request for what changed since.
internal sealed partial class RedisSession
{
    // Of a 64-bit number in decimal, sign included.
    private const int MaxNumberLength = 20;

    private bool _willBeCalledBeforeResponse;
    private bool _tellFormerStore;
    private Exception? _failureBeforeResponse;

    /// <summary>The session may not be stored: what it holds is there for this request only.</summary>
    private bool _keptInMemory;

    /// <summary>The session was destroyed while this request held it: nothing that the request does may bring it back.</summary>
    private bool _gone;

    public bool IsGone => _gone;

    private void CallBeforeResponse()
    {
        if (!_willBeCalledBeforeResponse && _context is { Response.HasStarted: false } context)
        {
            _willBeCalledBeforeResponse = true;
            context.Response.OnStarting(static session => ((RedisSession)session).BeforeResponseAsync(), this);
        }
    }

    private async Task BeforeResponseAsync()
    {
        try
        {
            await CommitAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // The response goes out all the same, as with the in-box session. Thrown, and so logged once, by the commit at
            // the end of the request.
            _failureBeforeResponse = exception;
        }

        WriteCookie();
    }

    /// <summary>Writes what changed since the last commit; no round trip if nothing did. After a failure the changes are kept.</summary>
    public Task CommitAsync(CancellationToken cancellationToken = default) =>
        _delta is null or { IsEmpty: true } || _keptInMemory ? Task.CompletedTask : CommitSlowAsync(cancellationToken);

    private async Task CommitSlowAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_failureBeforeResponse is { } failure)
        {
            _failureBeforeResponse = null;
            if (failure is not RedisConnectionException)
            {
                // Redis may have applied the change and was too slow to say so; a second wait would not make it clearer.
                ExceptionDispatchInfo.Throw(failure);
            }
        }

        var delta = _delta!;
        if (_gone || (_loaded is null && !delta.Creates && !SetsAnything(delta)))
        {
            _delta = null;
            return;
        }

        if (_loaded is null && !await MayCreateAsync().ConfigureAwait(false))
        {
            _keptInMemory = true;
            return;
        }

        _delta = null;

        foreach (var addOn in _store.AddOns)
        {
            addOn.Committing(this, delta);
        }

        var measured = Measured.Begin("commit session", _store.Metrics.CommitDuration);
        try
        {
            var commit = _store.Hash.CommitAsync(_key, delta, _idleTimeout, _loaded);
            Accept(delta, await WithinIOTimeout(commit, cancellationToken).ConfigureAwait(false));
            await TellFormerStoreAsync().ConfigureAwait(false);
            measured.End(_store.Metrics.CommitDuration);
        }
        catch (Exception exception)
        {
            measured.End(_store.Metrics.CommitDuration, exception);
            if (_delta is { } since)
            {
                delta.Add(since);
            }

            _delta = delta;
            if (exception is TimeoutException and not RedisTimeoutException)
            {
                _store.Logger.SessionCommitTimeout();
                throw new OperationCanceledException("Timed out committing the session.", exception);
            }

            throw;
        }
    }

    /// <summary>
    /// After the hash, so that a crash in between loses nothing. What others committed meanwhile is in the hash alone, and
    /// is read from there.
    /// </summary>
    private async Task TellFormerStoreAsync()
    {
        if (_store.Former is not { } former || _gone || _loaded is null || !(_tellFormerStore || former.IsStillUsed))
        {
            return;
        }

        var session = _loaded;
        if (former.IsStillUsed && session.Version == SessionSnapshot.UnknownVersion)
        {
            var reply = await _store.Hash.EvaluateAsync(SessionScripts.Read, _key, []).ConfigureAwait(false);
            session = reply.Length < 0 ? session : _store.Hash.Parse(_key, reply[1]);
        }

        await former.CommittedAsync(_secret, _id, session, _idleTimeout).ConfigureAwait(false);
        _tellFormerStore = false;
    }

    private void Accept(SessionDelta delta, SessionHash.Committed? outcome)
    {
        if (outcome is not { } committed)
        {
            Gone();
            return;
        }

        var isNew = _loaded is null;
        _loaded = SessionSnapshot.Apply(_loaded, delta, committed);
        _store.Copies.Set(_key, _loaded);
        _store.Metrics.Committed.Add(1);
        if (isNew)
        {
            _store.Metrics.Created.Add(1);
            _store.Logger.SessionStarted(_id);
            foreach (var addOn in _store.AddOns)
            {
                addOn.Created(this);
            }
        }

        _store.Logger.SessionStored(_id, delta.Fields.Count);
    }

    private async ValueTask<bool> MayCreateAsync()
    {
        foreach (var addOn in _store.AddOns)
        {
            if (!await addOn.MayCreateAsync(this).ConfigureAwait(false))
            {
                return false;
            }
        }

        return true;
    }

    private void Gone()
    {
        _gone = true;
        _store.Copies.Remove(_key);
        _store.Metrics.Dropped.Add(1);
        _store.Logger.SessionGoneAtCommit(_id);
    }

    private static bool SetsAnything(SessionDelta delta)
    {
        foreach (var value in delta.Fields.Values)
        {
            if (value is not null)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Adds on the server, so that no increment of any server is lost, and shows the sum here at once. What this request
    /// changed before goes first, because the sum must build on it.
    /// </summary>
    public async Task<long> IncrementAsync(string key, long by, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        await LoadAsync(cancellationToken).ConfigureAwait(false);
        if (!IsAvailable)
        {
            throw new InvalidOperationException("The session is unavailable.");
        }

        key = FieldNames.Normalize(key);
        foreach (var addOn in _store.AddOns)
        {
            addOn.Setting(this, key, MaxNumberLength);
        }

        Establish();
        if (_loaded is null)
        {
            // Created like any other session, with what add-ons put into it.
            Change().Creates = true;
        }

        await CommitAsync(cancellationToken).ConfigureAwait(false);
        if (_keptInMemory)
        {
            var sum = long.Parse(Find(key) ?? "0"u8.ToArray(), CultureInfo.InvariantCulture) + by;
            Change().Fields[key] = Encoding.UTF8.GetBytes(sum.ToString(CultureInfo.InvariantCulture));
            return sum;
        }

        SessionHash.Incremented? outcome = null;
        if (!_gone)
        {
            outcome = await WithinIOTimeout(_store.Hash.IncrementAsync(_key, key, by, _idleTimeout, _loaded), cancellationToken).ConfigureAwait(false);
            if (outcome is null)
            {
                Gone();
            }
        }

        if (outcome is not { } incremented)
        {
            throw new InvalidOperationException("The session was destroyed while this request held it.");
        }

        var change = new SessionDelta();
        change.Fields[key] = incremented.Value;
        Accept(change, incremented.Committed);
        await TellFormerStoreAsync().ConfigureAwait(false);
        return long.Parse(incremented.Value, CultureInfo.InvariantCulture);
    }
}
