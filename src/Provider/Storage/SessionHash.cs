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
internal sealed partial class SessionHash(
    RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys, FieldExpiry fieldExpiry, IOptions<RedisSessionOptions> options, IServiceProvider services)
{
    /// <summary>That of a tenant's sessions.</summary>
    public SessionHash Of(SessionTimeouts tenantsTimeouts, SessionKeys tenantsKeys) => new(connection, tenantsTimeouts, tenantsKeys, fieldExpiry, options, services);

    // As long as a request that was under way when the id changed may take.
    private static readonly TimeSpan MovedFor = TimeSpan.FromMinutes(1);

    // Usually none.
    private readonly FieldCodec? _codec = services.GetService<FieldCodec>();

    // Where changes are published; null for nowhere.
    private readonly string? _channel = options.Value.TellsChanges ? keys.Changes : null;

    /// <summary>Begins to read on a live connection; see <see cref="SessionRead"/>.</summary>
    public SessionRead BeginRead(IDatabase database, string key) => new(database, key, _codec);

    /// <summary>As <see cref="BeginRead"/>, as soon as that is worth it, after something failed for a moment; null if it did not.</summary>
    public SessionRead? BeginReadAfter(Exception failure, IDatabase database, string key) => SessionRead.After(failure, database, key, _codec);

    /// <summary>Everything that the session holds and what is left of its life, without sliding it.</summary>
    public async Task<ReadReply> ReadAsync(string key)
    {
        var read = BeginRead(await connection.GetDatabaseAsync().ConfigureAwait(false), key);
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
            return (await ReadAsync(key).ConfigureAwait(false)).Session is { } session && session.Fields.At(timeouts.Now).TryGet(name, out var value) ? value : null;
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
    /// <param name="id">The session.</param>
    /// <param name="version">What it must be at.</param>
    /// <param name="movedTo">The other id.</param>
    /// <param name="turn">The turn of the request that moves it; null for none.</param>
    public async Task<DeleteReply> DeleteAtVersionAsync(Guid id, long version, Guid movedTo, TurnFence? turn)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var call = DeleteAtVersionScript.Begin(database, _channel, keys.Session(id), keys.Moved(id), version, MovedFor, movedTo, turn);
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

    /// <summary>
    /// Whether a session is there, whose it is and until when it lives; and where it is not, what became of it. Reads none of its fields. What is left of it is asked for
    /// afterwards: whoever ends or moves a session marks it in the same step.
    /// </summary>
    public async Task<SessionSight> LookAsync(Guid id)
    {
        var key = keys.Session(id);
        var (fields, life) = await Failover.RepeatAsync(connection, async database =>
        {
            var reading = database.HashGetAsync(key, SessionSight.Fields);
            reading.Observe();
            var life = await database.KeyTimeToLiveAsync(key).ConfigureAwait(false);
            return (await reading.ConfigureAwait(false), life);
        }).ConfigureAwait(false);
        if (SessionSight.Of(fields, life, timeouts) is { } sight)
        {
            return sight;
        }

        var (mark, moved) = await Failover.RepeatAsync(connection, async database =>
        {
            var reading = database.StringGetAsync(keys.Ended(id));
            reading.Observe();
            var moved = await database.StringGetAsync(keys.Moved(id)).ConfigureAwait(false);
            return ((string?)await reading.ConfigureAwait(false), (string?)moved);
        }).ConfigureAwait(false);
        return SessionSight.Gone(Guid.TryParse(moved, out var to) ? to : null, SessionEnding.Parse(mark));
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
