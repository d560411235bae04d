using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <summary>
/// The part of a load that looks into a former store, where sessions may come from one. What is found there is written to a hash, but only if
/// there is none (or, while old servers still write, none other than was read), and only then is the former store told. If
/// it says that somebody took the session, or ended it, in between, what was written is withdrawn, so that a slow request never
/// brings back what was destroyed, nor puts old values over newer ones.
/// </summary>
internal sealed class FormerImport
{
    private readonly RedisSessionStore _store;
    private readonly SessionIdentity _identity;
    private readonly TimeSpan _idle;
    private readonly IDatabase _database;
    private readonly FormerStore _former;
    private FormerQuery? _query;
    private FormerSession? _found;
    private SessionDelta? _imported;
    private RedisScript.Call? _import;
    private long _importedVersion;
    private bool _importCreated;
    private FormerConfirmation? _confirmation;
    private RedisScript.Call? _withdrawal;

    public FormerImport(RedisSessionStore store, FormerStore former, SessionIdentity identity, TimeSpan idle, IDatabase database, ReadReply read)
    {
        (_store, _former, _identity, _idle, _database, Reply) = (store, former, identity, idle, database, read);
        _query = former.BeginFind(database, identity.Secret);
    }

    public enum Step
    {
        /// <summary>Something is pending, or was.</summary>
        Next,

        /// <summary>What is in Redis is another than was read: it counts.</summary>
        ReadAgain,

        /// <summary>The session is in <see cref="Reply"/>.</summary>
        Ended,
    }

    /// <summary>What was read, or then imported.</summary>
    public ReadReply Reply { get; private set; }

    public Task Pending => _withdrawal?.Pending ?? _confirmation?.Pending ?? _import?.Pending ?? _query?.Pending ?? Task.CompletedTask;

    /// <summary>Takes what has arrived, and sends the next step.</summary>
    public Step Advance()
    {
        if (_withdrawal is { } withdrawal)
        {
            return withdrawal.TryEnd(out _) ? Step.ReadAgain : Step.Next;
        }

        if (_confirmation is { } confirmation)
        {
            return confirmation.TryEnd(out var wasThere) && !Withdraws(wasThere) ? Step.Ended : Step.Next;
        }

        if (_import is { } import)
        {
            return import.TryEnd(out var reply) ? Imported(CommitScript.Reply(reply, _importedVersion)) : Step.Next;
        }

        _found = _query!.End(Reply.Session is not null);
        _query = null;
        if (_found is null)
        {
            return Step.Ended;
        }

        Import(_found);
        return Step.Next;
    }

    private void Import(FormerSession found)
    {
        var delta = _imported = new SessionDelta { Creates = true };
        if (found.Replaces && Reply.Session is not null)
        {
            delta.Clear();
        }

        found.CopyTo(delta.Fields);
        (_import, _importedVersion) = _store.Hash.BeginCommit(
            _database, new CommitRequest(_identity.Key, delta, Expected.Exactly(Reply.Session), _idle) { Known = Reply.Session });
    }

    private Step Imported(CommitReply reply)
    {
        _import = null;
        if (reply.Outcome != CommitOutcome.Done)
        {
            // Somebody else was faster.
            return Step.ReadAgain;
        }

        var session = SessionSnapshot.Applied(reply.Version, reply.CreatedAt, Reply.Session, _imported!);
        var idle = _store.Timeouts.IdleOf(session, _idle);
        Reply = new ReadReply(session, idle + TimeSpan.FromMilliseconds(_store.Timeouts.PrecisionOf(idle)), IsCopy: false);
        _importCreated = reply.Replaced == SessionSnapshot.NoVersion;
        _confirmation = _former.BeginConfirm(_database, _identity.Secret, _identity.Id, _found!, session, _idle);
        return Step.Next;
    }

    /// <returns>Whether what was imported is being withdrawn.</returns>
    private bool Withdraws(bool wasThere)
    {
        _confirmation = null;
        if (wasThere || !_importCreated)
        {
            return false;
        }

        _withdrawal = _store.Hash.BeginWithdraw(_database, _identity.Id, Reply.Session!.CreatedAt);
        return true;
    }
}
