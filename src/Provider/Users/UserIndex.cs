using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// The index in Redis: one user's sessions (<see cref="UserIndexScripts"/>), and sharded sorted sets of users by last activity. The
/// session's own hash is the truth about whose it is and whether it lives; the index only finds it. So an entry leaves when its
/// hash is gone or does not confirm it, and every session in use enters itself again at its next heartbeat. Keys are of different
/// slots, so each step is a command of its own, in an order in which being cut off anywhere leaves what the next read mends.
/// User ids are compared as text: a RedisValue takes "007" for 7.
/// </summary>
internal sealed class UserIndex(
    RedisConnection connection,
    SessionHash hash,
    SessionTimeouts timeouts,
    SessionKeys keys,
    IOptions<UserIndexOptions> options,
    IServiceProvider services,
    ILogger<UserIndex> logger)
{
    // What is looked after before a reader answers all the same.
    private const int MostRounds = 10;

    // As long as a cookie lives in a browser.
    public static readonly TimeSpan LongestTicket = TimeSpan.FromDays(400);

    private static readonly SessionRevocation Evicted = new(SessionEndReason.Evicted);

    public UserIndexOptions Options => options.Value;

    /// <summary>Unix milliseconds.</summary>
    public long Now => timeouts.Now;

    /// <summary>The time in UTC ticks.</summary>
    public long Ticks => timeouts.Clock.GetUtcNow().UtcTicks;

    // Not a constructor argument: the index is part of one of them.
    private SessionAddOns AddOns => services.GetRequiredService<SessionAddOns>();

    // A hash tag must not be empty, so an id that begins with the closing brace is preceded by a colon, as is one that begins with that.
    public string UserKey(string userId) => userId[0] is '}' or ':' ? $"{keys.Prefix}user:{{:{userId}}}" : $"{keys.Prefix}user:{{{userId}}}";

    public string EveryoneKey => $"{keys.Prefix}users:revoked";

    public string ShardKey(int shard) => $"{keys.Prefix}users:{shard}";

    public string SessionKey(string sessionId) => $"{keys.Prefix}{{{sessionId}}}";

    private RedisKey[] KeysOf(string userId) => UserKey(userId) is var key ? [key, OverKey(key), RevokedKey(key)] : [];

    private static string OverKey(string userKey) => userKey + ":over";

    public static string RevokedKey(string userKey) => userKey + ":revoked";

    private string ShardKeyOf(string userId) =>
        ShardKey((int)(BinaryPrimitives.ReadUInt32LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(userId))) % (uint)Options.ActivityShards));

    /// <summary>When all sessions of a user were revoked last, as a session keeps it; null if they were not, or long ago.</summary>
    public async Task<string?> FindRevocationAsync(string userId)
    {
        return await Failover.RepeatAsync(connection, database => database.HashGetAsync(RevokedKey(UserKey(userId)), UserIndexScripts.RevokedAt)).ConfigureAwait(false);
    }

    /// <summary>From here on no session enters that was begun before, but those that are spared.</summary>
    public Task MarkRevokedAsync(string userId, IEnumerable<Guid> spared, SessionEndReason reason)
    {
        // As long as any session of the user may live that the index does not know.
        var ttl = (Options.ActivityRetention > timeouts.IdleTimeout ? Options.ActivityRetention : timeouts.IdleTimeout) + TimeSpan.FromHours(1);
        return EvaluateAsync(
            UserIndexScripts.MarkRevoked,
            KeysOf(userId),
            [UserIndexScripts.NewRevocation(Ticks, reason), (long)ttl.TotalMilliseconds, .. spared.Select(static id => (RedisValue)id.ToString())]);
    }

    /// <summary>Enters a new session within the limit and ends those that had to go for it, unless new ones are rejected.</summary>
    public Task<Entering> EnterNewAsync(string userId, UserEntry entry, Guid? former) =>
        EnterAsync(userId, entry, former, Options.MaxSessionsPerUser ?? 0);

    /// <summary>
    /// Enters a session that is in use. Only a new session makes others go: this is sent without being waited for, and may
    /// arrive after the session itself has ended.
    /// </summary>
    public Task<Entering> RefreshAsync(string userId, UserEntry entry, Guid? former = null) => EnterAsync(userId, entry, former, limit: 0);

    /// <summary>As <see cref="RefreshAsync"/>, and ends a session that must not enter any more.</summary>
    public async Task RefreshOrEndAsync(string userId, UserEntry entry)
    {
        if (await RefreshAsync(userId, entry).ConfigureAwait(false) is { Outcome: EnterOutcome.Revoked, Revocation: { } revocation })
        {
            await EndAsync(userId, entry.Id.ToString(), revocation).ConfigureAwait(false);
        }
    }

    /// <summary>As <see cref="EnterNewAsync"/>, and ends a session that must not enter.</summary>
    public async Task EnterNewOrEndAsync(string userId, UserEntry entry)
    {
        if (await EnterNewAsync(userId, entry, former: null).ConfigureAwait(false) is { Outcome: not EnterOutcome.Entered } refused)
        {
            await EndAsync(userId, entry.Id.ToString(), refused.Revocation ?? Evicted).ConfigureAwait(false);
        }
    }

    private async Task<Entering> EnterAsync(string userId, UserEntry entry, Guid? former, int limit)
    {
        for (var round = 0; ; round++)
        {
            var rejects = Options.LimitBehavior == SessionLimitBehavior.RejectNew;
            var arguments = UserIndexScripts.EnterArguments(Now, EndOf(entry.Life), entry, former, limit, rejects, isPatient: round < MostRounds);
            var reply = await EvaluateAsync(UserIndexScripts.Enter, KeysOf(userId), arguments).ConfigureAwait(false);
            var (outcome, ids) = UserIndexScripts.EnterReply(reply);
            if (outcome == EnterOutcome.Revoked)
            {
                return new Entering(outcome, new SessionRevocation(UserIndexScripts.ReasonOf((string)ids[0]!)));
            }

            if (outcome != EnterOutcome.Overdue)
            {
                foreach (var id in ids)
                {
                    await EndAsync(userId, (string)id!, Evicted).ConfigureAwait(false);
                }

                return new Entering(outcome);
            }

            await LookAfterAsync(userId, ids).ConfigureAwait(false);
        }
    }

    private long EndOf(TimeSpan life) => Now + (long)(life + Options.RefreshInterval).TotalMilliseconds + timeouts.PrecisionOf(life);

    /// <summary>Removes entries. Their hashes are gone, or somebody else's.</summary>
    public Task RemoveAsync(string userId, params RedisValue[] ids) =>
        ids.Length == 0 ? Task.CompletedTask : EvaluateAsync(UserIndexScripts.Remove, KeysOf(userId), [Now, .. ids]);

    /// <summary>Ends one session, if it is the user's, and then removes its entry.</summary>
    public async Task<RevokeResult> EndAsync(string userId, string sessionId, SessionRevocation revocation)
    {
        var result = await RevokeHashAsync(userId, sessionId, revocation).ConfigureAwait(false);
        await RemoveAsync(userId, sessionId).ConfigureAwait(false);
        return result;
    }

    /// <summary>Deletes a session's hash, if it is the user's, and tells that.</summary>
    public async Task<RevokeResult> RevokeHashAsync(string userId, string sessionId, SessionRevocation revocation)
    {
        if (!Guid.TryParse(sessionId, out var id))
        {
            // Somebody else's entry: no session has such an id.
            return RevokeResult.NotFound;
        }

        var reply = await hash.EndAsync(id, revocation.Reason, userId).ConfigureAwait(false);
        if (reply.Ended is not { } ended)
        {
            return reply.IsAnothers ? RevokeResult.BelongsToAnother : RevokeResult.NotFound;
        }

        AddOns.Revoked(userId, id, revocation);
        AddOns.Over(new SessionEnd(ended, revocation.Reason, revocation));
        return RevokeResult.Revoked;
    }

    /// <summary>Notes a session that lives longer than its entry says.</summary>
    public async Task ProlongAsync(Guid id, TimeSpan life)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        string? userId = await database.HashGetAsync(keys.Session(id), UserFields.UserId).ConfigureAwait(false);
        if (!string.IsNullOrEmpty(userId))
        {
            await EvaluateAsync(UserIndexScripts.Prolong, KeysOf(userId), [Now, id.ToString(), EndOf(life)]).ConfigureAwait(false);
            await NoteAsync(userId, life, "NX").ConfigureAwait(false);
        }
    }

    public Task<RedisResult> NoteActivityAsync(string userId, TimeSpan life) => NoteAsync(userId, life, "");

    private Task<RedisResult> NoteAsync(string userId, TimeSpan life, string how)
    {
        // A user with a live session must be found, however long that lives unused.
        var remembered = life > Options.ActivityRetention ? life : Options.ActivityRetention;
        return EvaluateAsync(UserIndexScripts.NoteActivity, [ShardKeyOf(userId)], [Now, userId, (long)(remembered + TimeSpan.FromMinutes(30)).TotalMilliseconds, how]);
    }

    public Task NoteSightAsync(Guid id, SessionSnapshot session, string address, string userAgent) =>
        EvaluateAsync(
            UserIndexScripts.NoteSight,
            [keys.Session(id)],
            [session.CreatedAt, UserFields.Address, address, UserFields.UserAgent, userAgent]);

    /// <summary>The ids that count, latest used first.</summary>
    public Task<RedisValue[]> PageAsync(string userId, long first, long last) => ReadAsync(userId, async () => UserIndexScripts.PageReply(
        await EvaluateAsync(UserIndexScripts.Page, KeysOf(userId), [Now, first, last]).ConfigureAwait(false)));

    public Task<long> CountAsync(string userId) => ReadAsync(userId, async () => UserIndexScripts.CountReply(
        await EvaluateAsync(UserIndexScripts.Count, KeysOf(userId), [Now]).ConfigureAwait(false)));

    /// <summary>Reads, and looks after what is overdue by that, until nothing is.</summary>
    private async Task<T> ReadAsync<T>(string userId, Func<Task<(T Answer, RedisValue[] Overdue)>> read)
    {
        for (var round = 0; ; round++)
        {
            var (answer, overdue) = await read().ConfigureAwait(false);
            if (overdue.Length == 0 || round == MostRounds)
            {
                return answer;
            }

            await LookAfterAsync(userId, overdue).ConfigureAwait(false);
        }
    }

    /// <summary>Every id whose hash may be there, in no order.</summary>
    public async Task<RedisValue[]> AllAsync(string userId, long first, long last)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.SortedSetRangeByRankAsync(OverKey(UserKey(userId)), first, last).ConfigureAwait(false);
    }

    /// <summary>Removes entries whose session is gone or somebody else's.</summary>
    public async Task HealAsync(string userId) => await LookAfterAsync(userId, await AllAsync(userId, 0, -1).ConfigureAwait(false)).ConfigureAwait(false);

    /// <summary>
    /// Looks at the hashes of some entries: removes what is dead or somebody else's, keeps what lives for as long as it will, and
    /// ends what was evicted by a server that did not come to it.
    /// </summary>
    private async Task LookAfterAsync(string userId, RedisValue[] ids)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var owners = Array.ConvertAll(ids, id => database.HashGetAsync(SessionKey((string)id!), UserFields.UserId));
        var lives = Array.ConvertAll(ids, id => database.KeyTimeToLiveAsync(SessionKey((string)id!)));
        var dead = new List<RedisValue>();
        var alive = new List<RedisValue> { Now };
        for (var i = 0; i < ids.Length; i++)
        {
            string? owner = await owners[i].ConfigureAwait(false);
            if (await lives[i].ConfigureAwait(false) is { } life && string.Equals(owner, userId, StringComparison.Ordinal))
            {
                alive.Add(ids[i]);
                alive.Add(Now + (long)(life + Options.RefreshInterval).TotalMilliseconds);
            }
            else
            {
                dead.Add(ids[i]);
            }
        }

        await RemoveAsync(userId, [.. dead]).ConfigureAwait(false);
        if (alive.Count == 1)
        {
            return;
        }

        foreach (var id in (RedisValue[])(await EvaluateAsync(UserIndexScripts.Prolong, KeysOf(userId), [.. alive]).ConfigureAwait(false))!)
        {
            await EndAsync(userId, (string)id!, Evicted).ConfigureAwait(false);
        }
    }

    /// <summary>From here on no sign-in of anybody enters that was begun before, whether its user is known by then or not.</summary>
    public async Task MarkEveryoneRevokedAsync(SessionEndReason reason)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        await database.StringSetAsync(EveryoneKey, string.Create(CultureInfo.InvariantCulture, $"{Ticks}-{SessionEnding.NameOf(reason)}"), LongestTicket).ConfigureAwait(false);
    }

    /// <summary>Why everyone was signed out since then, in UTC ticks; null if nobody was.</summary>
    public async Task<SessionEndReason?> FindEveryonesRevocationAsync(long since)
    {
        return ((string?)await Failover.RepeatAsync(connection, database => database.StringGetAsync(EveryoneKey)).ConfigureAwait(false))?.Split('-', 2) is [var time, var reason]
            && long.TryParse(time, CultureInfo.InvariantCulture, out var ticks) && since < ticks
                ? SessionEnding.Parse(reason)
                : null;
    }

    /// <summary>The user is not remembered as having been active. Whoever is active again is noted again.</summary>
    public async Task ForgetActivityAsync(string userId)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        await database.SortedSetRemoveAsync(ShardKeyOf(userId), userId).ConfigureAwait(false);
    }

    // All of them may run twice: what is entered is there, what is removed is not, and who was evicted stays among those to be looked after.
    private Task<RedisResult> EvaluateAsync(RedisScript script, RedisKey[] keys, RedisValue[] values) =>
        Failover.RepeatAsync(connection, database => script.EvaluateAsync(database, keys, values));

    /// <summary>Sends writes that no request waits for. One that is lost is made again at the next heartbeat.</summary>
    public async Task SendAsync(params Task[] writes)
    {
        try
        {
            await Task.WhenAll(writes).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            logger.UserIndexWriteLost(exception);
        }
    }
}
