using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>
/// Requests of one session take turns. One key, in the session's slot, holds the number of the request whose turn it is, or was last. It lives for the lease
/// and a time more, so its TTL tells, by Redis's own clock, whether the turn is still held; and in the time behind it a request that was too slow to renew its lease can
/// go on if nobody has come in between, and is found out if somebody has (<see cref="TurnFence"/>). A turn that is given back takes the key with it.
/// <para>
/// Who waits asks again and again. The first of those, of all servers', puts its number beside it, and nobody else gets the turn as long as it keeps asking: so a server whose requests
/// follow each other does not keep those of others waiting. All of it may be sent twice, for a number is one request's.
/// </para>
/// </summary>
internal static class TurnScripts
{
    /// <summary>For how long Redis knows whose turn was the last after its lease was over. The same on all servers.</summary>
    private const int KeptMilliseconds = 60_000;

    // Longer than who waits pauses, and than a round trip; who stopped waiting without a word keeps the others so long.
    private const int NextMilliseconds = 500;

    private static readonly RedisScript Ask = new(
        $$"""
        local turn, next, session, mine = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
        local holder, first = redis.call('GET', turn), redis.call('GET', next)
        local left = holder and redis.call('PTTL', turn) - {{KeptMilliseconds}} or 0
        if holder ~= mine and (left > 0 or (first and first ~= mine)) then
          if first and first ~= mine then return {0, 0} end
          redis.call('SET', next, mine, 'PX', {{NextMilliseconds}})
          return {0, 1}
        end
        if first == mine then redis.call('DEL', next) end
        redis.call('SET', turn, mine, 'PX', string.format('%d', ARGV[2] + {{KeptMilliseconds}}))
        local version = redis.pcall('HGET', session, '{{FieldNames.Version}}')
        return {1, type(version) == 'string' and version or '0'}
        """);

    private static readonly RedisScript Renew = new(
        $$"""
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('PEXPIRE', KEYS[1], string.format('%d', ARGV[2] + {{KeptMilliseconds}}))
        return 1
        """);

    private static readonly RedisScript GiveBack = new(
        """
        for _, key in ipairs(KEYS) do
          if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
        end
        return 1
        """);

    /// <summary>Takes the turn, if it is nobody's.</summary>
    /// <param name="database">The connection.</param>
    /// <param name="turn">Which turn, under which number.</param>
    /// <param name="sessionKey">The session's key.</param>
    /// <param name="lease">For how long.</param>
    public static async Task<TurnReply> AskAsync(IDatabase database, TurnFence turn, string sessionKey, TimeSpan lease)
    {
        var reply = await Ask.EvaluateAsync(database, [turn.Key, SessionKeys.NextTurn(turn.Key), sessionKey], [turn.Number, (long)lease.TotalMilliseconds]).ConfigureAwait(false);
        return (int)reply[0] == 1 ? new TurnReply(IsTaken: true, (long)reply[1], IsNext: false) : new TurnReply(IsTaken: false, 0, (int)reply[1] == 1);
    }

    /// <summary>Prolongs the lease, or takes it up again if nobody has had a turn since.</summary>
    /// <returns>False if somebody has.</returns>
    public static async Task<bool> RenewAsync(IDatabase database, TurnFence turn, TimeSpan lease) =>
        (int)await Renew.EvaluateAsync(database, [turn.Key], [turn.Number, (long)lease.TotalMilliseconds]).ConfigureAwait(false) == 1;

    /// <summary>Ends the turn, or the wait for it.</summary>
    public static Task<RedisResult> GiveBackAsync(IDatabase database, TurnFence turn) =>
        GiveBack.EvaluateAsync(database, [turn.Key, SessionKeys.NextTurn(turn.Key)], [turn.Number]);
}

/// <summary>The answer to who asks for a turn.</summary>
/// <param name="IsTaken">Whether it is the caller's.</param>
/// <param name="Version">The session's version then; <see cref="SessionSnapshot.NoVersion"/> without one.</param>
/// <param name="IsNext">Whether the caller, who has to wait, is the next.</param>
internal readonly record struct TurnReply(bool IsTaken, long Version, bool IsNext);
