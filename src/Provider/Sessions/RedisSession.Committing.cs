using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

// A changed session is committed when the response is about to start, so that the next request sees the change whichever
// server answers it, and once more by SessionMiddleware at the end of the request for what changed since. A commit that failed
// keeps its changes; one that was refused, or whose outcome is unknown, is not tried twice. Where there is nothing to be stored but what the library
// noted by the way, and Redis is away for a moment, that is left to the next request.
internal sealed partial class RedisSession
{
    // Of a 64-bit number in decimal, sign included.
    private const int MaxNumberLength = 20;

    private bool NeedsCommit => _state.Kind switch
    {
        SessionStateKind.New or SessionStateKind.Absent => _content.WouldCreate,
        SessionStateKind.Loaded => _content.HasChanges || _move is { IsWritten: false },
        _ => false,
    };

    /// <summary>Writes what changed since the last commit; no round trip if nothing did. After a failure the changes are kept.</summary>
    public Task CommitAsync(CancellationToken cancellationToken = default) =>
        _turn is null ? CommitUnlessUnchangedAsync(cancellationToken) : CommitInTurnAsync(cancellationToken);

    private async Task CommitInTurnAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CommitUnlessUnchangedAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            EndTurn();
        }
    }

    private Task CommitUnlessUnchangedAsync(CancellationToken cancellationToken)
    {
        if (NeedsCommit)
        {
            return CommitSlowAsync(cancellationToken);
        }

        if (_state.Load is { Failure: null } load)
        {
            return LeaveUnread(load);
        }

        return Task.CompletedTask;
    }

    private async Task CommitSlowAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_failedCommit is { IsFinal: true } failed && failed.Changes == _content.Changes)
        {
            if (failed.IsUnmet)
            {
                AbortUnfinishedResponse();
            }

            ExceptionDispatchInfo.Throw(failed.Exception);
        }

        _failedCommit = null;
        var durable = await DurableWrites.BeginAsync(IsUpkeep ? null : IsSigningIn ? _store.Durability.SignIns : _store.Durability.Commits).ConfigureAwait(false);
        var measured = Measured.Begin("commit session", _store.Metrics.CommitDuration, "EVALSHA", _store.Connection);
        Exception? refusal = null;
        CommitOutcome outcome;
        try
        {
            outcome = await CommitAsync(NewDeadline(), cancellationToken).ConfigureAwait(false);
            refusal = outcome switch
            {
                CommitOutcome.TooLarge when IsTenantsLimit => TooLargeForTenant(),
                CommitOutcome.TooManyFields or CommitOutcome.TooLarge => _store.AddOns.Refused(this, outcome),
                CommitOutcome.TurnLost => new ExclusiveSessionLostException(),
                _ => null,
            };
            if (refusal is not null)
            {
                throw refusal;
            }

            measured.End(_store.Metrics.CommitDuration);
        }
        catch (Exception exception)
        {
            measured.End(_store.Metrics.CommitDuration, exception);
            if (exception is OperationCanceledException && cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            if (IsUpkeep && Failover.MayRepeat(exception))
            {
                LeaveUpkeep(exception);
                return;
            }

            var failure = exception;
            if (exception is TimeoutException and not RedisTimeoutException)
            {
                _store.Logger.SessionCommitTimeout();
                failure = new OperationCanceledException("Timed out committing the session.", exception);
            }

            _failedCommit = new FailedCommit(failure, _content.Changes, ReferenceEquals(exception, refusal));
            AbortUnfinishedResponse();
            if (ReferenceEquals(failure, exception))
            {
                throw;
            }

            throw failure;
        }

        if (durable is not null && outcome == CommitOutcome.Done)
        {
            await ReachReplicasAsync(durable, _identity.Key).ConfigureAwait(false);
        }
    }

    /// <summary>Whether all that is to be stored is what the library noted by itself: neither the page nor its visitor would miss it.</summary>
    private bool IsUpkeep => _content.IsUpkeep && _move is null or { IsWritten: true };

    /// <summary>It could not be stored for a moment: the page goes out, and the next request sees to it.</summary>
    private void LeaveUpkeep(Exception failure)
    {
        // Whether it was stored or not: where it was, nobody sends the cookie again for a while.
        _promisedCookieEnd = SessionSnapshot.TimeOf(_content.GetMetadata(FieldNames.CookieEnds)) ?? 0;
        _content.ForgetUpkeep();
        _store.Logger.SessionUpkeepNotStored(_identity.Id, failure);
    }

    /// <summary>Whether the next commit makes the session a user's, or another sign-in's.</summary>
    private bool IsSigningIn => _content.GetMetadata(FieldNames.SignInNumber) is { } number && number != _state.Stored?.GetMetadata(FieldNames.SignInNumber);

    /// <summary>What was changed is changed, and its changes are not kept to be made again; but whoever made them is told where it could be lost yet.</summary>
    private async Task ReachReplicasAsync(DurableChange durable, string key)
    {
        try
        {
            await durable.EndAsync(key).ConfigureAwait(false);
        }
        catch (SessionNotReplicatedException)
        {
            AbortUnfinishedResponse();
            throw;
        }
    }

    private async Task<CommitOutcome> CommitAsync(IODeadline deadline, CancellationToken cancellationToken)
    {
        if (_state.Stored is null
            && !await deadline.WaitAsync(_store.AddOns.MayCreateAsync(this).AsTask(), cancellationToken).ConfigureAwait(false))
        {
            _state = SessionState.InMemory;
            return CommitOutcome.Missing;
        }

        _store.AddOns.Committing(this, _content.Delta);
        var commit = _content.BeginCommit(isElsewhere: _move is { IsWritten: false });
        try
        {
            if (_move is { IsWritten: false } move)
            {
                // Whole, and to where nobody else writes: what it holds was counted as it was set.
                return await WriteMovedAsync(move, commit, deadline, cancellationToken).ConfigureAwait(false);
            }

            return await WriteDeltaAsync(commit, deadline, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _content.PutBack(commit);
            throw;
        }
    }

    /// <summary>What add-ons sent before a commit that creates the session may be lost with it, and is to be there before it all the same.</summary>
    Task IBeforeAgain.SendAsync() => _store.AddOns.CommittingAgainAsync(this);

    private async Task<CommitOutcome> WriteDeltaAsync(SessionCommit commit, IODeadline deadline, CancellationToken cancellationToken)
    {
        var ticket = _store.Copies.Expect(_identity.Key);
        var (expected, copy) = commit.Before is { } loaded ? (Expected.Session(loaded), _store.Copies.Find(_identity.Key, loaded)) : (Expected.Anything, null);
        var isFresh = copy is not null && copy.NextSlide > _store.Timeouts.Now && !_store.Timeouts.IsOver(copy.Session);
        var reply = await deadline.WaitAsync(
            _store.Hash.CommitAsync(new CommitRequest(_identity.Key, commit.Delta, expected, _idleTimeout)
            {
                CreatedAt = commit.Before is null ? CreatesAt : null,
                Bound = BoundOf(commit),
                Known = commit.Before,
                IsFresh = isFresh,
                Reused = ReusedId,
                Before = commit.Before is null ? this : null,
                Turn = Fence,
            }),
            cancellationToken).ConfigureAwait(false);
        if (reply.Outcome != CommitOutcome.Done)
        {
            _content.PutBack(commit);
            if (reply.Outcome == CommitOutcome.Missing)
            {
                Gone();
            }

            return reply.Outcome;
        }

        _move?.Own.Add(commit.Delta);
        AcceptCommit(commit, reply, ticket, reply.Replaced == (commit.Before?.Version ?? SessionSnapshot.NoVersion), copy);
        await TellFormerStoreAsync(deadline, cancellationToken).ConfigureAwait(false);
        return CommitOutcome.Done;
    }

    /// <summary>A value that could not be read was not counted, either.</summary>
    private CommitBound? BoundOf(SessionCommit commit) => _store.Limits is { } limits
        ? new CommitBound(limits, commit.Before is { IsPartial: true } ? SessionSnapshot.UnknownVersion : commit.Before?.Version ?? SessionSnapshot.NoVersion)
        : null;

    /// <param name="commit">The commit.</param>
    /// <param name="reply">What it came to.</param>
    /// <param name="ticket">What was known when it was sent.</param>
    /// <param name="isKnown">Whether nobody else changed the session in between, so that what the request sees is all there is.</param>
    /// <param name="before">The copy of the version before; null if there was none.</param>
    private void AcceptCommit(SessionCommit commit, CommitReply reply, CopyTicket? ticket, bool isKnown, SessionCopy? before = null)
    {
        var session = commit.After(isKnown ? reply.Version : SessionSnapshot.NoVersion, reply.CreatedAt);
        _state = SessionState.Loaded(session);
        _content.EndCommit(session);
        _promisedCookieEnd = 0;
        if (isKnown)
        {
            // A session that changes with every request has its heartbeat all the same: no commit puts that off.
            var nextSlide = Math.Min(_store.Timeouts.NextSlide(session, _idleTimeout, _store.AddOns.HeartbeatInterval), before?.NextSlide ?? long.MaxValue);
            var life = reply.KeepsLife && ticket is { At: var at } ? TimeSpan.FromMilliseconds(before!.Expires - at) : _store.Timeouts.IdleOf(session, _idleTimeout);
            _store.Copies.Set(_identity.Key, session, nextSlide, life, ticket);
        }
        else
        {
            _store.Copies.Remove(_identity.Key);
        }

        _store.Metrics.Committed.Add(1);
        var created = commit.Before is null && reply.Replaced == SessionSnapshot.NoVersion;
        if (created)
        {
            _store.Metrics.Created.Add(1);
            _store.Logger.SessionStarted(_identity.Id);
        }

        _store.Logger.SessionStored(_identity.Id, commit.Delta.Fields.Count);
        _store.AddOns.Committed(this, commit.Delta, created);
    }

    /// <summary>
    /// After the hash, so that a crash in between loses nothing. What others committed meanwhile is in the hash alone, and
    /// is read from there.
    /// </summary>
    /// <param name="deadline">How long it may take.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="isKnown">Whether the request may know all that the hash holds.</param>
    private async Task TellFormerStoreAsync(IODeadline deadline, CancellationToken cancellationToken, bool isKnown = true)
    {
        if (_store.FormerOf(_identity) is not { IsStillUsed: true } former || _state.Stored is not { } session)
        {
            return;
        }

        try
        {
            if (!isKnown || session.Version == SessionSnapshot.NoVersion)
            {
                session = (await deadline.WaitAsync(_store.Hash.ReadAsync(_identity.Key), cancellationToken).ConfigureAwait(false)).Session ?? session;
            }

            await deadline.WaitAsync(former.CommittedAsync(_identity.Secret, _identity.Id, session, _idleTimeout), cancellationToken).ConfigureAwait(false);
            if (!await deadline.WaitAsync(_store.Hash.ExistsAsync(_identity.Key), cancellationToken).ConfigureAwait(false))
            {
                // Somebody ended the session in between, and must not meet it again by way of the former store.
                await deadline.WaitAsync(former.RemoveAsync(_identity.Secret), cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (Redis.RedisAway.Explains(exception))
        {
            // The hash has it, and is what counts; old servers see it with the next change.
            _store.Logger.FormerStoreNotWritten(_identity.Id, exception);
        }
    }

    /// <summary>The id, where a session may have ended under it before: it came with the request.</summary>
    private Guid? ReusedId => _state.Stored is null && !_identity.IsNew ? _identity.Id : null;

    /// <summary>
    /// When a session under this id that this request creates was created, Unix milliseconds: the same however often the commit is tried, for one of
    /// which nobody knows whether it came may have come.
    /// </summary>
    public long CreatesAt
    {
        get
        {
            if (!ReferenceEquals(_creation?.Of, _identity))
            {
                _creation = new Creation(_identity, _store.Timeouts.Now);
            }

            return _creation.At;
        }
    }

    private void Gone()
    {
        _lost = new LostSession(_move?.From ?? _identity);
        _state = SessionState.Gone;
        _move = null;
        _store.Copies.Remove(_identity.Key);
        _store.Metrics.Dropped.Add(1);
        _store.Logger.SessionGoneAtCommit(_identity.Id);
    }

    /// <summary>
    /// Adds on the server, so that no increment of any server is lost, and shows the sum here at once. What this request
    /// changed before goes first, because the sum must build on it.
    /// </summary>
    public async Task<long> IncrementAsync(string key, long by, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        await LoadAsync(cancellationToken).ConfigureAwait(false);
        FieldNames.ThrowIfTooLong(key);
        _store.AddOns.Setting(this, key, MaxNumberLength);
        Establish();
        key = FieldNames.Normalize(key);
        if (_state.Kind is SessionStateKind.New or SessionStateKind.Absent)
        {
            // Created like any other session, with what add-ons put into it.
            _content.Delta.Creates = true;
        }

        AwaitResponse();
        await CommitAsync(cancellationToken).ConfigureAwait(false);
        if (_state.Kind == SessionStateKind.InMemory)
        {
            var sum = checked(long.Parse(Peek(key) ?? "0"u8.ToArray(), CultureInfo.InvariantCulture) + by);
            _content.Set(key, Encoding.UTF8.GetBytes(sum.ToString(CultureInfo.InvariantCulture)), Peek(key) is null ? null : _content.ExpiryOf(key));
            return sum;
        }

        if (_state.Stored is { } stored)
        {
            var durable = await DurableWrites.BeginAsync(_store.Durability.Commits).ConfigureAwait(false);
            var (deadline, ticket) = (NewDeadline(), _store.Copies.Expect(_identity.Key));
            IncrementReply reply;
            try
            {
                reply = await deadline.WaitAsync(_store.Hash.IncrementAsync(_identity.Key, key, by, stored, _idleTimeout, Fence), cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException exception) when (exception is not RedisTimeoutException)
            {
                throw new OperationCanceledException("Timed out adding to a number in the session.", exception);
            }

            if (reply.Commit.Outcome == CommitOutcome.Done)
            {
                _move?.Counted.Add(key);
                var isKnown = reply.Commit.Replaced == stored.Version && !_content.HasChanges;
                AcceptCommit(_content.Stored(key, reply.Value, reply.Expires), reply.Commit, ticket, isKnown);
                await TellFormerStoreAsync(deadline, cancellationToken).ConfigureAwait(false);
                if (durable is not null)
                {
                    await ReachReplicasAsync(durable, _identity.Key).ConfigureAwait(false);
                }

                return long.Parse(reply.Value, CultureInfo.InvariantCulture);
            }

            if (reply.Commit.Outcome == CommitOutcome.TurnLost)
            {
                throw new ExclusiveSessionLostException();
            }

            Gone();
        }

        throw new InvalidOperationException("The session was destroyed while this request held it.");
    }
}
