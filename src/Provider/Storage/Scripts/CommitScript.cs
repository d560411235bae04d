using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Applies a delta. It names the session that it is meant for (<see cref="Expected"/>), and writes nothing where another, or
/// none, is found: a session never comes back from the dead. The version afterwards is the caller's, a fresh random number;
/// the answer is the version that it took the place of, so that the caller knows whether it has seen all that is there.
/// </summary>
internal static class CommitScript
{
    // Answers where nothing was written.
    private const int Changed = 1;

    private const int Header = SlideTimes.Count + 7;

    private static readonly RedisScript Script = new(
        Parts.CallInPieces + Parts.ReadIdentity + Parts.Slide +
        $$"""
        local expected_created, expected_version, next_version, creation, clear, timeouts, sets = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11])
        if expected_created ~= '' and created ~= expected_created then return 0 end
        if expected_version ~= '' and (version or '0') ~= expected_version then return version and 1 or 0 end
        if clear == '1' and version then
          local doomed = {}
          for _, name in ipairs(redis.call('HKEYS', key)) do
            if string.sub(name, 1, 1) ~= '@' or string.sub(name, 1, 2) == '@@' then
              doomed[#doomed + 1] = name
            end
          end
          call_in_pieces('HDEL', key, doomed, 1, #doomed)
        end
        if not version then
          created = creation
          redis.call('HSET', key, '{{FieldNames.Created}}', created)
        end
        local last_set = 11 + 2 * sets
        local first_piece = math.min(last_set, 4011)
        redis.call('HSET', key, '{{FieldNames.Version}}', next_version, unpack(ARGV, 12, first_piece))
        call_in_pieces('HSET', key, ARGV, first_piece + 1, last_set)
        call_in_pieces('HDEL', key, ARGV, last_set + 1, #ARGV)
        if timeouts == '1' then
          local own = redis.call('HMGET', key, '{{FieldNames.IdleTimeout}}', '{{FieldNames.AbsoluteTimeout}}')
          own_idle, own_absolute = own[1], own[2]
        end
        if slide(timeouts == '1' and 'exactly') then redis.call('HSET', key, '{{FieldNames.LastSeen}}', now) end
        return {version or '0', created}
        """);

    /// <summary>Sends the delta; values are encoded by <paramref name="codec"/> if there is one.</summary>
    /// <param name="database">The connection.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="times">What the TTL follows from.</param>
    /// <param name="expected">The session that is meant.</param>
    /// <param name="version">The version afterwards.</param>
    /// <param name="creation">The creation time of the session if this creates it, Unix milliseconds.</param>
    /// <param name="delta">What to change.</param>
    /// <param name="codec">Null where values are stored as they are.</param>
    public static RedisScript.Call Begin(
        IDatabase database, string key, SlideTimes times, Expected expected, long version, long creation, SessionDelta delta, FieldCodec? codec) =>
        Script.Begin(database, [key], Arguments(key, times, expected, version, creation, delta, codec));

    private static RedisValue[] Arguments(string key, SlideTimes times, Expected expected, long version, long creation, SessionDelta delta, FieldCodec? codec)
    {
        var removed = delta.CountRemoved();
        var set = delta.Fields.Count + delta.Metadata.Count - removed;
        var arguments = new RedisValue[Header + (2 * set) + removed];
        times.WriteTo(arguments);
        arguments[4] = expected.CreatedAt is { } created ? created : RedisValue.EmptyString;
        arguments[5] = expected.Version is { } at ? at : RedisValue.EmptyString;
        arguments[6] = version;
        arguments[7] = creation;
        arguments[8] = delta.IsCleared ? 1 : 0;
        arguments[9] = delta.ChangesTimeouts ? 1 : 0;
        arguments[10] = set;
        var nextSet = Header;
        var nextRemoved = Header + (2 * set);
        foreach (var (name, value) in delta.Fields)
        {
            Place(FieldNames.Encode(name), value is null ? RedisValue.Null : codec?.Encode(key, name, value) ?? value);
        }

        foreach (var (name, value) in delta.Metadata)
        {
            Place(name, value);
        }

        return arguments;

        void Place(string field, RedisValue value)
        {
            if (value.IsNull)
            {
                arguments[nextRemoved++] = field;
            }
            else
            {
                arguments[nextSet++] = field;
                arguments[nextSet++] = value;
            }
        }
    }

    public static CommitReply Reply(RedisResult reply, long version) => reply.Length >= 0
        ? new CommitReply(CommitOutcome.Done, version, (long)reply[0], (long)reply[1])
        : new CommitReply((int)reply == Changed ? CommitOutcome.Changed : CommitOutcome.Missing);
}
