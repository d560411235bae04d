using System.Globalization;
using Microsoft.Extensions.Options;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Analytics;

/// <summary>
/// The figures in Redis. Each day has its own keys, which go with it: a hash of counters, a HyperLogLog of users, and sorted
/// sets of devices and addresses. Live sessions are in sharded sorted sets by the time at which they are certainly over; who
/// takes an entry out, of all servers, counts its end, so each end is counted once.
/// </summary>
internal sealed class AnalyticsStore(SessionHash hash, SessionKeys keys, IOptions<SessionAnalyticsOptions> options)
{
    public const int Shards = 16;
    private const string OtherEvents = "(other)";

    // A session may be used that long after it was entered without being entered again, and its end may wait that long on
    // another server, which knows why it ended.
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    // Longer than any record waits in a queue.
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    // A hostile variety of devices and addresses must not fill Redis; the tops stay right while others fall out.
    private const int MaxTops = 1_000;

    /// <summary>
    /// KEYS: live set, creation times, sessions that ended lately. ARGV: id, score, creation time, TTL. A use that waited on one
    /// server while another wrote the session's end must not enter it again: it would seem to expire.
    /// </summary>
    private static readonly RedisScript Enter = new(
        """
        if redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 0 end
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
        redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
        for i = 1, 2 do
          if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
        end
        return 1
        """);

    /// <summary>
    /// KEYS as <see cref="Enter"/>. ARGV: id, now, since when ends are remembered, for how long. Answers its creation time to
    /// whoever takes it out; false to all others.
    /// </summary>
    private static readonly RedisScript Leave = new(
        """
        redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[3])
        redis.call('PEXPIRE', KEYS[3], ARGV[4])
        if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return false end
        local created = redis.call('HGET', KEYS[2], ARGV[1])
        redis.call('HDEL', KEYS[2], ARGV[1])
        return created
        """);

    /// <summary>ARGV: field, value. Keeps the higher.</summary>
    private static readonly RedisScript KeepHighest = new(
        """
        if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) then
          redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
        end
        return 1
        """);

    /// <summary>ARGV: name, by how many, most names, name for the others.</summary>
    private static readonly RedisScript CountEvent = new(
        """
        local name = ARGV[1]
        if redis.call('HEXISTS', KEYS[1], name) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then name = ARGV[4] end
        return redis.call('HINCRBY', KEYS[1], name, ARGV[2])
        """);

    private SessionAnalyticsOptions Options => options.Value;

    private TimeSpan Retention => TimeSpan.FromDays(Options.RetentionDays);

    public long Now => hash.Timeouts.Now;

    public static DateOnly DayOf(long at) => DateOnly.FromDateTime(DateTimeOffset.FromUnixTimeMilliseconds(at).UtcDateTime);

    private string DayKey(DateOnly day, string what = "") => string.Create(CultureInfo.InvariantCulture, $"{keys.Prefix}stats:{day:yyyyMMdd}{what}");

    private string EventsKey(Guid id) => $"{keys.Prefix}events:{{{id}}}";

    private RedisKey[] ShardKeys(int shard) => [$"{keys.Prefix}stats:{{live{shard}}}", $"{keys.Prefix}stats:{{live{shard}}}:created", $"{keys.Prefix}stats:{{live{shard}}}:ended"];

    private RedisKey[] ShardKeysOf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes);
        return ShardKeys(bytes[0] % Shards);
    }

    private Task<IDatabase> DatabaseAsync() => hash.Connection.GetDatabaseAsync().AsTask();

    /// <summary>
    /// Writes a batch, pipelined, the day's counters summed first. Sessions are entered before any of them leaves, for a batch
    /// may hold both of one.
    /// </summary>
    public async Task WriteAsync(IReadOnlyList<AnalyticsRecord> records)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var counters = new Dictionary<(DateOnly Day, string Field), long>();
        var events = new Dictionary<(DateOnly Day, string Name), long>();
        var entering = new List<Task>();
        var leaving = new List<AnalyticsRecord>();
        var writes = new List<Task>();
        foreach (var record in records)
        {
            var day = DayOf(record.At);
            switch (record.Kind)
            {
                case RecordKind.Created:
                    Add(counters, (day, "created"), 1);
                    entering.Add(EnterAsync(database, record));
                    writes.Add(AddTopAsync(database, DayKey(day, ":agents"), record.Data));
                    writes.Add(AddTopAsync(database, DayKey(day, ":addresses"), record.Address));
                    break;
                case RecordKind.Used:
                    entering.Add(EnterAsync(database, record));
                    break;
                case RecordKind.UserSeen:
                    writes.Add(database.HyperLogLogAddAsync(DayKey(day, ":users"), record.Text!));
                    writes.Add(database.KeyExpireAsync(DayKey(day, ":users"), Retention));
                    break;
                case RecordKind.Moved:
                    entering.Add(EnterAsync(database, record));
                    leaving.Add(record);
                    break;
                case RecordKind.Ended:
                    leaving.Add(record);
                    break;
                case RecordKind.Event:
                    Add(events, (day, record.Text!), 1);
                    writes.Add(database.ListLeftPushAsync(EventsKey(record.SessionId), $"{record.At}\n{record.Text}\n{record.Data}"));
                    writes.Add(database.ListTrimAsync(EventsKey(record.SessionId), 0, Options.EventsPerSession - 1));
                    writes.Add(database.KeyExpireAsync(EventsKey(record.SessionId), Options.EventRetention));
                    break;
            }
        }

        await Task.WhenAll(entering).ConfigureAwait(false);
        foreach (var record in leaving)
        {
            writes.Add(record.Kind == RecordKind.Ended
                ? EndAsync(record.SessionId, record.At, record.Text!)
                : LeaveAsync(database, Guid.Parse(record.Text!)));
        }

        foreach (var ((day, field), count) in counters)
        {
            writes.Add(CountAsync(database, day, field, count));
        }

        foreach (var ((day, name), count) in events)
        {
            writes.Add(CountEvent.EvaluateAsync(database, [DayKey(day, ":events")], [name, count, Options.MaxEventNamesPerDay, OtherEvents]));
            writes.Add(database.KeyExpireAsync(DayKey(day, ":events"), Retention));
        }

        await Task.WhenAll(writes).ConfigureAwait(false);

        static void Add<TKey>(Dictionary<TKey, long> sums, TKey key, long by)
            where TKey : notnull => sums[key] = sums.GetValueOrDefault(key) + by;
    }

    private Task<RedisResult> LeaveAsync(IDatabase database, Guid id)
    {
        var now = Now;
        var remembered = (long)Remembered.TotalMilliseconds;
        return Leave.EvaluateAsync(database, ShardKeysOf(id), [id.ToString(), now, now - remembered, remembered]);
    }

    private Task EnterAsync(IDatabase database, AnalyticsRecord record) => Enter.EvaluateAsync(
        database,
        ShardKeysOf(record.SessionId),
        [record.SessionId.ToString(), record.At + record.LifeMilliseconds, record.CreatedAt, record.LifeMilliseconds + (long)TimeSpan.FromHours(1).TotalMilliseconds]);

    private async Task AddTopAsync(IDatabase database, RedisKey key, string? what)
    {
        if (!string.IsNullOrEmpty(what))
        {
            await database.SortedSetIncrementAsync(key, what, 1).ConfigureAwait(false);
            await database.SortedSetRemoveRangeByRankAsync(key, 0, -MaxTops - 1).ConfigureAwait(false);
            await database.KeyExpireAsync(key, Retention).ConfigureAwait(false);
        }
    }

    private async Task CountAsync(IDatabase database, DateOnly day, string field, long by)
    {
        await database.HashIncrementAsync(DayKey(day), field, by).ConfigureAwait(false);
        await database.KeyExpireAsync(DayKey(day), Retention).ConfigureAwait(false);
    }

    /// <summary>Counts the end of a session, unless another server has.</summary>
    private async Task EndAsync(Guid id, long at, string reason)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var reply = await LeaveAsync(database, id).ConfigureAwait(false);
        if (!long.TryParse((string?)reply, CultureInfo.InvariantCulture, out var created))
        {
            return;
        }

        var day = DayOf(at);
        await CountAsync(database, day, $"ended:{reason}", 1).ConfigureAwait(false);
        await CountAsync(database, day, "duration", Math.Max(0, at - created)).ConfigureAwait(false);
    }

    /// <summary>
    /// Ends sessions whose time is over and whose hash is gone; one that lives on, because it was used since it was last
    /// entered, is entered again. Also samples how many are live.
    /// </summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        for (var shard = 0; shard < Shards; shard++)
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var now = Now;
                var over = await database.SortedSetRangeByScoreWithScoresAsync(ShardKeys(shard)[0], double.NegativeInfinity, now - Grace.TotalMilliseconds, take: 500).ConfigureAwait(false);
                if (over.Length == 0)
                {
                    break;
                }

                await Task.WhenAll(over.Select(entry => SettleAsync(database, Guid.Parse((string)entry.Element!), (long)entry.Score, now))).ConfigureAwait(false);
            }
        }

        await SampleAsync(database).ConfigureAwait(false);
    }

    private async Task SettleAsync(IDatabase database, Guid id, long over, long now)
    {
        if (await database.KeyTimeToLiveAsync(keys.Session(id)).ConfigureAwait(false) is { } left)
        {
            await database.SortedSetAddAsync(ShardKeysOf(id)[0], id.ToString(), now + Math.Max(1, left.TotalMilliseconds), SortedSetWhen.Exists).ConfigureAwait(false);
        }
        else
        {
            await EndAsync(id, over, "expired").ConfigureAwait(false);
        }
    }

    public async Task SampleAsync(IDatabase? database = null)
    {
        database ??= await DatabaseAsync().ConfigureAwait(false);
        var now = Now;
        var hour = DateTimeOffset.FromUnixTimeMilliseconds(now).UtcDateTime.Hour;
        var live = await LiveAsync(database, now).ConfigureAwait(false);
        await KeepHighest.EvaluateAsync(database, [DayKey(DayOf(now))], [$"peak:{hour}", live]).ConfigureAwait(false);
        await database.KeyExpireAsync(DayKey(DayOf(now)), Retention).ConfigureAwait(false);
    }

    private async Task<long> LiveAsync(IDatabase database, long over)
    {
        var counts = new Task<long>[Shards];
        for (var shard = 0; shard < Shards; shard++)
        {
            counts[shard] = database.SortedSetLengthAsync(ShardKeys(shard)[0], over, double.PositiveInfinity, Exclude.Start);
        }

        return (await Task.WhenAll(counts).ConfigureAwait(false)).Sum();
    }

    public async Task<SessionStatistics> MetricsAsync()
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var now = Now;
        var total = LiveAsync(database, now);

        // An entry's time is last use plus idle timeout, so what was used within the window is over after this.
        var active = LiveAsync(database, Math.Max(now, now - (long)Options.ActiveWindow.TotalMilliseconds + (long)hash.Timeouts.IdleTimeout.TotalMilliseconds));
        var today = await DayAsync(database, DayOf(now)).ConfigureAwait(false);
        return new SessionStatistics(
            await total.ConfigureAwait(false), await active.ConfigureAwait(false), today.UniqueUsers, today.SessionsPerUser, today.AverageDuration, today.TopUserAgents, today.TopAddresses);
    }

    public async Task<DailyReport> ReportAsync(DateOnly day)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var before = DayAsync(database, day.AddDays(-1));
        var report = await DayAsync(database, day).ConfigureAwait(false);
        var previous = await before.ConfigureAwait(false);
        return report with { CreatedChange = report.Created - previous.Created, UniqueUsersChange = report.UniqueUsers - previous.UniqueUsers };
    }

    private async Task<DailyReport> DayAsync(IDatabase database, DateOnly day)
    {
        var counters = database.HashGetAllAsync(DayKey(day));
        var users = database.HyperLogLogLengthAsync(DayKey(day, ":users"));
        var agents = TopAsync(database, DayKey(day, ":agents"));
        var addresses = TopAsync(database, DayKey(day, ":addresses"));
        var values = (await counters.ConfigureAwait(false)).ToDictionary(entry => (string)entry.Name!, entry => (long)entry.Value, StringComparer.Ordinal);
        var unique = await users.ConfigureAwait(false);
        var peaks = new long[24];
        for (var hour = 0; hour < peaks.Length; hour++)
        {
            peaks[hour] = Value($"peak:{hour}");
        }

        var (signedOut, revoked, expired, rejected) = (Value("ended:signed-out"), Value("ended:revoked"), Value("ended:expired"), Value("ended:rejected"));
        var ended = signedOut + revoked + expired + rejected;
        return new DailyReport(
            day,
            Value("created"),
            signedOut,
            revoked,
            expired,
            rejected,
            unique,
            unique == 0 ? 0 : (double)Value("created") / unique,
            ended == 0 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Value("duration") / ended),
            peaks,
            await agents.ConfigureAwait(false),
            await addresses.ConfigureAwait(false),
            0,
            0);

        long Value(string field) => values.GetValueOrDefault(field);
    }

    private async Task<KeyValuePair<string, long>[]> TopAsync(IDatabase database, RedisKey key)
    {
        var entries = await database.SortedSetRangeByRankWithScoresAsync(key, 0, Options.TopCount - 1, Order.Descending).ConfigureAwait(false);
        return Array.ConvertAll(entries, entry => new KeyValuePair<string, long>((string)entry.Element!, (long)entry.Score));
    }

    public async Task<SessionEvent[]> EventsAsync(Guid id)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var entries = await database.ListRangeAsync(EventsKey(id)).ConfigureAwait(false);
        return Array.ConvertAll(entries, entry =>
        {
            var parts = ((string)entry!).Split('\n', 3);
            return new SessionEvent(parts[1], DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(parts[0], CultureInfo.InvariantCulture)), parts[2].Length == 0 ? null : parts[2]);
        });
    }

    public async Task<Dictionary<string, long>> EventCountsAsync(DateOnly day)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var entries = await database.HashGetAllAsync(DayKey(day, ":events")).ConfigureAwait(false);
        return entries.ToDictionary(entry => (string)entry.Name!, entry => (long)entry.Value, StringComparer.Ordinal);
    }
}
