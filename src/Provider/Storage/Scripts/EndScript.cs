using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Ends a session that is known by its id alone, and says whose it was: in one step, so that of two who end it one is told so. What is
/// no hash is deleted as well.
/// </summary>
internal static class EndScript
{
    private static readonly RedisScript Script = new(
        $$"""
        if redis.call('EXISTS', KEYS[1]) == 0 then return false end
        local said = redis.pcall('HMGET', KEYS[1], '{{FieldNames.Created}}', '{{FieldNames.UserId}}')
        redis.call('DEL', KEYS[1])
        if said['err'] then return {'', ''} end
        return {said[1] or '', said[2] or ''}
        """);

    public static RedisScript.Call Begin(IDatabase database, string key) => Script.Begin(database, [key], []);

    /// <returns><see langword="null"/> if there was none.</returns>
    public static EndedSession? Reply(RedisResult reply, Guid id) => reply.IsNull
        ? null
        : new EndedSession(id, ((RedisValue)reply[0]).TryParse(out long created) ? created : null, (string?)reply[1] is { Length: > 0 } user ? user : null);
}
