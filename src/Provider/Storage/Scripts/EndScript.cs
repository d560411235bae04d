using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Ends a session, and says whose it was: in one step, so that of two who end it one is told so. What is no hash is deleted as well.
/// Leaves a mark beside it that says why, for its browser to learn: after that, so that a full Redis, or a user who may not write the mark,
/// ends the session all the same; and whoever may not publish it is told so when it has ended. The mark holds the reason alone, and nothing that loads a session looks at it.
/// </summary>
internal static class EndScript
{
    private const int Another = 2;

    private static readonly ChangeScript Script = new(
        $$"""
        local key, mark = KEYS[1], KEYS[2]
        local reason, kept, owner = ARGV[1], ARGV[2], ARGV[3]
        if redis.call('EXISTS', key) == 0 then return 0 end
        local said = redis.pcall('HMGET', key, '{{FieldNames.Created}}', '{{FieldNames.UserId}}', '{{FieldNames.FirstId}}')
        if said['err'] then said = {} end
        if owner ~= '' and said[2] ~= owner then return 2 end
        redis.call('DEL', key)
        if kept ~= '0' then redis.pcall('SET', mark, reason, 'PX', kept) end
        changed(key, '0')
        return {said[1] or '', said[2] or '', said[3] or ''}
        """);

    /// <param name="database">The connection.</param>
    /// <param name="channel">Who holds copies listens there; null for nobody.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="markKey">The mark's key, in the same slot.</param>
    /// <param name="reason">Why it ends.</param>
    /// <param name="kept">How long the mark stays; zero for none.</param>
    /// <param name="owner">Whose it must be; null for whoever's.</param>
    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, string markKey, SessionEndReason reason, TimeSpan kept, string? owner) =>
        Script.Begin(database, channel, [key, markKey], [SessionEnding.NameOf(reason), (long)kept.TotalMilliseconds, owner ?? ""]);

    public static EndReply Reply(RedisResult reply, Guid id) => reply.Length < 0
        ? new EndReply(null, (int)reply == Another)
        : new EndReply(
            new EndedSession(id, ((RedisValue)reply[0]).TryParse(out long created) ? created : null, TextOf(reply[1]), TextOf(reply[2])),
            IsAnothers: false);

    private static string? TextOf(RedisResult said) => (string?)said is { Length: > 0 } text ? text : null;
}

/// <param name="Ended">The session that ended; null if none did.</param>
/// <param name="IsAnothers">There is one, and it is not the owner's: it lives on.</param>
internal readonly record struct EndReply(EndedSession? Ended, bool IsAnothers);
