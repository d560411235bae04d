using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>Adds to the TTL of a session that exists, never past its absolute timeout. Answers the TTL that it has then.</summary>
internal static class ExtendScript
{
    private static readonly ChangeScript Script = new(
        Parts.ReadIdentity + Parts.Slide +
        """
        if not version then return 0 end
        local ttl, rest = math.max(redis.call('PTTL', key), 0) + tonumber(ARGV[6]), left()
        if rest and rest < ttl then ttl = rest end
        redis.call('PEXPIRE', key, string.format('%d', ttl))
        return ttl
        """);

    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, SlideTimes times, TimeSpan by)
    {
        var arguments = new RedisValue[SlideTimes.Count + 1];
        times.WriteTo(arguments);
        arguments[5] = Ttl.Milliseconds(by);
        return Script.Begin(database, channel, [key], arguments);
    }

    /// <returns><see langword="null"/> without a session.</returns>
    public static TimeSpan? Reply(RedisResult reply) => (long)reply is > Parts.Missing and var ttl ? TimeSpan.FromMilliseconds(ttl) : null;
}
