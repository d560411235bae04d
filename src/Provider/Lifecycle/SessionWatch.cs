using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>
/// The lives that are watched, in Redis. Redis tells nobody reliably that a hash expired, and a script that ends a session may not touch a key of another
/// slot: so every session is in this set from before it is stored, and is looked at when its time has come.
/// </summary>
internal sealed class SessionWatch(
    RedisConnection connection,
    SessionTimeouts timeouts,
    SessionKeys keys,
    IOptions<SessionLifecycleOptions> options,
    IServiceProvider services,
    ILogger<SessionWatch> logger)
{
    // What is in flight when an end is told must not bring the life back: longer than any command, and any request that stalls, takes.
    private static readonly TimeSpan ToldFor = TimeSpan.FromMinutes(10);

    private readonly FieldCodec? _codec = services.GetService<FieldCodec>();

    /// <summary>Unix milliseconds.</summary>
    public long Now => timeouts.Now;

    private string SetKey(int shard) => $"{keys.Prefix}watch:{{{shard}}}";

    private RedisKey ToldKey(int shard) => SetKey(shard) + ":told";

    private RedisKey TakenKey(int shard) => SetKey(shard) + ":taken";

    private string RecordKey(SessionLife life) => $"{SetKey(life.Shard)}:{life}";

    private RedisKey[] KeysOf(SessionLife life) => [SetKey(life.Shard), ToldKey(life.Shard), RecordKey(life)];

    /// <summary>How long what is kept of a life that ends then must last: until it was told at the latest.</summary>
    private long TtlOf(TimeSpan life) => Ttl.Milliseconds(life + options.Value.Retention + options.Value.MaxRetryDelay + TimeSpan.FromHours(1));

    // Longer than any lease.
    private long TakenTtl => 2 * (long)options.Value.Lease.TotalMilliseconds;

    private async Task<int> EvaluateAsync(RedisScript script, RedisKey[] keys, RedisValue[] arguments)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return (int)await script.EvaluateAsync(database, keys, arguments).ConfigureAwait(false);
    }

    /// <returns>False if its end was told, or is being told.</returns>
    public async Task<bool> NoteAsync(WatchNote note)
    {
        RedisValue[] arguments =
        [
            note.Life.ToString(), NameOf(note.Kind), note.LookAt, TtlOf(note.Lifetime), note.Id.ToString(), note.FormerId?.ToString() ?? "", note.Always.Count, .. Pairs(note.Always), .. Pairs(note.Initially),
        ];

        // Sent before this returns where there is a connection: what is sent before a commit is to be there before it. Noted twice is as good as once.
        var reply = await Failover.RepeatAsync(connection, database => WatchScripts.Note.EvaluateAsync(database, KeysOf(note.Life), arguments)).ConfigureAwait(false);
        return (int)reply != WatchScripts.Refused;
    }

    private static string NameOf(NoteKind kind) => kind switch
    {
        NoteKind.Begins => "begins",
        NoteKind.Lives => "lives",
        NoteKind.Changes => "changes",
        NoteKind.Moves => "moves",
        NoteKind.Ends => "ends",
        _ => "known",
    };

    private static IEnumerable<RedisValue> Pairs(IEnumerable<KeyValuePair<string, RedisValue>> values) =>
        values.SelectMany(static pair => new RedisValue[] { pair.Key, pair.Value.IsNull ? RedisValue.EmptyString : pair.Value });

    /// <summary>As <see cref="NoteAsync"/>, for who does not wait: a note that is lost only delays.</summary>
    /// <returns>Whether it was noted.</returns>
    public async Task<bool> SendAsync(WatchNote note)
    {
        try
        {
            return await NoteAsync(note).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            // Of whatever kind, the application's own connection factory included: nobody waits for it.
            logger.LifecycleNoteLost(exception);
            return false;
        }
    }

    /// <summary>Takes what is due, for as long as the lease.</summary>
    public async Task<(string Token, IReadOnlyList<SessionLife> Lives)> ClaimAsync(int shard, int most)
    {
        var now = Now;
        var token = Guid.NewGuid().ToString("N");
        var until = now + (long)options.Value.Lease.TotalMilliseconds;
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var due = (string[])(await WatchScripts.Claim.EvaluateAsync(database, [SetKey(shard), TakenKey(shard)], [now, until, most, token, TakenTtl]).ConfigureAwait(false))!;
        var lives = new List<SessionLife>(due.Length);
        foreach (var text in due)
        {
            if (SessionLife.TryParse(text, out var life) && life.Shard == shard)
            {
                lives.Add(life);
            }
            else
            {
                // Somebody else's.
                await database.SortedSetRemoveAsync(SetKey(shard), text).ConfigureAwait(false);
            }
        }

        return (token, lives);
    }

    /// <returns>Null where there is none.</returns>
    public async Task<WatchRecord?> ReadAsync(SessionLife life)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.HashGetAllAsync(RecordKey(life)).ConfigureAwait(false) is { Length: > 0 } entries ? new WatchRecord(entries) : null;
    }

    /// <summary>Says when to look at it next, and what was learned, if it still is the caller's; it is nobody's then.</summary>
    /// <param name="life">The life.</param>
    /// <param name="token">What the caller has it by.</param>
    /// <param name="record">The record that this was concluded from; null where it does not matter what was noted since.</param>
    /// <param name="lookAt">When to look next, Unix milliseconds.</param>
    /// <param name="lifetime">How long it may live yet.</param>
    /// <param name="learned">What changes in the record.</param>
    public Task<SettleOutcome> SettleAsync(SessionLife life, string token, WatchRecord? record, long lookAt, TimeSpan lifetime, params KeyValuePair<string, RedisValue>[] learned) =>
        SettleAsync(life, token, record, lookAt, TtlOf(lifetime), RedisValue.EmptyString, learned);

    /// <summary>The caller, if it still is the caller's, has it for another lease.</summary>
    public Task<SettleOutcome> HoldAsync(SessionLife life, string token, WatchRecord? record, params KeyValuePair<string, RedisValue>[] learned) =>
        SettleAsync(life, token, record, Now + (long)options.Value.Lease.TotalMilliseconds, TtlOf(TimeSpan.Zero), TakenTtl, learned);

    /// <summary>Watches it no more, and nobody is told.</summary>
    public Task<SettleOutcome> DropAsync(SessionLife life, string token, WatchRecord? record) =>
        SettleAsync(life, token, record, RedisValue.EmptyString, RedisValue.EmptyString, RedisValue.EmptyString, []);

    private async Task<SettleOutcome> SettleAsync(
        SessionLife life, string token, WatchRecord? record, RedisValue lookAt, RedisValue ttl, RedisValue taken, KeyValuePair<string, RedisValue>[] learned) =>
        (SettleOutcome)await EvaluateAsync(
            WatchScripts.Settle,
            [SetKey(life.Shard), RecordKey(life), TakenKey(life.Shard)],
            [life.ToString(), token, record?.TextOf(WatchRecord.Revision) ?? "", lookAt, ttl, taken, .. Pairs(learned)]).ConfigureAwait(false);

    /// <summary>Its end was told: nothing is left of it but that, for a while.</summary>
    public Task FinishAsync(SessionLife life)
    {
        var (now, toldFor) = (Now, (long)ToldFor.TotalMilliseconds);
        return EvaluateAsync(WatchScripts.Finish, [.. KeysOf(life), TakenKey(life.Shard)], [life.ToString(), now, now - toldFor, toldFor]);
    }

    /// <summary>A field of the application's, as the record keeps it; encrypted where the session's values are.</summary>
    public RedisValue Encode(SessionLife life, string name, byte[]? value) => value is null
        ? RedisValue.EmptyString
        : (byte[])[WatchRecord.FieldMark, .. _codec?.Encode(RecordKey(life), name, value) ?? value];

    /// <returns>Null for none, and for what is none of this record's.</returns>
    public byte[]? Decode(SessionLife life, string name, byte[]? stored) =>
        stored is not [WatchRecord.FieldMark, .. var value] ? null : _codec is null ? value : _codec.Decode(RecordKey(life), name, value);
}

/// <summary>Something noted of a life.</summary>
/// <param name="Life">Which.</param>
/// <param name="Kind">What.</param>
/// <param name="Id">The id that it is about.</param>
/// <param name="LookAt">When to look at it, Unix milliseconds.</param>
/// <param name="Lifetime">How long it lives unused.</param>
internal sealed record WatchNote(SessionLife Life, NoteKind Kind, Guid Id, long LookAt, TimeSpan Lifetime)
{
    /// <summary>The id that it has no more.</summary>
    public Guid? FormerId { get; init; }

    /// <summary>What changes in the record; empty removes.</summary>
    public Dictionary<string, RedisValue> Always { get; } = new(StringComparer.Ordinal);

    /// <summary>What else the record holds, where this begins it.</summary>
    public Dictionary<string, RedisValue> Initially { get; } = new(StringComparer.Ordinal);
}

internal enum SettleOutcome
{
    /// <summary>Somebody else has it.</summary>
    Refused = WatchScripts.Refused,

    Done = WatchScripts.Done,

    /// <summary>Something was noted since the record was read.</summary>
    Changed = WatchScripts.Changed,
}
