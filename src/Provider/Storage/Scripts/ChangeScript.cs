using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// A script that changes a session. In its Lua <c>changed(key, version)</c> tells whoever holds a copy, in the same step as the change, that the session is
/// at this version now, or at 0 that it is no more; it does nothing where nobody wants to know, and then costs nothing. What is told is never more than
/// what happens, but may be more often: it stands before the first write, so that a user of Redis who may not
/// publish changes nothing; only what ends a session does so first.
/// <para>
/// Sent by a request that has a turn, it looks before all else whether anybody has had one since, and then changes nothing and answers <see cref="TurnLost"/>.
/// </para>
/// </summary>
internal sealed class ChangeScript(string source)
{
    /// <summary>What a script answers whose turn is over, and another's. None answers that by itself.</summary>
    public const int TurnLost = -1;

    private const string Silent = "local function changed() end\n";

    // The channel is behind the arguments that the script itself knows, and the turn before it.
    private const string Notifying =
        """
        local channel = table.remove(ARGV)
        local function changed(key, version) redis.call('PUBLISH', channel, version .. ' ' .. key) end

        """;

    private const string InTurn =
        """
        local turn = table.remove(ARGV)
        if redis.call('GET', table.remove(KEYS)) ~= turn then return -1 end

        """;

    private readonly RedisScript _silent = new(Silent + source);
    private readonly RedisScript _notifying = new(Notifying + source);
    private readonly RedisScript _silentInTurn = new(Silent + InTurn + source);
    private readonly RedisScript _notifyingInTurn = new(Notifying + InTurn + source);

    /// <param name="database">The connection.</param>
    /// <param name="channel">Where to tell; null for nowhere.</param>
    /// <param name="keys">The script's keys.</param>
    /// <param name="values">The script's arguments.</param>
    /// <param name="turn">The turn of the request that sends it; null for none.</param>
    public RedisScript.Call Begin(IDatabase database, string? channel, RedisKey[] keys, RedisValue[] values, TurnFence? turn = null) => (channel, turn) switch
    {
        (null, null) => _silent.Begin(database, keys, values),
        (not null, null) => _notifying.Begin(database, keys, [.. values, channel]),
        (null, not null) => _silentInTurn.Begin(database, [.. keys, turn.Key], [.. values, turn.Number]),
        (not null, not null) => _notifyingInTurn.Begin(database, [.. keys, turn.Key], [.. values, turn.Number, channel]),
    };

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
