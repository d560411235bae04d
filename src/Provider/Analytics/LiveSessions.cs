using System.Globalization;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Analytics;

/// <summary>
/// The sessions that live, in sharded sorted sets by the time at which they are certainly over. Whoever takes one out, of all
/// servers, counts its end, so that each end is counted once. Servers write what they saw in an order of their own: an end
/// may arrive before the creation, and a use after the end.
/// </summary>
internal sealed class LiveSessions(SessionKeys keys)
{
    public const int Shards = 16;

    // Longer than any record waits in a queue.
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    // The hash of creation times holds, for a session that is not live, why it ended before it was seen created.
    private const string Ended = "ended:";

    /// <summary>
    /// KEYS: live set, creation times, sessions that ended lately. ARGV: id, score, creation time, TTL, 1 if it is the creation.
    /// A use that waited on one server while another wrote the session's end must not enter it again: it would seem to expire.
    /// A browser that comes back gives a later session the same id, which the creation time tells apart. Answers an end that is
    /// still to be counted (reason, time, creation): one that was written before the creation, or that nobody saw before the
    /// next session of the id began.
    /// </summary>
    private static readonly RedisScript Enter = new(
        $$"""
        local known = redis.call('HGET', KEYS[2], ARGV[1])
        local ended = redis.call('ZSCORE', KEYS[3], ARGV[1])
        if ended then
          if tonumber(ARGV[3]) < tonumber(ended) then
            if ARGV[5] ~= '1' or not known then return false end
            redis.call('HDEL', KEYS[2], ARGV[1])
            return {known, ended, ARGV[3]}
          end
          redis.call('ZREM', KEYS[3], ARGV[1])
        end
        local over = redis.call('ZSCORE', KEYS[1], ARGV[1])
        if over and known and tonumber(ARGV[3]) < tonumber(known) then return false end
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
        redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
        for i = 1, 2 do
          if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
        end
        if over and known and tonumber(ARGV[3]) > tonumber(known) then
          return {'{{Ended + EndReasons.Expired}}', string.format('%.0f', math.min(tonumber(over), tonumber(ARGV[3]))), known}
        end
        return false
        """);

    /// <summary>
    /// KEYS as <see cref="Enter"/>. ARGV: id, now, since when ends are remembered, for how long, why it ended ('' if its life
    /// goes on under another id), the latest creation that this can be about. Answers its creation time to whoever takes it
    /// out; false to all others. News of an expiry may come when the browser has come back and the id is another session's, which
    /// it must not end.
    /// </summary>
    private static readonly RedisScript Leave = new(
        """
        for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[3], 'LIMIT', 0, 100)) do
          redis.call('ZREM', KEYS[3], old)
          if not redis.call('ZSCORE', KEYS[1], old) then redis.call('HDEL', KEYS[2], old) end
        end
        local known = redis.call('HGET', KEYS[2], ARGV[1])
        if tonumber(known) and tonumber(known) > tonumber(ARGV[6]) then return false end
        local first = redis.call('ZADD', KEYS[3], 'NX', ARGV[2], ARGV[1])
        redis.call('PEXPIRE', KEYS[3], ARGV[4])
        if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then
          redis.call('HDEL', KEYS[2], ARGV[1])
          return known
        end
        if first == 1 and ARGV[5] ~= '' then
          redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
          if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
        end
        return false
        """);

    private RedisKey[] KeysOf(int shard) => [$"{keys.Prefix}stats:{{live{shard}}}", $"{keys.Prefix}stats:{{live{shard}}}:created", $"{keys.Prefix}stats:{{live{shard}}}:ended"];

    private RedisKey[] KeysOf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes);
        return KeysOf(bytes[0] % Shards);
    }

    /// <summary>Enters a session that was created or used. Answers an end that is still to be counted.</summary>
    public async Task<SessionEnd?> EnterAsync(IDatabase database, AnalyticsRecord record)
    {
        var reply = await Enter.EvaluateAsync(
            database,
            KeysOf(record.SessionId),
            [
                record.SessionId.ToString(),
                record.At + record.LifeMilliseconds,
                record.CreatedAt,
                record.LifeMilliseconds + (long)TimeSpan.FromHours(1).TotalMilliseconds,
                record.Kind == RecordKind.Created,
            ]).ConfigureAwait(false);
        return (string[]?)reply is [{ } reason, { } at, { } created] && reason.StartsWith(Ended, StringComparison.Ordinal)
            ? new SessionEnd(record.SessionId, reason[Ended.Length..], (long)double.Parse(at, CultureInfo.InvariantCulture), long.Parse(created, CultureInfo.InvariantCulture))
            : null;
    }

    /// <summary>Takes a session out. Answers its end to the one that is to count it.</summary>
    /// <param name="database">The database.</param>
    /// <param name="id">The session.</param>
    /// <param name="at">When it ended, Unix milliseconds.</param>
    /// <param name="reason">Why; null if its life goes on under another id, which nobody counts.</param>
    /// <param name="now">The time, Unix milliseconds.</param>
    /// <param name="createdBy">What was created later is another session of the same id, and stays.</param>
    public async Task<SessionEnd?> LeaveAsync(IDatabase database, Guid id, long at, string? reason, long now, long createdBy = long.MaxValue)
    {
        var remembered = (long)Remembered.TotalMilliseconds;
        var reply = await Leave.EvaluateAsync(
            database,
            KeysOf(id),
            [id.ToString(), now, now - remembered, remembered, reason is null ? "" : Ended + reason, createdBy]).ConfigureAwait(false);
        return reason is not null && long.TryParse((string?)reply, CultureInfo.InvariantCulture, out var created)
            ? new SessionEnd(id, reason, at, created)
            : null;
    }

    /// <summary>Moves the time at which a session is over, if it is live.</summary>
    public Task KeepAsync(IDatabase database, Guid id, double over) =>
        database.SortedSetAddAsync(KeysOf(id)[0], id.ToString(), over, SortedSetWhen.Exists);

    /// <summary>Some of those that were over by then.</summary>
    public async Task<(Guid Id, long Over)[]> FindOverAsync(IDatabase database, int shard, double until, int most)
    {
        var entries = await database.SortedSetRangeByScoreWithScoresAsync(KeysOf(shard)[0], double.NegativeInfinity, until, take: most).ConfigureAwait(false);
        return Array.ConvertAll(entries, entry => (Guid.Parse((string)entry.Element!), (long)entry.Score));
    }

    /// <summary>How many are over only after that.</summary>
    public async Task<long> CountAsync(IDatabase database, long over)
    {
        var counts = new Task<long>[Shards];
        for (var shard = 0; shard < Shards; shard++)
        {
            counts[shard] = database.SortedSetLengthAsync(KeysOf(shard)[0], over, double.PositiveInfinity, Exclude.Start);
        }

        return (await Task.WhenAll(counts).ConfigureAwait(false)).Sum();
    }
}

/// <summary>A session's end, to be counted.</summary>
/// <param name="Id">The session.</param>
/// <param name="Reason">Why it ended, of <see cref="EndReasons"/>.</param>
/// <param name="At">When, Unix milliseconds.</param>
/// <param name="CreatedAt">When it was created, Unix milliseconds.</param>
internal readonly record struct SessionEnd(Guid Id, string Reason, long At, long CreatedAt);

/// <summary>Why sessions end: as they are counted, and as the events are named.</summary>
internal static class EndReasons
{
    public const string SignedOut = "signed out";
    public const string Revoked = "revoked";
    public const string Expired = "expired";
    public const string Rejected = "rejected";
}
