using RedisSessions.Redis;

namespace RedisSessions.Caching;

/// <summary>
/// Microsoft's layout: a hash of <c>absexp</c> and <c>sldexp</c> (ticks, -1 for none) and <c>data</c>. Each script leaves
/// the key with the TTL that these say, so that there is no moment at which a crash leaves a key without one.
/// </summary>
internal static class RedisHashCacheScripts
{
    /// <summary>ARGV: absexp, sldexp, TTL in milliseconds (-1: none), data.</summary>
    public static RedisScript Set { get; } = new(
        """
        redis.call('HSET', KEYS[1], 'absexp', ARGV[1], 'sldexp', ARGV[2], 'data', ARGV[4])
        if ARGV[3] ~= '-1' then
          redis.call('PEXPIRE', KEYS[1], ARGV[3])
        else
          redis.call('PERSIST', KEYS[1])
        end
        return 1
        """);

    /// <summary>
    /// Slides the TTL to the sliding expiration, at most to the absolute one. Needs local <c>entry</c>, whose first two are
    /// those; ARGV: now in ticks. Ticks exceed what Lua counts exactly, but not by what a millisecond would notice.
    /// </summary>
    private const string SlideEntry =
        """
        local sliding = tonumber(entry[2] or '-1') or -1
        if sliding >= 0 then
          local ttl = sliding
          local absolute = tonumber(entry[1] or '-1') or -1
          if absolute >= 0 then ttl = math.min(ttl, absolute - tonumber(ARGV[1])) end
          redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(0, math.floor(ttl / 10000))))
        end

        """;

    /// <summary>Slides, and answers the data; nil without an entry. One command where the data is wanted as an array.</summary>
    public static RedisScript Get { get; } = new(
        """
        local entry = redis.call('HMGET', KEYS[1], 'absexp', 'sldexp', 'data')

        """ + SlideEntry + "return entry[3]");

    /// <summary>Slides. Answers 1 if the entry is one that slides, else 0.</summary>
    public static RedisScript Slide { get; } = new(
        """
        local entry = redis.call('HMGET', KEYS[1], 'absexp', 'sldexp')

        """ + SlideEntry + "return sliding >= 0 and 1 or 0");
}
