using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// A script that changes a session. In its Lua <c>changed(key, version)</c> tells whoever holds a copy, in the same step as the change, that the session is
/// at this version now, or at 0 that it is no more; it does nothing where nobody wants to know, and then costs nothing. What is told is never more than
/// what happens, but may be more often: it stands before the first write, so that a user of Redis who may not
/// publish changes nothing; only what ends a session does so first.
/// </summary>
internal sealed class ChangeScript(string source)
{
    private readonly RedisScript _silent = new("local function changed() end\n" + source);

    // The channel is behind the arguments that the script itself knows.
    private readonly RedisScript _notifying = new(
        """
        local channel = table.remove(ARGV)
        local function changed(key, version) redis.call('PUBLISH', channel, version .. ' ' .. key) end

        """ + source);

    /// <param name="database">The connection.</param>
    /// <param name="channel">Where to tell; null for nowhere.</param>
    /// <param name="keys">The script's keys.</param>
    /// <param name="values">The script's arguments.</param>
    public RedisScript.Call Begin(IDatabase database, string? channel, RedisKey[] keys, RedisValue[] values) =>
        channel is null ? _silent.Begin(database, keys, values) : _notifying.Begin(database, keys, [.. values, channel]);

    /// <summary>Takes a message apart.</summary>
    /// <param name="message">The message.</param>
    /// <param name="key">The key of the session that changed.</param>
    /// <param name="version">Its version now; <see cref="SessionSnapshot.NoVersion"/> if there is none any more.</param>
    /// <returns>False for what is no message of these scripts.</returns>
    public static bool TryParse(RedisValue message, out string key, out long version)
    {
        (key, version) = ("", 0);
        if ((string?)message is not { } text || text.IndexOf(' ') is not (> 0 and var end) || !long.TryParse(text.AsSpan(0, end), System.Globalization.CultureInfo.InvariantCulture, out version))
        {
            return false;
        }

        key = text[(end + 1)..];
        return true;
    }
}
