using RedisSessions.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>
/// What happens to the watch set. Each shard of it is of one slot: a sorted set of lives by when to look at them next, who took them last, those that were told of lately, and a
/// record beside it for each life, a hash. Times are the callers' (Unix milliseconds).
/// <para>
/// Whoever takes a life to look at it moves its time ahead by the lease, and leaves a token of its own: what the taker writes is refused once it is
/// another's, which comes sooner than the lease is over where somebody says that there is something to see. A record has a revision, which every note changes: so
/// what was concluded from hashes in other slots is written only if nobody noted anything since the record was read.
/// </para>
/// </summary>
internal static class WatchScripts
{
    public const int Refused = 0;
    public const int Done = 1;
    public const int Changed = 2;

    /// <summary>The most ids that a record holds: more means that servers died in the middle of as many changes of the id.</summary>
    private const string MostIds = "8";

    // Writes pairs to the record; what is empty goes. And keeps the keys for at least that long.
    private const string Parts =
        """
        local function put(first, last)
          for i = first, last, 2 do
            if ARGV[i + 1] == '' then redis.call('HDEL', record, ARGV[i]) else redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
          end
        end
        local function keep(key, ttl)
          if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
        end

        """;

    /// <summary>KEYS: watch set, those taken. ARGV: now, until when they are taken, how many at most, token, TTL of those taken. Answers them.</summary>
    public static readonly RedisScript Claim = new(
        """
        local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
        for _, life in ipairs(due) do
          redis.call('ZADD', KEYS[1], ARGV[2], life)
          redis.call('HSET', KEYS[2], life, ARGV[4])
        end
        if #due > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[5]) end
        return due
        """);

    /// <summary>
    /// KEYS: watch set, those told of, record. ARGV: life, how (<see cref="NoteKind"/>), when to look, TTL, id, former id that it has no more ('' for none), number of
    /// pairs, pairs, pairs for a record that this begins. A life whose end was told, or is being told, is left alone: what is noted of it is late.
    /// </summary>
    public static readonly RedisScript Note = new(
        $$"""
        local watch, told, record = KEYS[1], KEYS[2], KEYS[3]
        local life, how, look, ttl, id, former, last = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], 7 + 2 * tonumber(ARGV[7])
        {{Parts}}
        if redis.call('ZSCORE', told, life) or redis.call('HEXISTS', record, '{{WatchRecord.Over}}') == 1 then return 0 end
        local known = redis.call('EXISTS', record) == 1
        if not known and how == 'known' then return 1 end
        if not known then put(last + 1, #ARGV) end
        put(8, last)
        if how ~= 'begins' and how ~= 'known' then redis.call('HSET', record, '{{WatchRecord.Stored}}', '1') end
        local ids, has = {}, how == 'moves'
        if has then ids[1] = id end
        for other in string.gmatch(redis.call('HGET', record, '{{WatchRecord.Ids}}') or '', '%S+') do
          if other ~= former and not (how == 'moves' and other == id) and #ids < {{MostIds}} then ids[#ids + 1] = other end
          if other == id then has = true end
        end
        if not has then ids[math.min(#ids + 1, {{MostIds}})] = id end
        redis.call('HSET', record, '{{WatchRecord.Ids}}', table.concat(ids, ' '))
        redis.call('HINCRBY', record, '{{WatchRecord.Revision}}', 1)
        local due = redis.call('ZSCORE', watch, life)
        if not due or (how ~= 'lives' and tonumber(look) < tonumber(due)) then redis.call('ZADD', watch, look, life) end
        keep(watch, ttl)
        keep(record, ttl)
        return 1
        """);

    /// <summary>
    /// KEYS: watch set, record, those taken. ARGV: life, token, revision ('' for any), when to look ('' for never again), TTL, TTL of those taken ('' for having
    /// it no more), pairs. Only by who has it.
    /// </summary>
    public static readonly RedisScript Settle = new(
        $$"""
        local watch, record, taken = KEYS[1], KEYS[2], KEYS[3]
        local life, token, revision, look, ttl, has = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
        {{Parts}}
        if redis.call('HGET', taken, life) ~= token then return 0 end
        if revision ~= '' and redis.call('HGET', record, '{{WatchRecord.Revision}}') ~= revision then return 2 end
        if has == '' then redis.call('HDEL', taken, life) else redis.call('PEXPIRE', taken, has) end
        if look == '' then
          redis.call('ZREM', watch, life)
          redis.call('DEL', record)
          return 1
        end
        redis.call('ZADD', watch, look, life)
        put(7, #ARGV)
        keep(watch, ttl)
        keep(record, ttl)
        return 1
        """);

    /// <summary>
    /// KEYS: watch set, those told of, record, those taken. ARGV: life, now, until when what was told is forgotten, for how long it is remembered. By whoever has told it:
    /// it was told, whoever may have it now.
    /// </summary>
    public static readonly RedisScript Finish = new(
        """
        redis.call('ZREM', KEYS[1], ARGV[1])
        redis.call('DEL', KEYS[3])
        redis.call('HDEL', KEYS[4], ARGV[1])
        redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[3])
        redis.call('PEXPIRE', KEYS[2], ARGV[4])
        return 1
        """);
}

/// <summary>What is being noted of a life.</summary>
internal enum NoteKind
{
    /// <summary>It is about to be stored for the first time; whether that comes about nobody knows.</summary>
    Begins,

    /// <summary>It is there. When it is looked at next stays.</summary>
    Lives,

    /// <summary>It is there, and what is kept of it changes.</summary>
    Changes,

    /// <summary>It is there under another id, too, which is the newest.</summary>
    Moves,

    /// <summary>One of its hashes was deleted, for it ended.</summary>
    Ends,

    /// <summary>Only if it is known: it is to be looked at, or has an id no more.</summary>
    Known,
}
