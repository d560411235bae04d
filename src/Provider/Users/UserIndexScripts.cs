using System.Globalization;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// The index of one user's sessions: three keys in the slot of <c>{user}</c>.
/// <list type="bullet">
/// <item><c>user:{id}</c>, a sorted set: the sessions that count, by last use. Limits and pages go by it.</item>
/// <item><c>user:{id}:over</c>, a sorted set: every session whose hash may be there, by the time at which it is probably over: when it was
/// last refreshed, plus its life, plus one refresh interval, for it may be used once more without a refresh. What is past that
/// time leaves only when its hash was looked at. The score 0 says that the session was evicted and its hash has to go.</item>
/// <item><c>user:{id}:revoked</c>, a hash: when all of them were revoked last (<see cref="RevokedAt"/>), and the sessions that were spared.</item>
/// </list>
/// A session holds the revocation that it was begun under. With another one it enters no more, however late it comes: no clock
/// of any server decides that.
/// </summary>
internal static class UserIndexScripts
{
    /// <summary>The field of the revocation.</summary>
    public const string RevokedAt = "at";

    // Written like a revocation, for a session that its user's next sign-in made go.
    private const string Evicted = "--evicted";

    // How many entries past their time one reader looks after.
    private const string MostOverdue = "100";

    // The keys follow the entry that lives longest, and outlive one whose hash is to be looked at.
    private const string Keep =
        """
        local function keep()
          local newest = redis.call('ZREVRANGE', over, 0, 0, 'WITHSCORES')
          if newest[2] then
            local ttl = string.format('%d', math.max(60000, math.floor(tonumber(newest[2]) - tonumber(now))))
            redis.call('PEXPIRE', used, ttl)
            redis.call('PEXPIRE', over, ttl)
          end
        end

        """;

    private const string Overdue =
        "local function overdue(least) return redis.call('ZRANGEBYSCORE', over, least, '(' .. now, 'LIMIT', 0, " + MostOverdue + ") end\n";

    /// <summary>
    /// Enters or refreshes a session, within the limit. One step, so that however many sign in at once, no more than the limit are
    /// left; who has to go counts no more from then on, and stays among those to be looked after until the hash is gone.
    /// </summary>
    public static RedisScript Enter { get; } = new(
        """
        local used, over, revoked, now = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
        local ends, id, former, revocation, limit, rejects, patient = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]

        """ + Keep + Overdue + $$"""
        local latest = redis.call('HGET', revoked, '{{RevokedAt}}')
        if latest and latest ~= revocation then
          if redis.call('HEXISTS', revoked, id) == 0 then
            if redis.call('HEXISTS', revoked, former) == 0 then return {'{{nameof(EnterOutcome.Revoked)}}', latest} end
            redis.call('HSET', revoked, id, '')
          end
        end
        local known = redis.call('ZSCORE', over, id)
        if known and tonumber(known) == 0 then return {'{{nameof(EnterOutcome.Revoked)}}', '{{Evicted}}'} end
        local reply = {'{{nameof(EnterOutcome.Entered)}}'}
        if limit > 0 and not redis.call('ZSCORE', used, id) then
          local surplus = redis.call('ZCARD', used) + 1 - limit
          if redis.call('ZSCORE', used, former) then surplus = surplus - 1 end
          if surplus > 0 then
            local late = patient == '1' and overdue('(0') or {}
            if #late > 0 then
              table.insert(late, 1, '{{nameof(EnterOutcome.Overdue)}}')
              return late
            end
            if rejects == '1' then return {'{{nameof(EnterOutcome.Full)}}'} end
            for _, other in ipairs(redis.call('ZRANGE', used, 0, surplus)) do
              if other ~= former and #reply <= surplus then
                redis.call('ZREM', used, other)
                redis.call('ZADD', over, 0, other)
                reply[#reply + 1] = other
              end
            end
          end
        end
        redis.call('ZADD', used, now, id)
        redis.call('ZADD', over, ends, id)
        keep()
        return reply
        """);

    /// <param name="now">Unix milliseconds.</param>
    /// <param name="ends">When it is probably over, Unix milliseconds.</param>
    /// <param name="entry">The session.</param>
    /// <param name="former">The id that it had before, which counts with it as one; null for none: nothing is entered under no name.</param>
    /// <param name="limit">The most that may be; 0 for no limit.</param>
    /// <param name="rejects">Whether the session is rejected at the limit, rather than others evicted.</param>
    /// <param name="isPatient">Whether to answer first what is to be looked after before anything counts against the limit.</param>
    public static RedisValue[] EnterArguments(long now, long ends, UserEntry entry, Guid? former, int limit, bool rejects, bool isPatient) =>
        [now, ends, entry.Id.ToString(), former?.ToString() ?? "", entry.Revocation ?? "", limit, rejects, isPatient];

    public static (EnterOutcome Outcome, RedisValue[] Ids) EnterReply(RedisResult reply)
    {
        var words = (RedisValue[])reply!;
        return (Enum.Parse<EnterOutcome>((string)words[0]!), words[1..]);
    }

    /// <summary>Removes entries, whose hashes are gone or somebody else's. ARGV: now, then ids.</summary>
    public static RedisScript Remove { get; } = new(
        """
        local used, over, now = KEYS[1], KEYS[2], ARGV[1]

        """ + Keep + """
        for i = 2, #ARGV do
          redis.call('ZREM', used, ARGV[i])
          redis.call('ZREM', over, ARGV[i])
        end
        keep()
        return 1
        """);

    /// <summary>
    /// Sessions that live longer than their entries say. ARGV: now, then ids and the times at which they are over. Answers those that
    /// must not, for they were evicted.
    /// </summary>
    public static RedisScript Prolong { get; } = new(
        """
        local used, over, now, doomed = KEYS[1], KEYS[2], ARGV[1], {}

        """ + Keep + """
        for i = 2, #ARGV, 2 do
          local known = redis.call('ZSCORE', over, ARGV[i])
          if known and tonumber(known) == 0 then
            doomed[#doomed + 1] = ARGV[i]
          elseif known then
            redis.call('ZADD', over, ARGV[i + 1], ARGV[i])
          end
        end
        keep()
        return doomed
        """);

    /// <summary>One page, latest used first, and what is to be looked after. ARGV: now, first and last rank.</summary>
    public static RedisScript Page { get; } = new(
        """
        local used, over, now = KEYS[1], KEYS[2], ARGV[1]

        """ + Overdue + """
        return {redis.call('ZREVRANGE', used, ARGV[2], ARGV[3]), overdue('-inf')}
        """);

    public static (RedisValue[] Page, RedisValue[] Overdue) PageReply(RedisResult reply) => ((RedisValue[])reply[0]!, (RedisValue[])reply[1]!);

    /// <summary>How many count, and what is to be looked after. ARGV: now.</summary>
    public static RedisScript Count { get; } = new(
        """
        local used, over, now = KEYS[1], KEYS[2], ARGV[1]

        """ + Overdue + """
        return {redis.call('ZCARD', used), overdue('-inf')}
        """);

    public static (long Count, RedisValue[] Overdue) CountReply(RedisResult reply) => ((long)reply[0], (RedisValue[])reply[1]!);

    /// <summary>
    /// From here on nothing enters that was begun before, but what is spared. Kept for as long as a session may live. ARGV: the
    /// revocation, the least TTL, then the ids to spare.
    /// </summary>
    public static RedisScript MarkRevoked { get; } = new(
        $"""
        local over, revoked = KEYS[2], KEYS[3]
        redis.call('DEL', revoked)
        redis.call('HSET', revoked, '{RevokedAt}', ARGV[1])
        for i = 3, #ARGV do redis.call('HSET', revoked, ARGV[i], '') end
        redis.call('PEXPIRE', revoked, string.format('%d', math.max(tonumber(ARGV[2]), redis.call('PTTL', over))))
        return 1
        """);

    /// <summary>A fresh revocation: when, in UTC ticks, for a millisecond is long, something that no other has, and why.</summary>
    public static string NewRevocation(long ticks, SessionEndReason reason) =>
        string.Create(CultureInfo.InvariantCulture, $"{ticks}-{Random.Shared.NextInt64():x}-{SessionEnding.NameOf(reason)}");

    /// <summary>Why a revocation was made.</summary>
    public static SessionEndReason ReasonOf(string revocation) =>
        revocation.Split('-', 3) is [_, _, var reason] ? SessionEnding.Parse(reason) : SessionEndReason.Revoked;

    /// <summary>When a revocation was made, in UTC ticks.</summary>
    public static long TimeOf(string revocation) =>
        long.TryParse(revocation.AsSpan(0, Math.Max(0, revocation.IndexOf('-', StringComparison.Ordinal))), CultureInfo.InvariantCulture, out var time) ? time : 0;

    /// <summary>Notes a user as active, or, told 'NX', only as one to be found. ARGV: now, user id, the least TTL that the shard must have, '' or 'NX'.</summary>
    public static RedisScript NoteActivity { get; } = new(
        """
        if ARGV[4] == 'NX' then
          redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
        else
          redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
        end
        if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
        return 1
        """);

    /// <summary>
    /// On the session's own hash: notes where it was last seen, without a new version, since no request works with it.
    /// ARGV: creation time of the session meant, then names and values.
    /// </summary>
    public static RedisScript NoteSight { get; } = new(
        """
        if redis.call('HGET', KEYS[1], '@c') ~= ARGV[1] then return 0 end
        redis.call('HSET', KEYS[1], unpack(ARGV, 2))
        return 1
        """);
}

/// <summary>A session, as the index knows it.</summary>
/// <param name="Id">The session.</param>
/// <param name="Life">Its idle timeout.</param>
/// <param name="Revocation">Its user's revocation when it was begun; null if there was none.</param>
internal readonly record struct UserEntry(Guid Id, TimeSpan Life, string? Revocation);

/// <summary>What became of entering a session, and where it must not enter, why.</summary>
internal readonly record struct Entering(EnterOutcome Outcome, SessionRevocation? Revocation = null);

/// <summary>What became of entering a session.</summary>
internal enum EnterOutcome
{
    Entered,

    /// <summary>The user has the most sessions allowed.</summary>
    Full,

    /// <summary>It was begun before the user's sessions were revoked, or it was evicted.</summary>
    Revoked,

    /// <summary>Some entries are past their time, and are to be looked after first.</summary>
    Overdue,
}
