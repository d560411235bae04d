using System.Globalization;
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

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var values = await database.HashGetAsync(key, [FieldNames.VersionField, FieldNames.Encode(name)]).ConfigureAwait(false);
        return values[0].IsNull || values[1].IsNull ? null : (byte[]?)values[1];
    }

    /// <summary>The names of all fields; null without a session.</summary>
    public async Task<IReadOnlyList<string>?> ReadNamesAsync(string key)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var stored = await database.HashKeysAsync(key).ConfigureAwait(false);
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

    public async Task<bool> ExistsAsync(string key)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.KeyExistsAsync(key).ConfigureAwait(false);
    }

    /// <summary>Whether the session is still there, at whichever version; one that was begun under its id since is another.</summary>
    public async Task<bool> IsThereAsync(string key, SessionSnapshot session)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return (await database.HashGetAsync(key, FieldNames.Created).ConfigureAwait(false)).TryParse(out long createdAt) && createdAt == session.CreatedAt;
    }

    public async Task<TimeSpan?> ReadLifeAsync(string key)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.KeyTimeToLiveAsync(key).ConfigureAwait(false);
    }

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
    public async Task<CommitReply> CommitAsync(
        string key,
        SessionDelta delta,
        Expected expected,
        TimeSpan idle,
        long? createdAt = null,
        CommitBound? bound = null,
        SessionSnapshot? known = null,
        bool isFresh = false,
        Guid? reused = null)
    {
        var (markKey, fresh) = (reused is { } id ? keys.Ended(id) : null, isFresh ? known : null);
        if (_codec is not null)
        {
            return await CommitSealedAsync(_codec, key, delta, expected, idle, createdAt, bound, known, fresh, markKey).ConfigureAwait(false);
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (version, times) = (SessionSnapshot.NewVersion(), timeouts.Times(idle));
        var call = CommitScript.Begin(database, _channel, key, times, expected, version, createdAt ?? times.Now, delta, codec: null, fresh, bound, markKey: markKey);
        return CommitScript.Reply(await call.EndAsync().ConfigureAwait(false), version, fresh);
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
        string? markKey)
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
            var seal = codec.Seal(key, SessionSnapshot.Applied(version, known?.CreatedAt ?? creation, known, delta));
            var call = CommitScript.Begin(database, _channel, key, times, Expected.Exactly(known), version, creation, delta, codec, fresh, bound, seal, markKey);
            var reply = CommitScript.Reply(await call.EndAsync().ConfigureAwait(false), version, fresh);
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
        var call = IncrementScript.Begin(database, _channel, key, times, loaded.CreatedAt, version, name, by);
        return IncrementScript.Reply(await call.EndAsync().ConfigureAwait(false), version);
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
    public async Task<bool> DeleteAsync(string key)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.KeyDeleteAsync(key).ConfigureAwait(false);
    }

    /// <summary>Ends the session, notes why, and says whose it was.</summary>
    /// <param name="id">The session.</param>
    /// <param name="reason">Why.</param>
    /// <param name="owner">Whose it must be; null for whoever's.</param>
    public async Task<EndReply> EndAsync(Guid id, SessionEndReason reason, string? owner = null)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var call = EndScript.Begin(database, _channel, keys.Session(id), keys.Ended(id), reason, timeouts.EndReasonRetention, owner);
        return EndScript.Reply(await call.EndAsync().ConfigureAwait(false), id);
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
