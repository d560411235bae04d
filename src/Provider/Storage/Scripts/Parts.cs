namespace RedisSessions.Storage.Scripts;

/// <summary>
/// What scripts share. Everything that changes a session is one script on one key: Redis runs it whole or not at all, so there
/// is never a hash without its TTL, its version or its creation time, in any slot layout.
/// <para>
/// Numbers arrive and leave as decimal strings, and a version is only ever compared, never counted with. Times come from the
/// callers' clocks (Unix milliseconds) because only they are compared with each other; what Redis counts itself is the TTL.
/// </para>
/// </summary>
internal static class Parts
{
    /// <summary>What a script answers where there is no session, or not the one that the caller means.</summary>
    public const int Missing = 0;

    /// <summary>
    /// Lua's unpack fails somewhere above 7,000 arguments, so long argument lists are sent in pieces of an even number.
    /// </summary>
    public const string CallInPieces =
        """
        local function call_in_pieces(command, key, list, first, last)
          for i = first, last, 4000 do
            redis.call(command, key, unpack(list, i, math.min(i + 3999, last)))
          end
        end

        """;

    /// <summary>
    /// Leaves <c>key</c>, <c>version</c> and <c>created</c>, the last two false where there is no session, and the session's own
    /// timeouts; and <c>expiring</c>, false where no field ever expired by itself. A hash without readable metadata is somebody else's: it is refused and left as it is.
    /// </summary>
    public const string ReadIdentity =
        $"""
        local key = KEYS[1]
        local identity = redis.call('HMGET', key, '{FieldNames.Version}', '{FieldNames.Created}', '{FieldNames.IdleTimeout}', '{FieldNames.AbsoluteTimeout}', '{FieldNames.Heartbeat}', '{FieldNames.HasExpiring}')
        local version, created, own_idle, own_absolute, expiring = identity[1], identity[2], identity[3], identity[4], identity[6]
        if not (version and created and tonumber(version) and tonumber(created)) then
          if redis.call('EXISTS', key) == 1 then
            return redis.error_reply('BADSESSION the hash has no readable metadata')
          end
          version, created, own_idle, own_absolute = false, false, false, false
        end

        """;

    /// <summary>
    /// The first five arguments of every script that slides; <see cref="SlideTimes"/> writes them. Leaves <c>left()</c>, which
    /// answers what is left of the absolute timeout, false if it is over and nil if there is none; and <c>slide(how)</c>, which gives
    /// the key its TTL: the idle timeout plus a precision that follows from it, or what is left of the absolute timeout if that is less. A longer TTL is
    /// left as it is, but for what is past the absolute timeout; told <c>exactly</c>, it is set in any case, and told <c>if needed</c>, only where less than the
    /// idle timeout is left. Answers whether the absolute timeout was the shorter: the TTL then no longer tells when the
    /// session was last used. A session whose absolute timeout is over is deleted first, and counts as none.
    /// </summary>
    public const string Slide =
        """
        local now, idle, precision_limit, precision_divisor, absolute = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
        local function left()
          local limit = own_absolute or absolute
          if limit == '0' then return nil end
          local rest = tonumber(created) + tonumber(limit) - tonumber(now)
          return rest > 0 and rest
        end
        local function slide(how)
          local needed = tonumber(own_idle or idle)
          local precision = math.min(precision_limit, math.floor(needed / precision_divisor))
          local ttl, rest = needed + precision, left()
          local last_stretch = rest and rest < ttl
          if last_stretch then ttl = rest end
          if how ~= 'if needed' or last_stretch then needed = ttl end
          local present = redis.call('PTTL', key)
          if how == 'exactly' or present < needed then
            redis.call('PEXPIRE', key, string.format('%d', ttl))
          elseif rest and present > rest then
            redis.call('PEXPIRE', key, string.format('%d', rest))
          end
          return last_stretch
        end
        if version and left() == false then
          changed(key, '0')
          redis.call('DEL', key)
          version, created, own_idle, own_absolute = false, false, false, false
        end

        """;
}

/// <summary>The times that a script slides by, as its first arguments.</summary>
/// <param name="Now">Unix milliseconds.</param>
/// <param name="Idle">The idle timeout of a session that has none of its own, milliseconds.</param>
/// <param name="PrecisionLimit">The most by which the TTL is longer than the idle timeout, milliseconds.</param>
/// <param name="PrecisionDivisor">By which part of the idle timeout it is, at most.</param>
/// <param name="Absolute">The absolute timeout of a session that has none of its own, milliseconds; 0 for none.</param>
internal readonly record struct SlideTimes(long Now, long Idle, long PrecisionLimit, long PrecisionDivisor, long Absolute)
{
    public const int Count = 5;

    public void WriteTo(StackExchange.Redis.RedisValue[] arguments)
    {
        arguments[0] = Now;
        arguments[1] = Idle;
        arguments[2] = PrecisionLimit;
        arguments[3] = PrecisionDivisor;
        arguments[4] = Absolute;
    }
}
