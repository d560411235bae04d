using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>Adds to one field of a session that exists, on the server, so that no increment of any server is lost. Sent again, it finds its own version and adds nothing. A field that expires by itself goes on doing so.</summary>
internal static class IncrementScript
{
    private static readonly ChangeScript Script = new(
        Parts.ReadIdentity + Parts.Slide +
        $$"""
        local expected_created, next_version, name, by = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
        if not version or created ~= expected_created then return 0 end
        local function sum() return {version, created, redis.call('HGET', key, name), expiring and redis.call('HGET', key, '{{FieldNames.ExpiryPrefix}}' .. name)} end
        if version == next_version then return sum() end
        changed(key, next_version)
        if expiring and not redis.call('HGET', key, name) then redis.call('HDEL', key, '{{FieldNames.ExpiryPrefix}}' .. name) end
        redis.call('HINCRBY', key, name, by)
        redis.call('HSET', key, '{{FieldNames.Version}}', next_version)
        if slide() then redis.call('HSET', key, '{{FieldNames.LastSeen}}', now) end
        return sum()
        """);

    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, SlideTimes times, long createdAt, long version, string name, long by, TurnFence? turn = null)
    {
        var arguments = new RedisValue[SlideTimes.Count + 4];
        times.WriteTo(arguments);
        arguments[5] = createdAt;
        arguments[6] = version;
        arguments[7] = FieldNames.Encode(name);
        arguments[8] = by;
        return Script.Begin(database, channel, [key], arguments, turn);
    }

    public static IncrementReply Reply(RedisResult reply, long version) => reply.Length >= 0
        ? new IncrementReply(new CommitReply(CommitOutcome.Done, version, (long)reply[0], (long)reply[1]), (byte[])reply[2]!, reply[3].IsNull ? null : (long)reply[3])
        : new IncrementReply(new CommitReply((int)reply == ChangeScript.TurnLost ? CommitOutcome.TurnLost : CommitOutcome.Missing), []);
}
