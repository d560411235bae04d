using System.Runtime.ExceptionServices;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <summary>
/// One load, sent when it is made, or where a copy may do, by whoever first finds that it may not. With a copy at hand it asks for the version, and reads the session
/// (<see cref="SessionRead"/>) only if that is another; where sessions may come from a former store it looks there, too (<see cref="FormerImport"/>).
/// Whoever comes first waits for what is pending, or awaits it, and then ends it, as often as something is pending.
/// </summary>
internal sealed class SessionLoad
{
    private readonly RedisSession _session;
    private readonly SessionIdentity _identity;
    private Measured _measured;

    // The connection, while there is none; then the version, where it is asked for.
    private Task? _first;
    private IDatabase? _database;
    private SessionRead? _read;
    private FormerImport? _import;
    private bool _isMeasured;
    private bool _hasEnded;

    public SessionLoad(RedisSession session, SessionIdentity identity) => (_session, _identity) = (session, identity);

    /// <summary>A load that failed before it was sent.</summary>
    public SessionLoad(RedisSession session, SessionIdentity identity, Exception failure)
        : this(session, identity)
    {
        Failure = failure;
        IsSent = true;
    }

    private RedisSessionStore Store => _session.Store;

    /// <summary>Whether Redis was asked, or is being asked.</summary>
    public bool IsSent { get; private set; }

    /// <summary>The copy that was at hand.</summary>
    public SessionCopy? Copy { get; private set; }

    /// <summary>What was known when it was sent; null if nobody needs it.</summary>
    public CopyTicket? Ticket { get; private set; }

    /// <summary>Why it failed; null while it has not.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Whether it failed while only the library waited: the application is to meet that once, without waiting again.</summary>
    public bool IsUnmet { get; set; }

    /// <summary>Whether the failure is in the log already.</summary>
    public bool IsLogged { get; set; }

    /// <summary>A task of the client's own on a live connection; but for what failed for a moment (<see cref="Failover"/>): then it is until all is asked again.</summary>
    public Task Pending => _import?.Pending ?? _read?.Pending ?? _first ?? Task.CompletedTask;

    /// <summary>Sends it, unless it has been sent.</summary>
    public void Send()
    {
        if (IsSent)
        {
            return;
        }

        IsSent = true;
        Store.Copies.TryGet(_identity.Key, out var copy);
        Copy = copy;
        _measured = Measured.Begin("load session", Store.Metrics.LoadDuration, copy is null ? "HGETALL" : "HGET", Store.Connection);
        try
        {
            if (Store.Connection.Database is { } database)
            {
                Begin(database);
            }
            else
            {
                var connecting = Store.Connection.GetDatabaseAsync().AsTask();
                connecting.Observe();
                _first = connecting;
            }
        }
        catch (Exception exception)
        {
            // The client throws at once where it knows that there is no connection; readers meet that where they wait.
            Fail(exception);
        }
    }

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
            reply = _import?.Reply ?? _read?.Reply ?? new ReadReply(Copy!.Session, null, IsCopy: true);
            Measure(null);
        }

        return _hasEnded;
    }

    private void Begin(IDatabase database)
    {
        _database = database;
        if (Copy is null)
        {
            Read();
        }
        else
        {
            Ticket = Store.Copies.Expect(_identity.Key);
            _first = database.HashGetAsync(_identity.Key, FieldNames.VersionField);
        }
    }

    private void Read()
    {
        Ticket = Store.Copies.Expect(_identity.Key);
        _read = Store.Hash.BeginRead(_database!, _identity.Key);
        (_first, _import) = (null, null);
    }

    /// <summary>Takes what has arrived, and sends the next step.</summary>
    /// <returns>Whether that was the last.</returns>
    private bool Advance()
    {
        if (_import is { } import)
        {
            var step = import.Advance();
            if (step == FormerImport.Step.ReadAgain)
            {
                Read();
            }

            return step == FormerImport.Step.Ended;
        }

        if (_read is { } read)
        {
            return read.TryEnd(out var reply) && IsAll(reply);
        }

        switch (_first)
        {
            case Task<IDatabase> connecting:
                Begin(connecting.GetAwaiter().GetResult());
                return false;
            case Task<RedisValue> version:
                return IsCurrent(version) && IsAll(new ReadReply(Copy!.Session, null, IsCopy: true));
            default:
                throw new InvalidOperationException("The load has ended.");
        }
    }

    /// <summary>Whether the copy at hand is what Redis holds. If not, or if that could not be asked for a moment, everything is read.</summary>
    private bool IsCurrent(Task<RedisValue> version)
    {
        try
        {
            if (SessionRead.VersionOf(version.GetAwaiter().GetResult()) == Copy!.Session.Version)
            {
                return true;
            }

            Read();
        }
        catch (Exception exception) when (Store.Hash.BeginReadAfter(exception, _database!, _identity.Key) is { } read)
        {
            _read = read;
        }

        return false;
    }

    /// <summary>Whether what Redis holds is all that there is; else a former store is asked.</summary>
    private bool IsAll(ReadReply reply)
    {
        if (Store.FormerOf(_identity) is not { } former || reply.IsForged || (reply.Session is not null && !former.IsStillUsed))
        {
            return true;
        }

        (_first, _read) = (null, null);
        _import = new FormerImport(Store, former, _identity, _session.SitesIdleTimeout, _database!, reply);
        return false;
    }

    private void Measure(Exception? failure)
    {
        if (!_isMeasured)
        {
            _isMeasured = true;
            _measured.End(Store.Metrics.LoadDuration, failure);
        }
    }
}
