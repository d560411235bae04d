using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Sessions;

/// <summary>
/// Lets requests of one session take turns, on all servers: in line on each (<see cref="TurnLine"/>), and of the foremost of each the one that Redis gives the turn
/// (<see cref="TurnScripts"/>). Who asks pauses in between, for messages of Redis may be lost, and a turn may end without one.
/// </summary>
internal sealed class SessionTurns(RedisConnection connection, TimeProvider clock, SessionMetrics metrics, IOptions<RedisSessionOptions> options, ILogger<SessionTurns> logger)
{
    // As long as the turn may just be on its way back; then longer, for who holds it does something longer.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongestPauseOfNext = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(100);

    private readonly TurnLine _line = new(clock, options.Value.Exclusive.MaxWaiting);

    public TimeProvider Clock => clock;

    public ILogger Logger => logger;

    /// <summary>Waits for the turn.</summary>
    /// <param name="session">At which session.</param>
    /// <param name="turnKey">Where it is.</param>
    /// <param name="wait">For how long at most.</param>
    /// <param name="lease">How long it lasts unless it is renewed, which it is until it is given back.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Null if it took longer.</returns>
    public async Task<SessionTurn?> TakeAsync(SessionIdentity session, string turnKey, TimeSpan wait, TimeSpan lease, CancellationToken cancellationToken)
    {
        var began = clock.GetTimestamp();
        var fence = new TurnFence(turnKey, SessionSnapshot.NewVersion());
        try
        {
            await _line.EnterAsync(fence.Key, wait, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            metrics.TurnTimedOut.Add(1);
            return null;
        }

        SessionTurn? turn = null;
        try
        {
            if (await AskAsync(fence, session.Key, began, wait, lease, cancellationToken).ConfigureAwait(false) is not { } reply)
            {
                metrics.TurnTimedOut.Add(1);
                return null;
            }

            metrics.TurnWait.Record(clock.GetElapsedTime(began).TotalSeconds);
            return turn = new SessionTurn(this, fence, reply.Version, lease);
        }
        finally
        {
            if (turn is null)
            {
                _ = GiveBackAsync(fence);
                _line.Leave(fence.Key);
            }
        }
    }

    private async Task<TurnReply?> AskAsync(TurnFence fence, string sessionKey, long began, TimeSpan wait, TimeSpan lease, CancellationToken cancellationToken)
    {
        var pause = FirstPause;
        while (true)
        {
            var reply = await Failover.RepeatAsync(connection, database => TurnScripts.AskAsync(database, fence, sessionKey, lease)).ConfigureAwait(false);
            if (reply.IsTaken)
            {
                return reply;
            }

            var left = wait - clock.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
            {
                return null;
            }

            var longest = reply.IsNext ? LongestPauseOfNext : LongestPause;
            pause = pause < longest ? pause : longest;
            await Task.Delay(pause < left ? pause : left, clock, cancellationToken).ConfigureAwait(false);
            pause *= 2;
        }
    }

    public Task<bool> RenewAsync(TurnFence fence, TimeSpan lease) =>
        Failover.RepeatAsync(connection, database => TurnScripts.RenewAsync(database, fence, lease));

    /// <summary>Whether nobody has had a turn since.</summary>
    public Task<bool> IsLatestAsync(TurnFence fence) =>
        Failover.RepeatAsync(connection, async database => await database.StringGetAsync(fence.Key).ConfigureAwait(false) == fence.Number);

    /// <summary>Nobody waits for this: where it fails, the lease ends the turn.</summary>
    public async Task GiveBackAsync(TurnFence fence)
    {
        try
        {
            await Failover.RepeatAsync(connection, database => TurnScripts.GiveBackAsync(database, fence)).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            logger.TurnNotGivenBack(exception);
        }
    }

    public void LeaveLine(TurnFence fence) => _line.Leave(fence.Key);
}
