using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Slides the TTL of a session in use, which it never shortens, and claims the heartbeat if that is due, for one caller of all
/// servers'. It leaves the version as it is, for no request works with what it writes. The TTL comes first, and what is
/// noted beside it may fail: a full Redis takes a PEXPIRE, but no HSET.
/// </summary>
internal static class SlideScript
{
    private const int Slid = 1;
    private const int SlidAndDue = 2;

    private static readonly ChangeScript Script = new(
        Parts.ReadIdentity + Parts.Slide +
        $"""
        if not version then return 0 end
        local interval, last_stretch = tonumber(ARGV[6]), slide('if needed')
        local due = interval > 0 and tonumber(now) - tonumber(identity[5] or 0) >= interval
        local noted
        if due and last_stretch then
          noted = redis.pcall('HSET', key, '{FieldNames.Heartbeat}', now, '{FieldNames.LastSeen}', now)
        elseif due then
          noted = redis.pcall('HSET', key, '{FieldNames.Heartbeat}', now)
        elseif last_stretch then
          noted = redis.pcall('HSET', key, '{FieldNames.LastSeen}', now)
        end
        if due and type(noted) == 'number' then return 2 end
        return 1
        """);

    /// <param name="database">The connection.</param>
    /// <param name="channel">Who holds copies listens there; null for nobody.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="times">What the TTL follows from.</param>
    /// <param name="heartbeat">How often the heartbeat is due; zero for never.</param>
    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, SlideTimes times, TimeSpan heartbeat)
    {
        var arguments = new RedisValue[SlideTimes.Count + 1];
        times.WriteTo(arguments);
        arguments[5] = (long)heartbeat.TotalMilliseconds;
        return Script.Begin(database, channel, [key], arguments);
    }

    public static SlideReply Reply(RedisResult reply) => (int)reply switch
    {
        Slid => SlideReply.Slid,
        SlidAndDue => SlideReply.SlidAndHeartbeatDue,
        _ => SlideReply.Missing,
    };
}
