namespace RedisSessions.Storage;

/// <summary>
/// Everything that changes a session is one script on one key: Redis runs it whole or not at all, so there is never a hash
/// without its TTL, its version or its creation time, in any slot layout.
/// <para>
/// Numbers arrive and leave as decimal strings. Times come from the callers' clocks (Unix milliseconds) because only they
/// are compared with each other; what Redis counts itself is the TTL.
/// </para>
/// </summary>
internal static class SessionScripts
{
    /// <summary>What a script answers where there is no session.</summary>
    public const int Missing = 0;

    /// <summary>What the load script answers when the caller's copy is current.</summary>
    public const int Unchanged = 1;

    /// <summary><see cref="Unchanged"/>, and the heartbeat is due: see <see cref="Load"/>.</summary>
    public const int UnchangedAndDue = 2;

    /// <summary>
    /// Lua's unpack fails somewhere above 7,000 arguments, so long argument lists are sent in pieces of an even number.
    /// </summary>
    private const string CallInPieces =
        """
        local function call_in_pieces(command, key, list, first, last)
          for i = first, last, 4000 do
            redis.call(command, key, unpack(list, i, math.min(i + 3999, last)))
          end
        end

        """;

    /// <summary>
    /// Leaves <c>version</c> and <c>created</c>, both false where there is no session, and the session's own timeouts. A hash
    /// without readable metadata is somebody else's: it is refused and left as it is.
    /// </summary>
    private const string ReadIdentity =
        """
        local key = KEYS[1]
        local identity = redis.call('HMGET', key, '@v', '@c', '@i', '@a')
        local version, created, own_idle, own_absolute = identity[1], identity[2], identity[3], identity[4]
        if not (version and created and tonumber(version) and tonumber(created)) then
          if redis.call('EXISTS', key) == 1 then
            return redis.error_reply('BADSESSION the hash has no readable metadata')
          end
          version, created, own_idle, own_absolute = false, false, false, false
        end

        """;

    /// <summary>
    /// Slides the TTL to the idle timeout or to what is left of the absolute timeout, whichever is shorter. In that last
    /// stretch the TTL no longer tells when the session was last used, so that time is kept. Needs locals <c>created</c>,
    /// <c>own_idle</c>, <c>own_absolute</c>, <c>now</c>, <c>idle</c> and <c>absolute</c> (strings; the last two are
    /// defaults). <c>left()</c> answers what is left of the absolute timeout, false if it is over, nil if there is none;
    /// <c>slide()</c> answers false after deleting a session past it.
    /// </summary>
    private const string Slide =
        """
        local function left()
          local limit = own_absolute or absolute
          if limit == '0' then return nil end
          local rest = tonumber(created) + tonumber(limit) - tonumber(now)
          return rest > 0 and rest
        end
        local function slide()
          local ttl = own_idle or idle
          local rest = left()
          if rest == false then
            redis.call('DEL', key)
            return false
          end
          if rest and rest < tonumber(ttl) then
            ttl = string.format('%d', rest)
            redis.call('HSET', key, '@l', now)
          end
          redis.call('PEXPIRE', key, ttl)
          return true
        end

        """;

    /// <summary>What <see cref="Commit"/> and <see cref="Increment"/> begin with: ARGV up to the version to start from.</summary>
    private const string BeginChange =
        ReadIdentity +
        """
        local now, idle, absolute = ARGV[1], ARGV[2], ARGV[3]
        if ARGV[4] ~= '' and created ~= ARGV[4] then return 0 end

        """ + Slide +
        """
        if version and left() == false then
          redis.call('DEL', key)
          if ARGV[4] ~= '' then return 0 end
          version, own_idle, own_absolute = false, false, false
        end
        local next_version = ARGV[5]
        if version then
          next_version = string.format('%.0f', tonumber(version) + 1)
        else
          created = now
        end

        """;

    /// <summary>
    /// ARGV: the version of the caller's copy (empty: none), default idle timeout; then, where there is an absolute timeout or
    /// a heartbeat, default absolute timeout (0: none), now, heartbeat interval (0: none). Answers <see cref="Missing"/>,
    /// <see cref="Unchanged"/> or all fields. Slides the TTL in the same step. It runs on every request, so it does without
    /// the fragments that others share.
    /// <para>
    /// Where there is a heartbeat, one load an interval, of all servers', is told that it is due (<see cref="UnchangedAndDue"/>,
    /// or one more element after the fields), and does then what must be done about a session now and then.
    /// </para>
    /// <para>
    /// Without a version it answers <see cref="Missing"/> or <see cref="Unchanged"/> only: the caller then sends HGETALL
    /// behind it, in the same round trip, because values that pass through Lua are copied twice.
    /// </para>
    /// </summary>
    public static RedisScript Load { get; } = new(
        """
        local call, key, known = redis.call, KEYS[1], ARGV[1]
        local identity = call('HMGET', key, '@v', '@c', '@i', '@a', '@h')
        local version, created = identity[1], identity[2]
        if not (version and created and tonumber(version) and tonumber(created)) then
          if call('EXISTS', key) == 1 then
            return redis.error_reply('BADSESSION the hash has no readable metadata')
          end
          return 0
        end
        local ttl, limit, now = identity[3] or ARGV[2], identity[4] or ARGV[3] or '0', ARGV[4]
        if limit ~= '0' and now then
          local left = tonumber(created) + tonumber(limit) - tonumber(now)
          if left <= 0 then
            call('DEL', key)
            return 0
          end
          if left < tonumber(ttl) then
            ttl = string.format('%d', left)
            call('HSET', key, '@l', now)
          end
        end
        call('PEXPIRE', key, ttl)
        local due = false
        if ARGV[5] and ARGV[5] ~= '0' then
          due = tonumber(now) - tonumber(identity[5] or 0) >= tonumber(ARGV[5])
          if due then call('HSET', key, '@h', now) end
        end
        if known == '' or version == known then return due and 2 or 1 end
        local fields = call('HGETALL', key)
        if due then fields[#fields + 1] = '1' end
        return fields
        """);

    /// <summary>
    /// Applies a delta. ARGV: now, default idle timeout, default absolute timeout, creation time of the session that the
    /// caller loaded (empty: the caller saw none and may create it), version to start from on creation, 1 to remove what is
    /// there first, 1 if timeouts are among the fields, count of fields to set, then their names and values, then names to
    /// remove.
    /// <para>
    /// Answers <see cref="Missing"/> and writes nothing when the session that the caller loaded is gone, even if another
    /// has since been created under its id: a session never comes back from the dead. Else answers the new version and the
    /// creation time.
    /// </para>
    /// </summary>
    public static RedisScript Commit { get; } = new(
        CallInPieces + BeginChange +
        """
        if ARGV[6] == '1' then
          local doomed = {}
          for _, name in ipairs(redis.call('HKEYS', key)) do
            if string.sub(name, 1, 1) ~= '@' or string.sub(name, 1, 2) == '@@' then
              doomed[#doomed + 1] = name
            end
          end
          call_in_pieces('HDEL', key, doomed, 1, #doomed)
        end
        local last_set = 8 + 2 * tonumber(ARGV[8])
        local first_piece = math.min(last_set, 4008)
        redis.call('HSET', key, '@v', next_version, '@c', created, unpack(ARGV, 9, first_piece))
        call_in_pieces('HSET', key, ARGV, first_piece + 1, last_set)
        call_in_pieces('HDEL', key, ARGV, last_set + 1, #ARGV)
        if ARGV[7] == '1' then
          local own = redis.call('HMGET', key, '@i', '@a')
          own_idle, own_absolute = own[1], own[2]
        end
        slide()
        return {tonumber(next_version), created}
        """);

    /// <summary>
    /// Adds to one field. ARGV as in <see cref="Commit"/> up to the starting version, then the field's name and the
    /// amount. Answers <see cref="Missing"/>, or the new version, the creation time and the new value.
    /// </summary>
    public static RedisScript Increment { get; } = new(
        BeginChange +
        """
        redis.call('HINCRBY', key, ARGV[6], ARGV[7])
        redis.call('HSET', key, '@v', next_version, '@c', created)
        slide()
        return {tonumber(next_version), created, redis.call('HGET', key, ARGV[6])}
        """);

    /// <summary>
    /// Sets one field of a session that has not changed, for sums that Redis cannot make because it cannot read them. ARGV as
    /// in <see cref="Commit"/> up to the starting version, then the version expected (empty: no session), the field's name and
    /// value. Answers <see cref="Missing"/>, the new version and the creation time, or all fields of the changed session.
    /// </summary>
    public static RedisScript SetAtVersion { get; } = new(
        BeginChange +
        """
        if (version or '') ~= ARGV[6] then return redis.call('HGETALL', key) end
        redis.call('HSET', key, ARGV[7], ARGV[8], '@v', next_version, '@c', created)
        slide()
        return {tonumber(next_version), created}
        """);

    /// <summary>
    /// Writes a whole session, metadata included, in place of whatever is there. ARGV: now, default idle timeout, default
    /// absolute timeout, creation time, then all names and values. Answers <see cref="Missing"/> if its time is over.
    /// </summary>
    public static RedisScript Write { get; } = new(
        CallInPieces +
        """
        local key = KEYS[1]
        local now, idle, absolute, created = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
        local own_idle, own_absolute

        """ + Slide +
        """
        redis.call('DEL', key)
        call_in_pieces('HSET', key, ARGV, 5, #ARGV)
        local own = redis.call('HMGET', key, '@i', '@a')
        own_idle, own_absolute = own[1], own[2]
        if slide() then return 1 end
        return 0
        """);

    /// <summary>
    /// The last step of regeneration. KEYS: the session, and the key that says that it moved. ARGV: version that was carried
    /// over, for how long to say so. Deletes the session if it is still at that version and answers 1; else answers
    /// <see cref="Missing"/> or all fields, to be carried over again.
    /// </summary>
    public static RedisScript DeleteAtVersion { get; } = new(
        """
        local version = redis.call('HGET', KEYS[1], '@v')
        if not version then return 0 end
        if version == ARGV[1] then
          redis.call('DEL', KEYS[1])
          redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
          return 1
        end
        return redis.call('HGETALL', KEYS[1])
        """);

    /// <summary>All fields and the remaining TTL in milliseconds, without sliding it; <see cref="Missing"/> if there are none.</summary>
    public static RedisScript Read { get; } = new(
        ReadIdentity +
        """
        if not version then return 0 end
        return {redis.call('PTTL', key), redis.call('HGETALL', key)}
        """);

    /// <summary>One field's value in an array; an empty array without that field, <see cref="Missing"/> without a session.</summary>
    public static RedisScript ReadField { get; } = new(
        ReadIdentity +
        """
        if not version then return 0 end
        local value = redis.call('HGET', key, ARGV[1])
        if value then return {value} end
        return {}
        """);

    /// <summary>The names of all fields; <see cref="Missing"/> without a session.</summary>
    public static RedisScript ReadNames { get; } = new(
        ReadIdentity +
        """
        if not version then return 0 end
        return redis.call('HKEYS', key)
        """);

    /// <summary>
    /// Sets and removes fields of a session that exists, its TTL untouched. ARGV: count of fields to set, their names and
    /// values, then names to remove. Answers <see cref="Missing"/> and writes nothing without a session; else 1, plus the
    /// count of fields removed.
    /// </summary>
    public static RedisScript Change { get; } = new(
        CallInPieces + ReadIdentity +
        """
        if not version then return 0 end
        local last_set = 1 + 2 * tonumber(ARGV[1])
        call_in_pieces('HSET', key, ARGV, 2, last_set)
        local removed = 0
        for i = last_set + 1, #ARGV do
          removed = removed + redis.call('HDEL', key, ARGV[i])
        end
        if last_set > 1 or removed > 0 then redis.call('HINCRBY', key, '@v', 1) end
        return 1 + removed
        """);

    /// <summary>Slides the TTL. ARGV: now, default idle timeout, default absolute timeout. Answers 0 or 1.</summary>
    public static RedisScript Touch { get; } = new(
        ReadIdentity +
        """
        if not version then return 0 end
        local now, idle, absolute = ARGV[1], ARGV[2], ARGV[3]

        """ + Slide +
        """
        if slide() then return 1 end
        return 0
        """);

    /// <summary>
    /// Adds to the TTL, never past the absolute timeout. ARGV: now, default absolute timeout, milliseconds to add. Answers
    /// the new TTL in milliseconds, or <see cref="Missing"/>.
    /// </summary>
    public static RedisScript Extend { get; } = new(
        ReadIdentity +
        """
        if not version then return 0 end
        local now, absolute, idle = ARGV[1], ARGV[2]

        """ + Slide +
        """
        local ttl = redis.call('PTTL', key) + tonumber(ARGV[3])
        local rest = left()
        if rest == false then
          redis.call('DEL', key)
          return 0
        end
        ttl = math.min(ttl, rest or ttl)
        redis.call('PEXPIRE', key, string.format('%d', ttl))
        return ttl
        """);
}
