using RedisSessions.Redis;

namespace RedisSessions.Users;

/// <summary>
/// The sorted set of one user's sessions. An entry's score is the time at which it is certainly over: when the session was
/// last refreshed, plus its life, plus one refresh interval, for a session may be used once more without a refresh. So what
/// has a score in the past can go, and nothing alive has one. The set's own TTL follows its newest entry.
/// </summary>
internal static class UserIndexScripts
{
    private const string ExpireWithNewest =
        """
        local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
        if newest[2] then
          redis.call('PEXPIRE', key, string.format('%d', math.max(1, math.floor(tonumber(newest[2]) - tonumber(now)))))
        end

        """;

    /// <summary>
    /// Enters or refreshes a session, within the limit. ARGV: now, score, id, limit (0: none), 1 to reject rather than to
    /// evict, id that this one replaces (empty: none). Answers 0 if rejected, else the ids that had to go: atomic, so that
    /// however many sign in at once, no more than the limit are left.
    /// </summary>
    public static RedisScript Enter { get; } = new(
        """
        local key, now, limit = KEYS[1], ARGV[1], tonumber(ARGV[4])
        redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. now)
        if ARGV[6] ~= '' then redis.call('ZREM', key, ARGV[6]) end
        local evicted = {}
        if limit > 0 and not redis.call('ZSCORE', key, ARGV[3]) then
          local over = redis.call('ZCARD', key) + 1 - limit
          if over > 0 then
            if ARGV[5] == '1' then return 0 end
            evicted = redis.call('ZRANGE', key, 0, over - 1)
            for _, id in ipairs(evicted) do redis.call('ZREM', key, id) end
          end
        end
        redis.call('ZADD', key, ARGV[2], ARGV[3])

        """ + ExpireWithNewest + "return evicted");

    /// <summary>Removes entries. ARGV: now, then ids. Answers how many were there.</summary>
    public static RedisScript Remove { get; } = new(
        """
        local key, now, removed = KEYS[1], ARGV[1], 0
        for i = 2, #ARGV do removed = removed + redis.call('ZREM', key, ARGV[i]) end

        """ + ExpireWithNewest + "return removed");

    /// <summary>One page, newest first, after removing what is over. ARGV: now, first and last rank.</summary>
    public static RedisScript Page { get; } = new(
        """
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
        return redis.call('ZREVRANGE', KEYS[1], ARGV[2], ARGV[3])
        """);

    /// <summary>The count after removing what is over. ARGV: now.</summary>
    public static RedisScript Count { get; } = new(
        """
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
        return redis.call('ZCARD', KEYS[1])
        """);

    /// <summary>Notes that a user was active. ARGV: now, user id, the least TTL that the shard must have.</summary>
    public static RedisScript NoteActivity { get; } = new(
        """
        redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
        if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
        return 1
        """);

    /// <summary>
    /// On the session's own hash: deletes it if it belongs to the user. ARGV: user id. Answers 0 without a session, 1 when
    /// deleted, 2 when it is somebody else's.
    /// </summary>
    public static RedisScript Revoke { get; } = new(
        """
        if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        if redis.call('HGET', KEYS[1], '@u') ~= ARGV[1] then return 2 end
        redis.call('DEL', KEYS[1])
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
