using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>
/// Looks at lives whose time has come: one that goes on is looked at again when it may be over, one that has ended is told. Every server of the fleet looks,
/// at each shard by itself, so that a call that takes long holds up nothing but a part of its own shard.
/// <para>
/// Hashes and records are in different slots. A record is read first, then the hashes, and what follows is written only if nothing was noted
/// meanwhile: a move is noted before the old hash goes, so a life that moved between the two is seen to have changed, and is looked at again.
/// </para>
/// </summary>
internal sealed class LifecycleWatcher(
    SessionWatch watch,
    SessionLook look,
    LifecycleCaller caller,
    WatchSignals signals,
    SessionTimeouts timeouts,
    IOptions<SessionLifecycleOptions> options,
    ILogger<LifecycleWatcher> logger) : BackgroundService
{
    // How many lives of a shard are looked at, and told of, at once.
    private const int Batch = 8;
    private const int MostRounds = 10;

    // However long a session lives: a lost word of its end then costs no more.
    private static readonly TimeSpan LongestUnseen = TimeSpan.FromHours(1);

    // Redis counts a TTL by its own clock.
    private static readonly TimeSpan Margin = TimeSpan.FromMilliseconds(100);

    private int _isFailing;

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(Enumerable.Range(0, SessionLife.Shards).SelectMany(shard => new[]
    {
        Recurring.EveryAsync(options.Value.LookInterval, timeouts.Clock, token => TryLookAsync(shard, token), stoppingToken),
        FollowAsync(shard, stoppingToken),
    }));

    private async Task FollowAsync(int shard, CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var _ in signals.OfAsync(shard, stoppingToken).ConfigureAwait(false))
            {
                await TryLookAsync(shard, stoppingToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // As above.
        }
    }

    private async Task TryLookAsync(int shard, CancellationToken stoppingToken)
    {
        try
        {
            await LookAsync(shard, stoppingToken).ConfigureAwait(false);
            Volatile.Write(ref _isFailing, 0);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
        catch (Exception exception)
        {
            // Of whatever kind, the application's own connection factory included: no failure here is worth the host. Said once for all shards.
            if (Interlocked.Exchange(ref _isFailing, 1) == 0)
            {
                logger.LifecycleNotLooked(exception);
            }
        }
    }

    /// <summary>Looks at all that is due.</summary>
    public async Task LookAsync(CancellationToken stoppingToken)
    {
        for (var shard = 0; shard < SessionLife.Shards; shard++)
        {
            await LookAsync(shard, stoppingToken).ConfigureAwait(false);
        }
    }

    private async Task LookAsync(int shard, CancellationToken stoppingToken)
    {
        while (true)
        {
            stoppingToken.ThrowIfCancellationRequested();
            var (token, lives) = await watch.ClaimAsync(shard, Batch).ConfigureAwait(false);
            await Task.WhenAll(lives.Select(life => LookAtAsync(life, token, stoppingToken))).ConfigureAwait(false);
            if (lives.Count < Batch)
            {
                return;
            }
        }
    }

    private async Task LookAtAsync(SessionLife life, string token, CancellationToken stoppingToken)
    {
        for (var round = 0; round < MostRounds; round++)
        {
            if (await watch.ReadAsync(life).ConfigureAwait(false) is not { } record)
            {
                // Evicted, or somebody else's work.
                await watch.DropAsync(life, token, null).ConfigureAwait(false);
                return;
            }

            if (record.IsOver)
            {
                await caller.CallAsync(life, token, stoppingToken).ConfigureAwait(false);
                return;
            }

            var hashes = await look.FindAsync(life, record).ConfigureAwait(false);
            var outcome = hashes.Count > 0
                ? await KeepAsync(life, token, record, hashes).ConfigureAwait(false)
                : await EndAsync(life, token, record).ConfigureAwait(false);
            if (outcome.Settled == SettleOutcome.Done && outcome.IsOver)
            {
                await caller.CallAsync(life, token, stoppingToken).ConfigureAwait(false);
                return;
            }

            if (outcome.Settled != SettleOutcome.Changed)
            {
                return;
            }
        }
    }

    /// <summary>It lives: what is kept of it is as its newest hash has it.</summary>
    private async Task<(SettleOutcome Settled, bool IsOver)> KeepAsync(SessionLife life, string token, WatchRecord record, IReadOnlyList<LiveHash> hashes)
    {
        var newest = hashes[0];
        var left = hashes.Max(static hash => hash.Left);
        var next = left + Margin < LongestUnseen ? left + Margin : LongestUnseen;
        var learned = new List<KeyValuePair<string, RedisValue>>
        {
            new(WatchRecord.Stored, 1),
            new(WatchRecord.Ids, string.Join(' ', hashes.Select(static hash => hash.Id))),
            new(WatchRecord.User, newest.UserId),
            new(WatchRecord.SignedIn, newest.SignedInAt),
            new(WatchRecord.Seen, Math.Max(newest.SeenAt.ToUnixTimeMilliseconds(), record.TimeOf(WatchRecord.Seen) ?? 0)),
            new(WatchRecord.Until, timeouts.Now + (long)left.TotalMilliseconds),
        };
        foreach (var (name, value) in newest.Fields)
        {
            learned.Add(new(WatchRecord.FieldPrefix + name, watch.Encode(life, name, value)));
        }

        return (await watch.SettleAsync(life, token, record, timeouts.Now + (long)next.TotalMilliseconds, left, [.. learned]).ConfigureAwait(false), false);
    }

    /// <summary>No hash of it is there. What was never there does not end, and what another server moved without a word of it goes on.</summary>
    private async Task<(SettleOutcome Settled, bool IsOver)> EndAsync(SessionLife life, string token, WatchRecord record)
    {
        var (now, noted) = (timeouts.Now, record.TextOf(WatchRecord.EndId));
        SessionEndReason? reason = null;
        Guid? ended = null;
        long? at = null;
        foreach (var id in record.SessionIds)
        {
            if (noted == id.ToString())
            {
                (ended, reason, at) = (id, SessionEnding.Parse(record.TextOf(WatchRecord.End)), record.TimeOf(WatchRecord.EndAt));
                break;
            }

            var remains = await look.FindRemainsAsync(id).ConfigureAwait(false);

            // Only of an id that was made for it is what is found surely its own.
            if (remains.Reason is { } mark && (record.IsStored || record.IsFresh))
            {
                (ended, reason) = (id, mark);
                break;
            }

            if (remains.HasMoved && id == record.SessionIds[0])
            {
                return (await watch.DropAsync(life, token, record).ConfigureAwait(false), false);
            }
        }

        if (reason is null && !record.IsStored)
        {
            return (await watch.DropAsync(life, token, record).ConfigureAwait(false), false);
        }

        // By itself: when it was to, as it was seen last.
        at ??= reason is null && record.TimeOf(WatchRecord.Until) is { } until && until < now ? until : now;
        var isNoted = ended is { } byWhom && noted == byWhom.ToString();
        var settled = await watch.HoldAsync(
            life,
            token,
            record,
            new(WatchRecord.Over, SessionEnding.NameOf(reason ?? SessionEndReason.Expired)),
            new(WatchRecord.EndId, (ended ?? record.SessionIds.FirstOrDefault(life.FirstId)).ToString()),
            new(WatchRecord.EndAt, at),
            new(WatchRecord.By, isNoted ? record.BytesOf(WatchRecord.By) : null),
            new(WatchRecord.Why, isNoted ? record.BytesOf(WatchRecord.Why) : null)).ConfigureAwait(false);
        return (settled, settled == SettleOutcome.Done);
    }
}
