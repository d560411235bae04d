using System.Globalization;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Analytics;

/// <summary>
/// The figures in Redis. Each day has its own keys, which go with it: a hash of counters, a HyperLogLog of users, and sorted
/// sets of devices and addresses.
/// </summary>
internal sealed class AnalyticsStore(RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys, IOptions<SessionAnalyticsOptions> options)
{
    // The parts of a day's keys; its counters have none.
    private const string Users = ":users";
    private const string Agents = ":agents";
    private const string Addresses = ":addresses";
    private const string Events = ":events";

    // A session may be used that long after it was entered without being entered again, and its end may wait that long on
    // another server, which knows why it ended.
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    // A hostile variety of devices and addresses must not fill Redis; the tops stay right while others fall out.
    private const int MaxTops = 1_000;

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

    private readonly LiveSessions _live = new(keys);
    private readonly SessionEvents _events = new(keys, options.Value);

    private SessionAnalyticsOptions Options => options.Value;

    private TimeSpan Retention => TimeSpan.FromDays(Options.RetentionDays);

    public long Now => timeouts.Now;

    public static DateOnly DayOf(long at) => DateOnly.FromDateTime(DateTimeOffset.FromUnixTimeMilliseconds(at).UtcDateTime);

    private string DayKey(DateOnly day, string what = "") => string.Create(CultureInfo.InvariantCulture, $"{keys.Prefix}stats:{day:yyyyMMdd}{what}");

    private Task<IDatabase> DatabaseAsync() => connection.GetDatabaseAsync().AsTask();

    /// <summary>
    /// Writes a batch, pipelined, the day's counters summed first. Sessions are entered before any of them leaves, for a batch
    /// may hold both of one.
    /// </summary>
    public async Task WriteAsync(IReadOnlyList<AnalyticsRecord> records)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var sums = new DaySums();
        var entering = new List<Task<SessionEnd?>>();
        var leaving = new List<Task<SessionEnd?>>();
        var moving = new Dictionary<Guid, Task>();
        var writes = new List<Task>();
        foreach (var record in records)
        {
            var day = DayOf(record.At);
            switch (record.Kind)
            {
                case RecordKind.Created:
                    sums.Add(day, "", "created");
                    sums.Add(day, Agents, record.Data);
                    sums.Add(day, Addresses, record.Address);
                    entering.Add(_live.EnterAsync(database, record));
                    break;
                case RecordKind.Used or RecordKind.Moved:
                    entering.Add(_live.EnterAsync(database, record));
                    break;
                case RecordKind.UserSeen:
                    writes.Add(database.HyperLogLogAddAsync(DayKey(day, Users), record.Text!));
                    writes.Add(database.KeyExpireAsync(DayKey(day, Users), Retention));
                    break;
                case RecordKind.Event:
                    sums.Add(day, Events, record.Text);
                    writes.Add(_events.AddAsync(database, record.SessionId, record.At, record.Text!, record.Data));
                    break;
            }
        }

        var ends = new List<SessionEnd?>(await Task.WhenAll(entering).ConfigureAwait(false));
        foreach (var record in records)
        {
            switch (record.Kind)
            {
                case RecordKind.Ended:
                    leaving.Add(_live.LeaveAsync(
                        database, record.SessionId, record.At, record.Text, Now, createdBy: record.Text == EndReasons.Expired ? record.At : long.MaxValue));
                    break;
                case RecordKind.Moved:
                    var formerId = Guid.Parse(record.Text!);
                    leaving.Add(_live.LeaveAsync(database, formerId, record.At, null, Now));
                    moving[record.SessionId] = _events.MoveAsync(database, formerId, record.SessionId, after: moving.GetValueOrDefault(formerId));
                    break;
            }
        }

        ends.AddRange(await Task.WhenAll(leaving).ConfigureAwait(false));
        await Task.WhenAll(moving.Values).ConfigureAwait(false);
        writes.Add(WriteEndsAsync(database, ends, sums));
        await Task.WhenAll(writes).ConfigureAwait(false);
    }

    /// <summary>Ends are events, too, recorded by the one who counts them.</summary>
    private Task WriteEndsAsync(IDatabase database, IEnumerable<SessionEnd?> ends, DaySums sums)
    {
        var writes = new List<Task>();
        foreach (var end in ends)
        {
            if (end is { } ended)
            {
                var day = DayOf(ended.At);
                sums.Add(day, "", $"ended:{ended.Reason}");
                sums.Add(day, "", "duration", Math.Max(0, ended.At - ended.CreatedAt));
                sums.Add(day, Events, ended.Reason);
                writes.Add(_events.AddAsync(database, ended.Id, ended.At, ended.Reason));
            }
        }

        writes.Add(WriteSumsAsync(database, sums));
        return Task.WhenAll(writes);
    }

    private async Task WriteSumsAsync(IDatabase database, DaySums sums)
    {
        var writes = new List<Task>();
        var written = new HashSet<RedisKey>();
        foreach (var ((day, part, name), by) in sums.Sums)
        {
            var key = DayKey(day, part);
            written.Add(key);
            writes.Add(part switch
            {
                "" => database.HashIncrementAsync(key, name, by),
                Events => CountEvent.EvaluateAsync(database, [key], [name, by, LifecycleEvents.Contains(name) ? int.MaxValue : Options.MaxEventNamesPerDay, LifecycleEvents.Other]),
                _ => database.SortedSetIncrementAsync(key, name, by),
            });
            if (part is Agents or Addresses)
            {
                writes.Add(database.SortedSetRemoveRangeByRankAsync(key, 0, -MaxTops - 1));
            }
        }

        writes.AddRange(written.Select(key => database.KeyExpireAsync(key, Retention)));
        await Task.WhenAll(writes).ConfigureAwait(false);
    }

    /// <summary>
    /// Ends sessions whose time is over and whose hash is gone; one that lives on, because it was used since it was last
    /// entered, is entered again. Also samples how many are live.
    /// </summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        for (var shard = 0; shard < LiveSessions.Shards; shard++)
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var now = Now;
                var over = await _live.FindOverAsync(database, shard, now - Grace.TotalMilliseconds, most: 500).ConfigureAwait(false);
                if (over.Length == 0)
                {
                    break;
                }

                var ends = await Task.WhenAll(over.Select(entry => SettleAsync(database, entry.Id, entry.Over, now))).ConfigureAwait(false);
                await WriteEndsAsync(database, ends, new DaySums()).ConfigureAwait(false);
            }
        }

        await SampleAsync().ConfigureAwait(false);
    }

    private async Task<SessionEnd?> SettleAsync(IDatabase database, Guid id, long over, long now)
    {
        if (await database.KeyTimeToLiveAsync(keys.Session(id)).ConfigureAwait(false) is { } left)
        {
            await _live.KeepAsync(database, id, now + Math.Max(1, left.TotalMilliseconds)).ConfigureAwait(false);
            return null;
        }

        var end = await _live.LeaveAsync(database, id, over, EndReasons.Expired, now, createdBy: over).ConfigureAwait(false);
        if (end is null)
        {
            // Another server's, or a later session of the same id, which is looked at again when its time is over.
            await _live.KeepAsync(database, id, now + timeouts.IdleTimeout.TotalMilliseconds).ConfigureAwait(false);
        }

        return end;
    }

    public async Task SampleAsync()
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var now = Now;
        var hour = DateTimeOffset.FromUnixTimeMilliseconds(now).UtcDateTime.Hour;
        var live = await _live.CountAsync(database, now).ConfigureAwait(false);
        await KeepHighest.EvaluateAsync(database, [DayKey(DayOf(now))], [$"peak:{hour}", live]).ConfigureAwait(false);
        await database.KeyExpireAsync(DayKey(DayOf(now)), Retention).ConfigureAwait(false);
    }

    public async Task<SessionStatistics> MetricsAsync()
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var now = Now;
        var total = _live.CountAsync(database, now);

        // An entry's time is last use plus idle timeout, so what was used within the window is over after this.
        var active = _live.CountAsync(database, Math.Max(now, now - (long)Options.ActiveWindow.TotalMilliseconds + (long)timeouts.IdleTimeout.TotalMilliseconds));
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
        var users = database.HyperLogLogLengthAsync(DayKey(day, Users));
        var agents = TopAsync(database, DayKey(day, Agents));
        var addresses = TopAsync(database, DayKey(day, Addresses));
        var values = (await counters.ConfigureAwait(false)).ToDictionary(entry => (string)entry.Name!, entry => (long)entry.Value, StringComparer.Ordinal);
        var unique = await users.ConfigureAwait(false);
        var peaks = new long[24];
        for (var hour = 0; hour < peaks.Length; hour++)
        {
            peaks[hour] = Value($"peak:{hour}");
        }

        var (signedOut, revoked, expired, rejected) = (Ended(EndReasons.SignedOut), Ended(EndReasons.Revoked), Ended(EndReasons.Expired), Ended(EndReasons.Rejected));
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

        long Ended(string reason) => Value($"ended:{reason}");

        long Value(string field) => values.GetValueOrDefault(field);
    }

    private async Task<KeyValuePair<string, long>[]> TopAsync(IDatabase database, RedisKey key)
    {
        var entries = await database.SortedSetRangeByRankWithScoresAsync(key, 0, Options.TopCount - 1, Order.Descending).ConfigureAwait(false);
        return Array.ConvertAll(entries, entry => new KeyValuePair<string, long>((string)entry.Element!, (long)entry.Score));
    }

    public async Task<SessionEvent[]> EventsAsync(Guid id) => await _events.ReadAsync(await DatabaseAsync().ConfigureAwait(false), id).ConfigureAwait(false);

    public async Task<Dictionary<string, long>> EventCountsAsync(DateOnly day)
    {
        var database = await DatabaseAsync().ConfigureAwait(false);
        var entries = await database.HashGetAllAsync(DayKey(day, Events)).ConfigureAwait(false);
        return entries.ToDictionary(entry => (string)entry.Name!, entry => (long)entry.Value, StringComparer.Ordinal);
    }

    /// <summary>What a batch adds to the days' figures: a day's keys are written once a batch, not once a record.</summary>
    private sealed class DaySums
    {
        public Dictionary<(DateOnly Day, string Part, string Name), long> Sums { get; } = [];

        public void Add(DateOnly day, string part, string? name, long by = 1)
        {
            if (!string.IsNullOrEmpty(name))
            {
                Sums[(day, part, name)] = Sums.GetValueOrDefault((day, part, name)) + by;
            }
        }
    }
}
