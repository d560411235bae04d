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
    /// <exception cref="NotSupportedException">A field is to expire by itself, and the server cannot do that; nothing was written.</exception>
    public Task<CommitReply> CommitAsync(CommitRequest request)
    {
        var reply = _codec is null ? CommitPlainAsync(request) : CommitSealedAsync(request);
        return request.Delta.Expires ? ExpiringAsync(reply) : reply;
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

    private async Task<CommitReply> CommitPlainAsync(CommitRequest request)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(request.Idle));
        var creation = request.CreatedAt ?? times.Now;
        try
        {
            var call = Begin(database, request, times, version, creation);
            return CommitScript.Reply(await call.EndAsync(request.Before).ConfigureAwait(false), version, request.Fresh);
        }
        catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
        {
            return await CommitAgainAsync(Failover.Of(database)!, lost, new LostCommit(request, version, creation)).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// The seal is over all that the session holds afterwards, so it is made by who knows all that it held before: where others committed in
    /// between, nothing is written, what there is now is read, and the seal is made again over that.
    /// </summary>
    private async Task<CommitReply> CommitSealedAsync(CommitRequest request)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (known, expected) = (request.Known, request.Expected);
        var isKnown = known is not { Version: SessionSnapshot.NoVersion } and not { IsPartial: true };
        var isFresh = request.IsFresh;
        while (true)
        {
            if (!isKnown)
            {
                var read = await ReadAsync(request.Key).ConfigureAwait(false);
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

            var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(request.Idle));
            var creation = request.CreatedAt ?? times.Now;
            CommitReply reply;
            try
            {
                var exact = request.To(known) with { IsFresh = isFresh };
                var call = Begin(database, exact, times, version, creation);
                reply = CommitScript.Reply(await call.EndAsync(request.Before).ConfigureAwait(false), version, exact.Fresh);
            }
            catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
            {
                return await CommitAgainAsync(Failover.Of(database)!, lost, new LostCommit(request with { Known = known }, version, creation)).ConfigureAwait(false);
            }

            if (reply.Outcome is not (CommitOutcome.Changed or CommitOutcome.Missing) || expected.Version is not null || (reply.Outcome == CommitOutcome.Missing && expected.CreatedAt is not null))
            {
                return reply;
            }

            (isKnown, isFresh) = (false, false);
        }
    }

    /// <summary>As <see cref="CommitAsync"/>, for who cannot await: whoever began it ends the call with <see cref="CommitScript.Reply"/>.</summary>
    public (RedisScript.Call Call, long Version) BeginCommit(IDatabase database, CommitRequest request)
    {
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(request.Idle));
        return (Begin(database, request, times, version, times.Now), version);
    }

    /// <summary>Sends it, sealed where there are seals: then it says all that it is a change of.</summary>
    private RedisScript.Call Begin(IDatabase database, CommitRequest request, SlideTimes times, long version, long creation)
    {
        var seal = _codec?.Seal(request.Key, SessionSnapshot.Applied(version, request.Known?.CreatedAt ?? creation, request.Known, request.Delta));
        return CommitScript.Begin(database, _channel, request, times, version, creation, _codec, seal, request.Reused is { } id ? keys.Ended(id) : null);
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
            var reply = await CommitAsync(new CommitRequest(key, delta, Expected.Exactly(current), idle) { Known = current, Turn = turn }).ConfigureAwait(false);
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
            var reply = await CommitAsync(new CommitRequest(key, delta, Expected.Exactly(known), idle) { Known = known, Turn = turn }).ConfigureAwait(false);
            if (reply.Outcome != CommitOutcome.Changed)
            {
                return new TakeReply(reply, reply.Outcome == CommitOutcome.Done ? value : null);
            }

            isKnown = false;
        }
    }
}
