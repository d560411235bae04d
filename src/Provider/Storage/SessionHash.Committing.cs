using System.Globalization;
using System.Text;
using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Storage;

// Deltas and sums, sealed or not.
internal sealed partial class SessionHash
{
    /// <summary>Sends a delta.</summary>
    /// <param name="key">The session's key.</param>
    /// <param name="delta">What to change.</param>
    /// <param name="expected">The session that is meant; where there is another, nothing is written.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    /// <param name="createdAt">The creation time if this creates the session, Unix milliseconds; null for now.</param>
    /// <param name="bound">What it may hold afterwards; null for no limit.</param>
    /// <param name="known">The session as the caller knows it; null for none.</param>
    /// <param name="isFresh">Whether the caller knows that its TTL needs no sliding yet.</param>
    /// <param name="reused">The session's id, where a session may have ended under it before; null for an id that nobody had.</param>
    /// <param name="before">What is to be there before a session that this creates, should it be sent again; null for nothing.</param>
    /// <param name="turn">The turn of the request that commits; null for none.</param>
    /// <exception cref="NotSupportedException">A field is to expire by itself, and the server cannot do that; nothing was written.</exception>
    public Task<CommitReply> CommitAsync(
        string key,
        SessionDelta delta,
        Expected expected,
        TimeSpan idle,
        long? createdAt = null,
        CommitBound? bound = null,
        SessionSnapshot? known = null,
        bool isFresh = false,
        Guid? reused = null,
        IBeforeAgain? before = null,
        TurnFence? turn = null)
    {
        var reply = CommitAnyAsync(key, delta, expected, idle, createdAt, bound, known, isFresh, reused, before, turn);
        return delta.Expires ? ExpiringAsync(reply) : reply;
    }

    private async Task<CommitReply> ExpiringAsync(Task<CommitReply> commit)
    {
        try
        {
            return await commit.ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (fieldExpiry.RefusalOf(exception) is { } refusal)
        {
            throw refusal;
        }
    }

    private async Task<CommitReply> CommitAnyAsync(
        string key,
        SessionDelta delta,
        Expected expected,
        TimeSpan idle,
        long? createdAt,
        CommitBound? bound,
        SessionSnapshot? known,
        bool isFresh,
        Guid? reused,
        IBeforeAgain? before,
        TurnFence? turn)
    {
        var (markKey, fresh) = (reused is { } id ? keys.Ended(id) : null, isFresh ? known : null);
        if (_codec is not null)
        {
            return await CommitSealedAsync(_codec, key, delta, expected, idle, createdAt, bound, known, fresh, markKey, before, turn).ConfigureAwait(false);
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
        var creation = createdAt ?? times.Now;
        try
        {
            var call = CommitScript.Begin(database, _channel, key, times, expected, version, creation, delta, codec: null, fresh, bound, markKey: markKey, turn: turn);
            return CommitScript.Reply(await call.EndAsync(before).ConfigureAwait(false), version, fresh);
        }
        catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
        {
            return await CommitAgainAsync(Failover.Of(database)!, lost, new LostCommit(version, key, delta, expected, idle, creation, bound, known, markKey, before, turn)).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// The seal is over all that the session holds afterwards, so it is made by who knows all that it held before: where others committed in
    /// between, nothing is written, what there is now is read, and the seal is made again over that.
    /// </summary>
    private async Task<CommitReply> CommitSealedAsync(
        FieldCodec codec,
        string key,
        SessionDelta delta,
        Expected expected,
        TimeSpan idle,
        long? createdAt,
        CommitBound? bound,
        SessionSnapshot? known,
        SessionSnapshot? fresh,
        string? markKey,
        IBeforeAgain? before,
        TurnFence? turn)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var isKnown = known is not { Version: SessionSnapshot.NoVersion } and not { IsPartial: true };
        while (true)
        {
            if (!isKnown)
            {
                var read = await ReadAsync(key).ConfigureAwait(false);
                if (read.IsForged)
                {
                    return new CommitReply(CommitOutcome.Missing);
                }

                known = read.Session;
            }

            if (expected.CreatedAt is { } meant && known?.CreatedAt != meant)
            {
                return new CommitReply(CommitOutcome.Missing);
            }

            var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
            var creation = createdAt ?? times.Now;
            CommitReply reply;
            try
            {
                var seal = codec.Seal(key, SessionSnapshot.Applied(version, known?.CreatedAt ?? creation, known, delta));
                var call = CommitScript.Begin(database, _channel, key, times, Expected.Exactly(known), version, creation, delta, codec, fresh, bound, seal, markKey, turn);
                reply = CommitScript.Reply(await call.EndAsync(before).ConfigureAwait(false), version, fresh);
            }
            catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
            {
                return await CommitAgainAsync(Failover.Of(database)!, lost, new LostCommit(version, key, delta, expected, idle, creation, bound, known, markKey, before, turn)).ConfigureAwait(false);
            }

            if (reply.Outcome is not (CommitOutcome.Changed or CommitOutcome.Missing) || expected.Version is not null || (reply.Outcome == CommitOutcome.Missing && expected.CreatedAt is not null))
            {
                return reply;
            }

            (isKnown, fresh) = (false, null);
        }
    }

    /// <summary>As <see cref="CommitAsync"/>, for who cannot await: whoever began it ends the call with <see cref="CommitScript.Reply"/>.</summary>
    /// <param name="database">The connection.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="delta">What to change.</param>
    /// <param name="known">What there must be, exactly; null for nothing.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    public (RedisScript.Call Call, long Version) BeginCommit(IDatabase database, string key, SessionDelta delta, SessionSnapshot? known, TimeSpan idle)
    {
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
        var seal = _codec?.Seal(key, SessionSnapshot.Applied(version, known?.CreatedAt ?? times.Now, known, delta));
        return (CommitScript.Begin(database, _channel, key, times, Expected.Exactly(known), version, times.Now, delta, _codec, seal: seal), version);
    }

    /// <summary>Adds to a field of a session that exists.</summary>
    /// <param name="key">The session's key.</param>
    /// <param name="name">The field.</param>
    /// <param name="by">What to add.</param>
    /// <param name="loaded">The session that is meant.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    /// <param name="turn">The turn of the request that adds; null for none.</param>
    public async Task<IncrementReply> IncrementAsync(string key, string name, long by, SessionSnapshot loaded, TimeSpan idle, TurnFence? turn = null)
    {
        if (_codec is not null)
        {
            return await IncrementEncodedAsync(key, name, by, loaded, idle, turn).ConfigureAwait(false);
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
        RedisResult reply;
        try
        {
            reply = await IncrementScript.Begin(database, _channel, key, times, loaded.CreatedAt, version, name, by, turn).EndAsync().ConfigureAwait(false);
        }
        catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
        {
            reply = await IncrementAgainAsync(Failover.Of(database)!, lost, key, name, by, loaded, times, version, turn).ConfigureAwait(false);
        }

        return IncrementScript.Reply(reply, version);
    }

    /// <summary>
    /// The sum is made here, because Redis cannot read its terms, and set only if nobody changed the session meanwhile; else
    /// it is made again from what the session holds now.
    /// </summary>
    private async Task<IncrementReply> IncrementEncodedAsync(string key, string name, long by, SessionSnapshot loaded, TimeSpan idle, TurnFence? turn)
    {
        var current = loaded;
        while (true)
        {
            var fields = current.Fields.At(timeouts.Now);
            var (term, expires) = fields.TryGet(name, out var bytes) ? (bytes, fields.ExpiryOf(name)) : ("0"u8.ToArray(), null);
            if (!long.TryParse(term, CultureInfo.InvariantCulture, out var number))
            {
                throw new InvalidOperationException("The field holds no decimal number.");
            }

            var delta = new SessionDelta();
            var sum = Encoding.UTF8.GetBytes(checked(number + by).ToString(CultureInfo.InvariantCulture));
            delta.Set(name, sum, expires);
            var reply = await CommitAsync(key, delta, Expected.Exactly(current), idle, known: current, turn: turn).ConfigureAwait(false);
            if (reply.Outcome != CommitOutcome.Changed)
            {
                return new IncrementReply(reply, sum, expires);
            }

            if ((await ReadAsync(key).ConfigureAwait(false)).Session is not { } newer || newer.CreatedAt != loaded.CreatedAt)
            {
                return new IncrementReply(new CommitReply(CommitOutcome.Missing), []);
            }

            current = newer;
        }
    }

    /// <summary>
    /// Takes a field out of a session that exists: of all who do so one has its value. For it is taken from the version that it was read at, and where others changed the
    /// session meanwhile, it is read again. So a reply that was lost does no harm where the hash tells that it was this that changed it; where it does not, nobody has the value.
    /// </summary>
    /// <param name="key">The session's key.</param>
    /// <param name="name">The field.</param>
    /// <param name="loaded">The session that is meant.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    /// <param name="turn">The turn of the request that takes; null for none.</param>
    public async Task<TakeReply> TakeAsync(string key, string name, SessionSnapshot loaded, TimeSpan idle, TurnFence? turn = null)
    {
        var known = loaded;
        var isKnown = loaded is { Version: not SessionSnapshot.NoVersion, IsPartial: false };
        while (true)
        {
            if (!isKnown)
            {
                if ((await ReadAsync(key).ConfigureAwait(false)).Session is not { } read || read.CreatedAt != loaded.CreatedAt)
                {
                    return new TakeReply(new CommitReply(CommitOutcome.Missing), null);
                }

                known = read;
            }

            if (!known.Fields.At(timeouts.Now).TryGet(name, out var value))
            {
                return new TakeReply(new CommitReply(CommitOutcome.Changed), null);
            }

            var delta = new SessionDelta();
            delta.Remove(name);
            var reply = await CommitAsync(key, delta, Expected.Exactly(known), idle, known: known, turn: turn).ConfigureAwait(false);
            if (reply.Outcome != CommitOutcome.Changed)
            {
                return new TakeReply(reply, reply.Outcome == CommitOutcome.Done ? value : null);
            }

            isKnown = false;
        }
    }
}
