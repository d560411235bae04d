using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Of ten requests of one browser that come back after their session's end, one is told so: it writes that behind the word in the mark, or makes the mark of
/// a session that nobody ended. Whatever ends the session once more writes the mark anew, and whoever begins one under its id takes it away.
/// </summary>
internal static class ReturnScript
{
    private static readonly RedisScript Script = new(
        $$"""
        local mark, reason, kept, told = KEYS[1], ARGV[1], ARGV[2], '{{SessionEnding.Told}}'
        local said = redis.call('GET', mark)
        if said and string.sub(said, -string.len(told)) == told then return 0 end
        local left = said and redis.call('PTTL', mark) or 0
        redis.call('SET', mark, (said or reason) .. told, 'PX', left > 0 and left or kept)
        return 1
        """);

    /// <param name="database">The connection.</param>
    /// <param name="markKey">The mark's key.</param>
    /// <param name="reason">Why it ended, where there is no mark.</param>
    /// <param name="kept">How long a mark stays.</param>
    public static RedisScript.Call Begin(IDatabase database, string markKey, SessionEndReason reason, TimeSpan kept) =>
        Script.Begin(database, [markKey], [SessionEnding.NameOf(reason), (long)kept.TotalMilliseconds]);

    public static bool Reply(RedisResult reply) => (int)reply == 1;
}
