using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Deletes a session that should not have been created: whoever found it meanwhile and changed it met one that had ended before. Another that
/// began under its id since has another creation time, and stays.
/// </summary>
internal static class WithdrawScript
{
    private static readonly ChangeScript Script = new(
        $"""
        if redis.call('HGET', KEYS[1], '{FieldNames.Created}') == ARGV[1] then
          changed(KEYS[1], '0')
          redis.call('DEL', KEYS[1])
        end
        return 1
        """);

    /// <param name="database">The connection.</param>
    /// <param name="channel">Where the change is published; null for nowhere.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="createdAt">Its creation time, Unix milliseconds.</param>
    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, long createdAt) => Script.Begin(database, channel, [key], [createdAt]);
}
