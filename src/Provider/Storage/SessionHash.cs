using System.Globalization;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>Turns scripts' typed arguments into Redis's, and their replies back. Knows nothing of requests.</summary>
internal sealed class SessionHash(RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys, IServiceProvider services)
{
    private const int CommitHeader = 8;

    // Usually none.
    private readonly FieldCodec? _codec = services.GetService<FieldCodec>();

    public RedisConnection Connection { get; } = connection;

    public SessionTimeouts Timeouts { get; } = timeouts;

    /// <summary>
    /// Sends a load at once. On a live connection the reply's tasks are the client's own, so waiting on them needs no other
    /// thread. They may fail with NOSCRIPT; <see cref="RetryLoadAsync"/> then sends it again with the script.
    /// </summary>
    public LoadReply StartLoad(string key, TimeSpan idleTimeout, long knownVersion)
    {
        if (Connection.Database is not { } database)
        {
            return new LoadReply(ConnectAndLoadAsync(key, idleTimeout, knownVersion), null);
        }

        var script = SessionScripts.Load.SendByHash(database, [key], LoadValues(idleTimeout, knownVersion));
        return new LoadReply(script, knownVersion == SessionSnapshot.UnknownVersion ? database.HashGetAllAsync(key) : null);
    }

    private async Task<RedisResult> ConnectAndLoadAsync(string key, TimeSpan idleTimeout, long knownVersion)
    {
        var database = await Connection.GetDatabaseAsync().ConfigureAwait(false);
        return await SessionScripts.Load.EvaluateAsync(database, [key], LoadValues(idleTimeout, OrAny(knownVersion))).ConfigureAwait(false);
    }

    /// <summary>The load again, for a server that answered NOSCRIPT, on the calling thread alone.</summary>
    public RedisResult RetryLoad(string key, TimeSpan idleTimeout, long knownVersion) =>
        Connection.Database is { } database
            ? SessionScripts.Load.EvaluateSource(database, [key], LoadValues(idleTimeout, OrAny(knownVersion)))
            : throw new InvalidOperationException("There is no Redis connection.");

    public async Task<RedisResult> RetryLoadAsync(string key, TimeSpan idleTimeout, long knownVersion)
    {
        var database = await Connection.GetDatabaseAsync().ConfigureAwait(false);
        return await SessionScripts.Load.SendSource(database, [key], LoadValues(idleTimeout, OrAny(knownVersion))).ConfigureAwait(false);
    }

    // A version that no session has, so that the script itself answers with all fields.
    private static long OrAny(long knownVersion) => knownVersion == SessionSnapshot.UnknownVersion ? -1 : knownVersion;

    /// <summary>How often one load of a session, of all servers', is told that the session's heartbeat is due; zero for never.</summary>
    public TimeSpan HeartbeatInterval { get; set; }

    private RedisValue[] LoadValues(TimeSpan idleTimeout, long knownVersion)
    {
        RedisValue known = knownVersion == SessionSnapshot.UnknownVersion ? RedisValue.EmptyString : knownVersion;
        // What the script does not need costs it time all the same.
        return Timeouts.AbsoluteMilliseconds == 0 && HeartbeatInterval == TimeSpan.Zero && !MayHaveOwnAbsoluteTimeouts
            ? [known, Milliseconds(idleTimeout)]
            : [known, Milliseconds(idleTimeout), Timeouts.AbsoluteMilliseconds, Timeouts.Now, (long)HeartbeatInterval.TotalMilliseconds];
    }

    /// <summary>Whether an add-on gives sessions absolute timeouts of their own.</summary>
    public bool MayHaveOwnAbsoluteTimeouts { get; set; }

    /// <summary>Sends a delta. <paramref name="loaded"/> is <see langword="null"/> where the caller saw no session and may create it.</summary>
    /// <returns><see langword="null"/> when the session that the caller loaded is gone.</returns>
    public async Task<Committed?> CommitAsync(string key, SessionDelta delta, TimeSpan idleTimeout, SessionSnapshot? loaded)
    {
        var removed = 0;
        foreach (var value in delta.Fields.Values)
        {
            removed += value is null ? 1 : 0;
        }

        foreach (var value in delta.Metadata.Values)
        {
            removed += value is null ? 1 : 0;
        }

        var set = delta.Fields.Count + delta.Metadata.Count - removed;
        var values = new RedisValue[CommitHeader + (2 * set) + removed];
        var next = WriteHeader(values, idleTimeout, loaded);
        values[5] = delta.IsCleared ? 1 : 0;
        values[6] = delta.Metadata.Count > 0 ? 1 : 0;
        values[7] = set;
        var nextSet = CommitHeader;
        var nextRemoved = CommitHeader + (2 * set);
        foreach (var (name, value) in delta.Fields)
        {
            Place(FieldNames.Encode(name), value is null ? RedisValue.Null : Encode(key, name, value));
        }

        foreach (var (name, value) in delta.Metadata)
        {
            Place(name, value);
        }

        return Committed.From(await EvaluateAsync(SessionScripts.Commit, key, values).ConfigureAwait(false), next);

        void Place(string field, RedisValue value)
        {
            if (value.IsNull)
            {
                values[nextRemoved++] = field;
            }
            else
            {
                values[nextSet++] = field;
                values[nextSet++] = value;
            }
        }
    }

    /// <summary>Adds to a field. Same contract as <see cref="CommitAsync"/>.</summary>
    public async Task<Incremented?> IncrementAsync(string key, string name, long by, TimeSpan idleTimeout, SessionSnapshot? loaded)
    {
        if (_codec is not null)
        {
            return await IncrementEncodedAsync(key, name, by, idleTimeout, loaded).ConfigureAwait(false);
        }

        var values = new RedisValue[7];
        var next = WriteHeader(values, idleTimeout, loaded);
        values[5] = FieldNames.Encode(name);
        values[6] = by;
        var reply = await EvaluateAsync(SessionScripts.Increment, key, values).ConfigureAwait(false);
        return Committed.From(reply, next) is { } committed ? new Incremented(committed, (byte[])reply[2]!) : null;
    }

    /// <summary>
    /// The sum is made here, because Redis cannot read its terms, and set only if nobody changed the session meanwhile; else
    /// it is made again from what the session holds now.
    /// </summary>
    private async Task<Incremented?> IncrementEncodedAsync(string key, string name, long by, TimeSpan idleTimeout, SessionSnapshot? loaded)
    {
        var current = loaded;
        while (true)
        {
            var before = current is not null && current.Fields.TryGetValue(name, out var bytes) ? bytes : "0"u8.ToArray();
            if (!long.TryParse(before, CultureInfo.InvariantCulture, out var number))
            {
                throw new InvalidOperationException("The field holds no decimal number.");
            }

            var sum = Encoding.UTF8.GetBytes(checked(number + by).ToString(CultureInfo.InvariantCulture));
            var values = new RedisValue[8];
            var next = WriteHeader(values, idleTimeout, loaded);
            values[5] = current is null ? RedisValue.EmptyString : current.Version;
            values[6] = FieldNames.Encode(name);
            values[7] = _codec!.Encode(key, name, sum);
            var reply = await EvaluateAsync(SessionScripts.SetAtVersion, key, values).ConfigureAwait(false);
            if (reply.Length <= 2)
            {
                return Committed.From(reply, next) is { } committed ? new Incremented(committed, sum) : null;
            }

            current = Parse(key, reply);
        }
    }

    /// <summary>What a reply of HGETALL holds, decoded.</summary>
    public SessionSnapshot Parse(string key, ReadOnlySpan<HashEntry> entries) => SessionSnapshot.Parse(entries, key, _codec);

    /// <summary>The same for HGETALL's reply as a script passes it on: names and values in turn.</summary>
    public SessionSnapshot Parse(string key, RedisResult reply)
    {
        var entries = new HashEntry[reply.Length / 2];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = new HashEntry((RedisValue)reply[2 * i], (RedisValue)reply[(2 * i) + 1]);
        }

        return Parse(key, entries);
    }

    public byte[] Encode(string key, string field, byte[] value) => _codec?.Encode(key, field, value) ?? value;

    public byte[]? Decode(string key, string field, byte[] stored) => _codec is null ? stored : _codec.Decode(key, field, stored);

    /// <summary>Writes a whole session with its metadata under a new id.</summary>
    /// <returns>False if its absolute timeout is over.</returns>
    public async Task<bool> WriteAsync(string key, SessionSnapshot session, TimeSpan idleTimeout)
    {
        var values = new RedisValue[4 + 2 + (2 * (session.Metadata.Length + session.Fields.Count))];
        WriteTimes(values, idleTimeout);
        values[3] = session.CreatedAt;
        values[4] = FieldNames.Version;
        values[5] = session.Version;
        var next = 6;
        foreach (var (name, value) in session.Metadata)
        {
            values[next++] = name;
            values[next++] = value;
        }

        foreach (var (name, value) in session.Fields)
        {
            values[next++] = FieldNames.Encode(name);
            values[next++] = Encode(key, name, value);
        }

        return (long)await EvaluateAsync(SessionScripts.Write, key, values).ConfigureAwait(false) != SessionScripts.Missing;
    }

    /// <summary>
    /// Deletes the session if it still is at <paramref name="version"/>: then the answer is <c>(true, null)</c>. It is
    /// <c>(false, null)</c> if there is none, and <c>(false, snapshot)</c>, nothing deleted, if it has changed.
    /// </summary>
    public async Task<(bool Deleted, SessionSnapshot? Newer)> DeleteAtVersionAsync(Guid id, long version)
    {
        var database = await Connection.GetDatabaseAsync().ConfigureAwait(false);
        RedisKey[] both = [keys.Session(id), keys.Moved(id)];
        var reply = await SessionScripts.DeleteAtVersion.EvaluateAsync(database, both, [version, (long)MovedFor.TotalMilliseconds]).ConfigureAwait(false);
        return reply.Length >= 0 ? (false, Parse(keys.Session(id), reply)) : ((long)reply == 1, null);
    }

    // As long as a request that was under way when the id changed may take.
    private static readonly TimeSpan MovedFor = TimeSpan.FromMinutes(1);

    /// <summary>Whether the session of this id was given another one within the last minute.</summary>
    public async Task<bool> HasMovedAsync(Guid id)
    {
        var database = await Connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.KeyExistsAsync(keys.Moved(id)).ConfigureAwait(false);
    }

    public async Task<bool> DeleteAsync(string key)
    {
        var database = await Connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.KeyDeleteAsync(key).ConfigureAwait(false);
    }

    public async Task<RedisResult> EvaluateAsync(RedisScript script, string key, RedisValue[] values)
    {
        var database = await Connection.GetDatabaseAsync().ConfigureAwait(false);
        return await script.EvaluateAsync(database, [key], values).ConfigureAwait(false);
    }

    /// <summary>The first three arguments of every script that slides: now, idle timeout, absolute timeout.</summary>
    public void WriteTimes(RedisValue[] values, TimeSpan idleTimeout)
    {
        values[0] = Timeouts.Now;
        values[1] = Milliseconds(idleTimeout);
        values[2] = Timeouts.AbsoluteMilliseconds;
    }

    /// <returns>The version that the session has afterwards if nobody else changes it meanwhile.</returns>
    private long WriteHeader(RedisValue[] values, TimeSpan idleTimeout, SessionSnapshot? loaded)
    {
        WriteTimes(values, idleTimeout);
        if (loaded is not null)
        {
            values[3] = loaded.CreatedAt;
            values[4] = RedisValue.EmptyString;
            return loaded.Version + 1;
        }

        // A random start, so that no copy of an earlier session of this id ever has a current version. Lua counts exactly
        // up to 2^53.
        var start = Random.Shared.NextInt64(1L << 40, 1L << 48);
        values[3] = RedisValue.EmptyString;
        values[4] = start;
        return start;
    }

    public static long Milliseconds(TimeSpan time) => Math.Max(1, (long)Math.Min(time.TotalMilliseconds, MaxTtlMilliseconds));

    // A century: Redis refuses a TTL that overflows when it is added to the present.
    private const double MaxTtlMilliseconds = 100L * 365 * 24 * 3600 * 1000;

    /// <summary>
    /// What a commit came to. The version is <see cref="SessionSnapshot.UnknownVersion"/> if others committed since the
    /// caller loaded: the caller then cannot know what the session holds now.
    /// </summary>
    internal readonly record struct Committed(long Version, long CreatedAt)
    {
        public static Committed? From(RedisResult reply, long expectedVersion)
        {
            if (reply.Length < 0)
            {
                return null;
            }

            var version = (long)reply[0];
            return new Committed(version == expectedVersion ? version : SessionSnapshot.UnknownVersion, (long)reply[1]);
        }
    }

    /// <summary>
    /// The script's answer and, where no copy was held, the fields behind it in the same round trip. The fields arrive
    /// last, so whoever waits for <see cref="Last"/> has both.
    /// </summary>
    internal readonly record struct LoadReply(Task<RedisResult> Script, Task<HashEntry[]>? Fields)
    {
        public Task Last => Fields ?? (Task)Script;
    }

    internal readonly record struct Incremented(Committed Committed, byte[] Value);
}
