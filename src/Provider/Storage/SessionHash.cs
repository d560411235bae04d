using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// What can be done with a session's hash. Nothing of how it is done leaves this folder: no name of a command, no position of
/// an argument, no reply. Knows nothing of requests.
/// </summary>
internal sealed class SessionHash(
    RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys, IOptions<RedisSessionOptions> options, IServiceProvider services)
{
    // As long as a request that was under way when the id changed may take.
    private static readonly TimeSpan MovedFor = TimeSpan.FromMinutes(1);

    // Usually none.
    private readonly FieldCodec? _codec = services.GetService<FieldCodec>();

    // Where changes are published; null for nowhere.
    private readonly string? _channel = options.Value.LocalCache.Mode == LocalCacheMode.Validated ? null : keys.Changes;

    /// <summary>Begins to read on a live connection; see <see cref="SessionRead"/>.</summary>
    /// <param name="database">The connection.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="copy">The copy at hand; null for none.</param>
    public SessionRead BeginRead(IDatabase database, string key, SessionCopy? copy) => new(database, key, copy, _codec);

    /// <summary>Everything that the session holds and what is left of its life, without sliding it.</summary>
    public async Task<ReadReply> ReadAsync(string key)
    {
        var read = BeginRead(await connection.GetDatabaseAsync().ConfigureAwait(false), key, copy: null);
        ReadReply reply;
        do
        {
            await read.Pending.ConfigureAwait(false);
        }
        while (!read.TryEnd(out reply));

        return reply;
    }

    /// <summary>
    /// One field's value; null if the session has no such field, or there is none. What is no session has none.
    /// </summary>
    public async Task<byte[]?> ReadFieldAsync(string key, string name)
    {
        if (_codec is not null)
        {
            // Only all of it is sealed.
            return (await ReadAsync(key).ConfigureAwait(false)).Session is { } session && session.Fields.TryGet(name, out var value) ? value : null;
        }

        var values = await Failover.RepeatAsync(connection, database => database.HashGetAsync(key, [FieldNames.VersionField, FieldNames.Encode(name)])).ConfigureAwait(false);
        return values[0].IsNull || values[1].IsNull ? null : (byte[]?)values[1];
    }

    /// <summary>The names of all fields; null without a session.</summary>
    public async Task<IReadOnlyList<string>?> ReadNamesAsync(string key)
    {
        var stored = await Failover.RepeatAsync(connection, database => database.HashKeysAsync(key)).ConfigureAwait(false);
        if (!Array.Exists(stored, static name => name == FieldNames.VersionField))
        {
            return null;
        }

        var names = new List<string>(stored.Length);
        foreach (var name in stored)
        {
            if (!FieldNames.IsMetadata(name!))
            {
                names.Add(FieldNames.Decode(name!));
            }
        }

        return names;
    }

    public Task<bool> ExistsAsync(string key) => Failover.RepeatAsync(connection, database => database.KeyExistsAsync(key));

    /// <summary>Whether the session is still there, at whichever version; one that was begun under its id since is another.</summary>
    public async Task<bool> IsThereAsync(string key, SessionSnapshot session)
    {
        var created = await Failover.RepeatAsync(connection, database => database.HashGetAsync(key, FieldNames.Created)).ConfigureAwait(false);
        return created.TryParse(out long createdAt) && createdAt == session.CreatedAt;
    }

    public Task<TimeSpan?> ReadLifeAsync(string key) => Failover.RepeatAsync(connection, database => database.KeyTimeToLiveAsync(key));

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
    public async Task<CommitReply> CommitAsync(
        string key,
        SessionDelta delta,
        Expected expected,
        TimeSpan idle,
        long? createdAt = null,
        CommitBound? bound = null,
        SessionSnapshot? known = null,
        bool isFresh = false,
        Guid? reused = null,
        IBeforeAgain? before = null)
    {
        var (markKey, fresh) = (reused is { } id ? keys.Ended(id) : null, isFresh ? known : null);
        if (_codec is not null)
        {
            return await CommitSealedAsync(_codec, key, delta, expected, idle, createdAt, bound, known, fresh, markKey, before).ConfigureAwait(false);
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
        var creation = createdAt ?? times.Now;
        try
        {
            var call = CommitScript.Begin(database, _channel, key, times, expected, version, creation, delta, codec: null, fresh, bound, markKey: markKey);
            return CommitScript.Reply(await call.EndAsync(before).ConfigureAwait(false), version, fresh);
        }
        catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
        {
            return await CommitAgainAsync(Failover.Of(database)!, lost, new LostCommit(version, key, delta, expected, idle, creation, bound, known, markKey, before)).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Of a commit whose reply was lost nobody knows whether it was made. The hash tells: at its version, it was. At the version that it was to change, it was not, and is
    /// sent again. At any other, others committed since, whether it was made before or not, and what it may still have to do is left of it (<see cref="SessionDelta.Remaining"/>).
    /// Always under its own version, and only on what was just read: should the first attempt arrive late, in between, the second finds another version than was read, and looks again.
    /// </summary>
    private async Task<CommitReply> CommitAgainAsync(Failover failover, Exception lost, LostCommit commit)
    {
        var (since, failure) = (Environment.TickCount64, lost);
        var waits = true;
        while (true)
        {
            if (waits && await failover.WaitAsync(failure, since).ConfigureAwait(false) is null)
            {
                // What became of the first is not known, whatever was refused since.
                ExceptionDispatchInfo.Throw(lost);
            }

            try
            {
                var read = await ReadAsync(commit.Key).ConfigureAwait(false);
                failover.Recovered();
                var now = read.Session;
                if (read.IsForged || (commit.Expected.CreatedAt is { } meant && now?.CreatedAt != meant))
                {
                    return new CommitReply(CommitOutcome.Missing);
                }

                if (now?.Version == commit.Version)
                {
                    return commit.Done(now);
                }

                if (commit.LeftOf(now) is not { } rest)
                {
                    ExceptionDispatchInfo.Throw(lost);
                    continue;
                }

                if (rest.IsEmpty)
                {
                    return new CommitReply(CommitOutcome.Done, commit.Version, commit.Version, now!.CreatedAt);
                }

                if (commit.Before is not null)
                {
                    await commit.Before.SendAsync().ConfigureAwait(false);
                }

                var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
                var seal = _codec?.Seal(commit.Key, SessionSnapshot.Applied(commit.Version, now?.CreatedAt ?? commit.Creation, now, rest));
                var call = CommitScript.Begin(
                    database,
                    _channel,
                    commit.Key,
                    timeouts.Times(commit.Idle),
                    Expected.Exactly(now),
                    commit.Version,
                    commit.Creation,
                    rest,
                    _codec,
                    bound: commit.Bound,
                    seal: seal,
                    markKey: commit.MarkKey);
                var reply = CommitScript.Reply(await call.EndAsync(commit.Before).ConfigureAwait(false), commit.Version);
                if (reply.Outcome is CommitOutcome.Changed or CommitOutcome.Missing)
                {
                    // Others, since it was read.
                    waits = false;
                    continue;
                }

                return reply;
            }
            catch (Exception exception) when (Failover.MayRepeat(exception) && !ReferenceEquals(exception, lost))
            {
                (failure, waits) = (exception, true);
            }
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
        IBeforeAgain? before)
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
                var call = CommitScript.Begin(database, _channel, key, times, Expected.Exactly(known), version, creation, delta, codec, fresh, bound, seal, markKey);
                reply = CommitScript.Reply(await call.EndAsync(before).ConfigureAwait(false), version, fresh);
            }
            catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
            {
                return await CommitAgainAsync(Failover.Of(database)!, lost, new LostCommit(version, key, delta, expected, idle, creation, bound, known, markKey, before)).ConfigureAwait(false);
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
    public async Task<IncrementReply> IncrementAsync(string key, string name, long by, SessionSnapshot loaded, TimeSpan idle)
    {
        if (_codec is not null)
        {
            return await IncrementEncodedAsync(key, name, by, loaded, idle).ConfigureAwait(false);
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
        RedisResult reply;
        try
        {
            reply = await IncrementScript.Begin(database, _channel, key, times, loaded.CreatedAt, version, name, by).EndAsync().ConfigureAwait(false);
        }
        catch (Exception lost) when (RedisAway.LeavesOutcomeUnknown(lost) && Failover.Of(database) is not null)
        {
            reply = await IncrementAgainAsync(Failover.Of(database)!, lost, key, name, by, loaded, times, version).ConfigureAwait(false);
        }

        return IncrementScript.Reply(reply, version);
    }

    /// <summary>
    /// As <see cref="CommitAgainAsync"/>. But what an increment did cannot be told once others changed the session, and adding twice is worse than saying that nobody knows.
    /// </summary>
    private async Task<RedisResult> IncrementAgainAsync(
        Failover failover, Exception lost, string key, string name, long by, SessionSnapshot loaded, SlideTimes times, long version)
    {
        var (since, failure) = (Environment.TickCount64, lost);
        while (await failover.WaitAsync(failure, since).ConfigureAwait(false) is { } database)
        {
            try
            {
                var now = await database.HashGetAsync(key, FieldNames.VersionField).ConfigureAwait(false);
                failover.Recovered();
                if (now.IsNull || now == version || now == loaded.Version)
                {
                    return await IncrementScript.Begin(database, _channel, key, times, loaded.CreatedAt, version, name, by).EndAsync().ConfigureAwait(false);
                }

                break;
            }
            catch (Exception exception) when (Failover.MayRepeat(exception))
            {
                failure = exception;
            }
        }

        ExceptionDispatchInfo.Throw(lost);
        throw lost;
    }

    /// <summary>
    /// The sum is made here, because Redis cannot read its terms, and set only if nobody changed the session meanwhile; else
    /// it is made again from what the session holds now.
    /// </summary>
    private async Task<IncrementReply> IncrementEncodedAsync(string key, string name, long by, SessionSnapshot loaded, TimeSpan idle)
    {
        var current = loaded;
        while (true)
        {
            var term = current.Fields.TryGet(name, out var bytes) ? bytes : "0"u8.ToArray();
            if (!long.TryParse(term, CultureInfo.InvariantCulture, out var number))
            {
                throw new InvalidOperationException("The field holds no decimal number.");
            }

            var delta = new SessionDelta();
            var sum = delta.Fields[name] = Encoding.UTF8.GetBytes(checked(number + by).ToString(CultureInfo.InvariantCulture));
            var reply = await CommitAsync(key, delta, Expected.Exactly(current), idle, known: current).ConfigureAwait(false);
            if (reply.Outcome != CommitOutcome.Changed)
            {
                return new IncrementReply(reply, sum!);
            }

            if ((await ReadAsync(key).ConfigureAwait(false)).Session is not { } newer || newer.CreatedAt != loaded.CreatedAt)
            {
                return new IncrementReply(new CommitReply(CommitOutcome.Missing), []);
            }

            current = newer;
        }
    }

    /// <summary>Slides the TTL, and claims the heartbeat if that is due.</summary>
    /// <param name="key">The session's key.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    /// <param name="heartbeat">How often the heartbeat is due; zero for never.</param>
    public async Task<SlideReply> SlideAsync(string key, TimeSpan idle, TimeSpan heartbeat)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var call = SlideScript.Begin(database, _channel, key, timeouts.Times(idle), heartbeat);
        return SlideScript.Reply(await call.EndAsync().ConfigureAwait(false));
    }

    /// <summary>Sets and removes fields of a session that exists, its TTL untouched.</summary>
    /// <returns>How many fields were removed; null without a session.</returns>
    public async Task<int?> EditAsync(string key, SessionDelta delta)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        if (_codec is not null)
        {
            return await EditSealedAsync(database, _codec, key, delta).ConfigureAwait(false);
        }

        var call = EditScript.Begin(database, _channel, key, SessionSnapshot.NewVersion(), delta, codec: null);
        return EditScript.Reply(await call.EndAsync().ConfigureAwait(false));
    }

    private async Task<int?> EditSealedAsync(IDatabase database, FieldCodec codec, string key, SessionDelta delta)
    {
        while ((await ReadAsync(key).ConfigureAwait(false)).Session is { } known)
        {
            var version = SessionSnapshot.NewVersion();
            var seal = codec.Seal(key, SessionSnapshot.Applied(version, known.CreatedAt, known, delta));
            var reply = await EditScript.Begin(database, _channel, key, version, delta, codec, known.Version, seal).EndAsync().ConfigureAwait(false);
            if (!EditScript.IsChanged(reply))
            {
                return EditScript.Reply(reply);
            }
        }

        return null;
    }

    /// <summary>Adds to the TTL, never past the absolute timeout.</summary>
    /// <returns>The TTL then; null without a session.</returns>
    public async Task<TimeSpan?> ExtendAsync(string key, TimeSpan by)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var call = ExtendScript.Begin(database, _channel, key, timeouts.Times(timeouts.IdleTimeout), by);
        return ExtendScript.Reply(await call.EndAsync().ConfigureAwait(false));
    }

    /// <summary>Deletes a session that moved to another id, if nobody changed it since it was read.</summary>
    public async Task<DeleteReply> DeleteAtVersionAsync(Guid id, long version)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var call = DeleteAtVersionScript.Begin(database, _channel, keys.Session(id), keys.Moved(id), version, MovedFor);
        return DeleteAtVersionScript.Reply(await call.EndAsync().ConfigureAwait(false));
    }

    /// <summary>Begins to delete a session that should not have been created, whoever changed it since; for who cannot await.</summary>
    public RedisScript.Call BeginWithdraw(IDatabase database, Guid id, long createdAt) => WithdrawScript.Begin(database, _channel, keys.Session(id), createdAt);

    /// <summary>Deletes what is no session of anybody's: nobody is to learn why it ended.</summary>
    /// <returns>Whether there was one.</returns>
    public Task<bool> DeleteAsync(string key) => Failover.RepeatAsync(connection, database => database.KeyDeleteAsync(key));

    /// <summary>Ends the session, notes why, and says whose it was.</summary>
    /// <param name="id">The session.</param>
    /// <param name="reason">Why.</param>
    /// <param name="owner">Whose it must be; null for whoever's.</param>
    public async Task<EndReply> EndAsync(Guid id, SessionEndReason reason, string? owner = null)
    {
        var reply = await Failover.RepeatAsync(
            connection,
            database => EndScript.Begin(database, _channel, keys.Session(id), keys.Ended(id), reason, timeouts.EndReasonRetention, owner).EndAsync()).ConfigureAwait(false);
        return EndScript.Reply(reply, id);
    }

    /// <summary>What is left of a session that is not there: one round trip.</summary>
    public async Task<SessionRemains> ReadRemainsAsync(Guid id)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var mark = database.StringGetAsync(keys.Ended(id));
        var moved = database.KeyExistsAsync(keys.Moved(id));
        mark.Observe();
        return new SessionRemains(await moved.ConfigureAwait(false), (string?)await mark.ConfigureAwait(false) is { } reason ? SessionEnding.Parse(reason) : null);
    }

    /// <summary>Whether the return of an ended session's browser is to be told: once for each end. Kept with the mark, and as long.</summary>
    /// <param name="id">The session.</param>
    /// <param name="reason">Why it ended, where no mark says so.</param>
    public async Task<bool> ClaimReturnAsync(Guid id, SessionEndReason reason)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return ReturnScript.Reply(await ReturnScript.Begin(database, keys.Ended(id), reason, timeouts.EndReasonRetention).EndAsync().ConfigureAwait(false));
    }
}
