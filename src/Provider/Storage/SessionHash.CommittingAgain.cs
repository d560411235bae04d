using System.Runtime.ExceptionServices;
using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Storage;

// What to do about a reply that was lost.
internal sealed partial class SessionHash
{
    /// <summary>
    /// Of a commit whose reply was lost nobody knows whether it was made. The hash tells: at its version, it was. At the version that it was to change, it was not, and is
    /// sent again. At any other, others committed since, whether it was made before or not, and what it may still have to do is left of it (<see cref="SessionDelta.Remaining"/>).
    /// Always under its own version, and only on what was just read: should the first attempt arrive late, in between, the second finds another version than was read, and looks again.
    /// </summary>
    private async Task<CommitReply> CommitAgainAsync(Failover failover, Exception lost, LostCommit commit)
    {
        var (request, since, failure) = (commit.Request, Environment.TickCount64, lost);
        var waits = true;
        while (true)
        {
            if (waits && await failover.WaitAsync(failure, since).ConfigureAwait(false) is null)
            {
                // What became of the first is not known, whatever was refused since.
                ExceptionDispatchInfo.Throw(lost);
            }

            try
            {
                var read = await ReadAsync(request.Key).ConfigureAwait(false);
                failover.Recovered();
                var now = read.Session;
                if (read.IsForged || (request.Expected.CreatedAt is { } meant && now?.CreatedAt != meant))
                {
                    return new CommitReply(CommitOutcome.Missing);
                }

                if (now?.Version == commit.Version)
                {
                    return commit.Done(now);
                }

                if (commit.LeftOf(now, timeouts.Now) is not { } rest)
                {
                    ExceptionDispatchInfo.Throw(lost);
                    continue;
                }

                if (rest.IsEmpty)
                {
                    return new CommitReply(CommitOutcome.Done, commit.Version, commit.Version, now!.CreatedAt);
                }

                if (request.Before is not null)
                {
                    await request.Before.SendAsync().ConfigureAwait(false);
                }

                var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
                var call = Begin(database, request.To(now) with { Delta = rest }, timeouts.Times(request.Idle), commit.Version, commit.Creation);
                var reply = CommitScript.Reply(await call.EndAsync(request.Before).ConfigureAwait(false), commit.Version);
                if (reply.Outcome is CommitOutcome.Changed or CommitOutcome.Missing)
                {
                    // Others, since it was read.
                    waits = false;
                    continue;
                }

                if (reply.Outcome == CommitOutcome.TurnLost && now?.Version != request.Known?.Version)
                {
                    // The first attempt may have been made while the turn was the caller's: then it is not so that nothing was.
                    ExceptionDispatchInfo.Throw(lost);
                }

                return reply;
            }
            catch (Exception exception) when (Failover.MayRepeat(exception) && !ReferenceEquals(exception, lost))
            {
                (failure, waits) = (exception, true);
            }
        }
    }

    /// <summary>
    /// As <see cref="CommitAgainAsync"/>. But what an increment did cannot be told once others changed the session, and adding twice is worse than saying that nobody knows.
    /// </summary>
    private async Task<RedisResult> IncrementAgainAsync(
        Failover failover, Exception lost, string key, string name, long by, SessionSnapshot loaded, SlideTimes times, long version, TurnFence? turn)
    {
        var (since, failure) = (Environment.TickCount64, lost);
        while (await failover.WaitAsync(failure, since).ConfigureAwait(false) is { } database)
        {
            try
            {
                var now = await database.HashGetAsync(key, FieldNames.VersionField).ConfigureAwait(false);
                failover.Recovered();
                if (now.IsNull || now == version || now == loaded.Version)
                {
                    var reply = await IncrementScript.Begin(database, _channel, key, times, loaded.CreatedAt, version, name, by, turn).EndAsync().ConfigureAwait(false);
                    if (now != version || IncrementScript.Reply(reply, version).Commit.Outcome != CommitOutcome.TurnLost)
                    {
                        return reply;
                    }

                    // It was made, while the turn was the caller's, and what the sum was is not told any more.
                }

                break;
            }
            catch (Exception exception) when (Failover.MayRepeat(exception))
            {
                failure = exception;
            }
        }

        ExceptionDispatchInfo.Throw(lost);
        throw lost;
    }
}
