using System.Runtime.ExceptionServices;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

// What is to be had once: read and removed in one step, on the server, so that of all requests of all servers one gets it.
internal sealed partial class RedisSession
{
    /// <summary>
    /// Takes a value out of the session at once, not with the commit. Where the request sees none nobody is asked; and what it set itself, and has not committed, nobody else
    /// can have.
    /// </summary>
    public async Task<byte[]?> TakeAsync(string key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        await LoadAsync(cancellationToken).ConfigureAwait(false);
        key = FieldNames.Normalize(key);
        if (!_content.TryGet(key, out var value))
        {
            return null;
        }

        if (_content.IsOwn(key))
        {
            if (_failedCommit is { IsOutcomeUnknown: true } failed)
            {
                // It may be there, for others to take.
                ExceptionDispatchInfo.Throw(failed.Exception);
            }
        }
        else if (_state.Kind == SessionStateKind.Gone)
        {
            // Others may have had it before the session ended.
            _content.Lose(key);
            return null;
        }
        else if (_state.Stored is { } stored)
        {
            return await TakeStoredAsync(key, stored, cancellationToken).ConfigureAwait(false);
        }

        _content.Remove(key);
        AwaitResponse();
        return value.AsSpan().ToArray();
    }

    private async Task<byte[]?> TakeStoredAsync(string key, SessionSnapshot stored, CancellationToken cancellationToken)
    {
        // While its id changes the session is under the old one, too, and that is the one that others know. What was taken there goes with the next commit from under the new one.
        var move = _move;
        var (identity, known) = move is null ? (_identity, stored) : (move.From, move.Departed);
        var (from, fence) = (identity.Key, FenceOf(identity));
        var durable = await DurableWrites.BeginAsync(_store.Durability.Commits).ConfigureAwait(false);
        var (deadline, ticket, copy) = (NewDeadline(), _store.Copies.Expect(from), _store.Copies.Find(from, known));
        TakeReply reply;
        try
        {
            reply = await deadline.WaitAsync(_store.Hash.TakeAsync(from, key, known, _idleTimeout, fence), cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException exception) when (exception is not RedisTimeoutException)
        {
            throw new OperationCanceledException("Timed out taking a value out of the session.", exception);
        }

        if (reply.Commit.Outcome == CommitOutcome.TurnLost)
        {
            throw new ExclusiveSessionLostException();
        }

        if (move is not null)
        {
            _store.Copies.Remove(from);
            _content.Remove(key);
            AwaitResponse();
        }
        else
        {
            await TakenAsync(key, stored, reply.Commit, ticket, copy, deadline, cancellationToken).ConfigureAwait(false);
        }

        if (durable is not null && reply.Value is not null)
        {
            await ReachReplicasAsync(durable, from).ConfigureAwait(false);
        }

        return reply.Value;
    }

    private async Task TakenAsync(
        string key, SessionSnapshot stored, CommitReply reply, CopyTicket? ticket, SessionCopy? copy, IODeadline deadline, CancellationToken cancellationToken)
    {
        switch (reply.Outcome)
        {
            case CommitOutcome.Done:
                var taken = new SessionDelta();
                taken.Remove(key);
                var commit = new SessionCommit(taken, taken.AppliedTo(stored.Fields), stored);
                _content.Lose(key);
                AcceptCommit(commit, reply, ticket, reply.Replaced == stored.Version, copy);
                await TellFormerStoreAsync(deadline, cancellationToken).ConfigureAwait(false);
                break;
            case CommitOutcome.Missing:
                Gone();
                _content.Lose(key);
                break;
            default:
                // Somebody else was faster.
                _content.Lose(key);
                _store.Copies.Remove(_identity.Key);
                break;
        }
    }
}
