using System.Runtime.ExceptionServices;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <summary>
/// One load, sent when it is made, or where a copy may do, by whoever first finds that it may not. Whoever comes first waits for what is pending, or awaits it, and then ends it, as often as
/// something is pending.
/// <para>
/// Where sessions may come from a former store, the load also moves them: what is found is written to a hash, but only if
/// there is none (or, while old servers still write, none other than was read), and only then is the former store told. If
/// it says that somebody took the session, or ended it, in between, what was written is withdrawn, so that a slow request never
/// brings back what was destroyed, nor puts old values over newer ones.
/// </para>
/// </summary>
internal sealed class SessionLoad
{
    private readonly RedisSessionStore _store;
    private readonly SessionIdentity _identity;
    private readonly TimeSpan _idle;
    private Measured _measured;
    private Task<IDatabase>? _connecting;
    private IDatabase? _database;
    private SessionRead? _read;
    private ReadReply _reply;
    private FormerQuery? _query;
    private FormerSession? _found;
    private SessionDelta? _imported;
    private RedisScript.Call? _import;
    private long _importedVersion;
    private bool _importCreated;
    private FormerConfirmation? _confirmation;
    private RedisScript.Call? _withdrawal;
    private bool _isMeasured;
    private bool _hasEnded;

    public SessionLoad(RedisSessionStore store, SessionIdentity identity, TimeSpan idle)
    {
        _store = store;
        _identity = identity;
        _idle = idle;
    }

    /// <summary>Sends it, unless it has been sent.</summary>
    public void Send()
    {
        if (IsSent)
        {
            return;
        }

        IsSent = true;
        _store.Copies.TryGet(_identity.Key, out var copy);
        Copy = copy;
        _measured = Measured.Begin("load session", _store.Metrics.LoadDuration, copy is null ? "HGETALL" : "HGET", _store.Connection);
        try
        {
            if (_store.Connection.Database is { } database)
            {
                Read(database, copy);
            }
            else
            {
                _connecting = _store.Connection.GetDatabaseAsync().AsTask();
                _connecting.Observe();
            }
        }
        catch (Exception exception)
        {
            // The client throws at once where it knows that there is no connection; readers meet that where they wait.
            Fail(exception);
        }
    }

    /// <summary>A load that failed before it was sent.</summary>
    public SessionLoad(RedisSessionStore store, SessionIdentity identity, Exception failure)
    {
        _store = store;
        _identity = identity;
        Failure = failure;
        IsSent = true;
    }

    /// <summary>Whether Redis was asked, or is being asked.</summary>
    public bool IsSent { get; private set; }

    /// <summary>The copy that was at hand.</summary>
    public SessionCopy? Copy { get; private set; }

    /// <summary>What was known when it was sent.</summary>
    public CopyTicket Ticket { get; private set; }

    /// <summary>Why it failed; null while it has not.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Whether it failed while only the library waited: the application is to meet that once, without waiting again.</summary>
    public bool IsUnmet { get; set; }

    /// <summary>Whether the failure is in the log already.</summary>
    public bool IsLogged { get; set; }

    /// <summary>A task of the client's own on a live connection.</summary>
    public Task Pending =>
        _withdrawal?.Pending ?? _confirmation?.Pending ?? _import?.Pending ?? _query?.Pending ?? _read?.Pending ?? (Task?)_connecting ?? Task.CompletedTask;

    public void Fail(Exception exception)
    {
        Failure = exception;
        Measure(exception);
    }

    /// <returns>False if something is pending.</returns>
    public bool TryEnd(out ReadReply reply)
    {
        reply = default;
        if (Failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        Send();
        while (!_hasEnded && Pending.IsCompleted)
        {
            _hasEnded = Advance();
        }

        if (_hasEnded)
        {
            reply = _reply;
            Measure(null);
        }

        return _hasEnded;
    }

    /// <summary>Takes what has arrived, and sends the next step.</summary>
    /// <returns>Whether that was the last.</returns>
    private bool Advance()
    {
        if (_withdrawal is { } withdrawal)
        {
            if (withdrawal.TryEnd(out _))
            {
                _withdrawal = null;
                Read(_database!, copy: null);
            }

            return false;
        }

        if (_confirmation is { } confirmation)
        {
            return confirmation.TryEnd(out var wasThere) && !Withdraws(wasThere);
        }

        if (_import is { } import)
        {
            if (import.TryEnd(out var reply))
            {
                Imported(CommitScript.Reply(reply, _importedVersion));
            }

            return false;
        }

        if (_query is { } query)
        {
            _query = null;
            _found = query.End(_reply.Session is not null);
            if (_found is null)
            {
                return true;
            }

            Import(_found);
            return false;
        }

        if (_read is { } read)
        {
            if (!read.TryEnd(out _reply))
            {
                return false;
            }

            _read = null;
            if (_store.FormerOf(_identity) is not { } former || _reply.IsForged || (_reply.Session is not null && !former.IsStillUsed))
            {
                return true;
            }

            _query = former.BeginFind(_database!, _identity.Secret);
            return false;
        }

        var connecting = _connecting ?? throw new InvalidOperationException("The load has ended.");
        _connecting = null;
        Read(connecting.GetAwaiter().GetResult(), Copy);
        return false;
    }

    private void Read(IDatabase database, SessionCopy? copy)
    {
        _database = database;
        Ticket = _store.Copies.Expect(_identity.Key);
        _read = _store.Hash.BeginRead(database, _identity.Key, copy);
    }

    private void Import(FormerSession found)
    {
        var delta = _imported = new SessionDelta { Creates = true };
        if (found.Replaces && _reply.Session is not null)
        {
            delta.Clear();
        }

        found.CopyTo(delta.Fields);
        (_import, _importedVersion) = _store.Hash.BeginCommit(
            _database!, new CommitRequest(_identity.Key, delta, Expected.Exactly(_reply.Session), _idle) { Known = _reply.Session });
    }

    private void Imported(CommitReply reply)
    {
        _import = null;
        if (reply.Outcome != CommitOutcome.Done)
        {
            // Somebody else was faster: what there is counts.
            Read(_database!, copy: null);
            return;
        }

        var session = SessionSnapshot.Applied(reply.Version, reply.CreatedAt, _reply.Session, _imported!);
        var idle = _store.Timeouts.IdleOf(session, _idle);
        _reply = new ReadReply(session, idle + TimeSpan.FromMilliseconds(_store.Timeouts.PrecisionOf(idle)), IsCopy: false);
        _importCreated = reply.Replaced == SessionSnapshot.NoVersion;
        _confirmation = _store.Former!.BeginConfirm(_database!, _identity.Secret, _identity.Id, _found!, session, _idle);
    }

    /// <returns>Whether what was imported is being withdrawn.</returns>
    private bool Withdraws(bool wasThere)
    {
        _confirmation = null;
        if (wasThere || !_importCreated)
        {
            return false;
        }

        _withdrawal = _store.Hash.BeginWithdraw(_database!, _identity.Id, _reply.Session!.CreatedAt);
        return true;
    }

    private void Measure(Exception? failure)
    {
        if (!_isMeasured)
        {
            _isMeasured = true;
            _measured.End(_store.Metrics.LoadDuration, failure);
        }
    }
}
