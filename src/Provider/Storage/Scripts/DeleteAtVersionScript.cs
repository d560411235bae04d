using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Deletes a session whose content was carried over to another id, if it still is at the version that was carried over, and
/// leaves a mark that says for a while to which id it moved. What was committed to it since is not lost that way: the caller
/// carries it over, too, and asks again.
/// </summary>
internal static class DeleteAtVersionScript
{
    private const int Deleted = 1;
    private const int Changed = 2;

    // The mark goes first: a user of Redis who may not write it must not lose the session half-way.
    private static readonly ChangeScript Script = new(
        $"""
        local version = redis.call('HGET', KEYS[1], '{FieldNames.Version}')
        if not version then return 0 end
        if version ~= ARGV[1] then return 2 end
        changed(KEYS[1], '0')
        redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
        redis.call('DEL', KEYS[1])
        return 1
        """);

    /// <param name="database">The connection.</param>
    /// <param name="channel">Who holds copies listens there; null for nobody.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="movedKey">The mark's key, in the same slot.</param>
    /// <param name="version">What it must be at.</param>
    /// <param name="markedFor">How long the mark stays.</param>
    /// <param name="movedTo">The other id.</param>
    /// <param name="turn">The turn of the request that moves it; null for none.</param>
    public static RedisScript.Call Begin(IDatabase database, string? channel, string key, string movedKey, long version, TimeSpan markedFor, Guid movedTo, TurnFence? turn) =>
        Script.Begin(database, channel, [key, movedKey], [version, (long)markedFor.TotalMilliseconds, movedTo.ToString()], turn);

    public static DeleteReply Reply(RedisResult reply) => (int)reply switch
    {
        Deleted => DeleteReply.Deleted,
        Changed => DeleteReply.Changed,
        ChangeScript.TurnLost => DeleteReply.TurnLost,
        _ => DeleteReply.Missing,
    };
}
