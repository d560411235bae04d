using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Sets and removes fields of a session that exists, its TTL untouched: for who changes a session from outside, which is no
/// use of it. Who seals what there is afterwards must know what there was, and names the version that it knows.
/// </summary>
internal static class EditScript
{
    private const int Header = 3;
    private const int Changed = -1;

    private static readonly ChangeScript Script = new(
        Parts.CallInPieces + Parts.ReadIdentity +
        $"""
        if not version then return 0 end
        if ARGV[3] ~= '' and version ~= ARGV[3] then return -1 end
        local next_version, last_set = ARGV[1], 3 + 2 * tonumber(ARGV[2])
        changed(key, next_version)
        if expiring then
          for i = 4, last_set, 2 do redis.call('HDEL', key, '{FieldNames.ExpiryPrefix}' .. ARGV[i]) end
          for i = last_set + 1, #ARGV do redis.call('HDEL', key, '{FieldNames.ExpiryPrefix}' .. ARGV[i]) end
        end
        call_in_pieces('HSET', key, ARGV, 4, last_set)
        local removed = 0
        for i = last_set + 1, #ARGV do
          removed = removed + redis.call('HDEL', key, ARGV[i])
        end
        if last_set > 3 or removed > 0 then redis.call('HSET', key, '{FieldNames.Version}', next_version) end
        return 1 + removed
        """);

    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, long version, SessionDelta delta, FieldCodec? codec, long? expected = null, byte[]? seal = null)
    {
        var arguments = DeltaArguments.Behind(Header, key, delta, codec, seal, out var sets);
        arguments[0] = version;
        arguments[1] = sets;
        arguments[2] = expected is { } known ? known : RedisValue.EmptyString;
        return Script.Begin(database, channel, [key], arguments);
    }

    /// <summary>Whether it was at another version, and nothing was written.</summary>
    public static bool IsChanged(RedisResult reply) => (int)reply == Changed;

    /// <returns>How many fields were removed; <see langword="null"/> without a session.</returns>
    public static int? Reply(RedisResult reply) => (int)reply is > Parts.Missing and var answer ? answer - 1 : null;
}
