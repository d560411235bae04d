using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// The index in Redis: one sorted set of sessions a user, and sharded sorted sets of users by last activity. The session's
/// own hash is the truth about whose it is; the index only finds it, so every entry that the hash does not confirm goes when
/// it is met, and every session in use enters itself again at its next heartbeat. Keys are of different slots, so each
/// step is a command of its own, in an order in which being cut off anywhere leaves what the next read mends.
/// </summary>
internal sealed class UserIndex(RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys, IOptions<UserIndexOptions> options, ILogger<UserIndex> logger)
{
    public UserIndexOptions Options => options.Value;

    public long Now => timeouts.Now;

    public string UserKey(string userId) => $"{keys.Prefix}user:{{{userId}}}";

    public string ShardKey(int shard) => $"{keys.Prefix}users:{shard}";

    public string SessionKey(string sessionId) => $"{keys.Prefix}{{{sessionId}}}";

    private string ShardKeyOf(string userId) =>
        ShardKey((int)(BinaryPrimitives.ReadUInt32LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(userId))) % (uint)Options.ActivityShards));

    /// <summary>
    /// Enters a new session within the limit and ends those that had to go for it, unless new ones are rejected.
    /// </summary>
    /// <returns>False if it was rejected.</returns>
    public Task<bool> EnterNewAsync(string userId, Guid id, TimeSpan life) => EnterAsync(userId, id, life, Options.MaxSessionsPerUser ?? 0, "");

    /// <summary>
    /// Enters a session that is in use, in place of its former id if it has one. Only a new session makes others go: this is
    /// sent without being waited for, and may arrive after the session itself has ended.
    /// </summary>
    public Task RefreshAsync(string userId, Guid id, TimeSpan life, Guid? formerId = null) => EnterAsync(userId, id, life, 0, formerId?.ToString() ?? "");

    private async Task<bool> EnterAsync(string userId, Guid id, TimeSpan life, int limit, string formerId)
    {
        RedisValue[] values =
        [
            Now,
            Now + (long)(life + Options.RefreshInterval).TotalMilliseconds + timeouts.PrecisionOf(life),
            id.ToString(),
            limit,
            Options.LimitBehavior == SessionLimitBehavior.RejectNew ? 1 : 0,
            formerId,
        ];
        var reply = await EvaluateAsync(UserIndexScripts.Enter, UserKey(userId), values).ConfigureAwait(false);
        if (reply.Length < 0)
        {
            return false;
        }

        for (var i = 0; i < reply.Length; i++)
        {
            await RevokeHashAsync(userId, (string)reply[i]!).ConfigureAwait(false);
        }

        return true;
    }

    public Task RemoveAsync(string userId, params RedisValue[] ids) =>
        ids.Length == 0 ? Task.CompletedTask : EvaluateAsync(UserIndexScripts.Remove, UserKey(userId), [Now, .. ids]);

    public async Task<RevokeResult> RevokeHashAsync(string userId, string sessionId) =>
        (RevokeResult)(int)await EvaluateAsync(UserIndexScripts.Revoke, SessionKey(sessionId), [userId]).ConfigureAwait(false);

    public Task NoteActivityAsync(string userId, TimeSpan life)
    {
        // A user with a live session must be found, however long that lives unused.
        var remembered = life > Options.ActivityRetention ? life : Options.ActivityRetention;
        return EvaluateAsync(UserIndexScripts.NoteActivity, ShardKeyOf(userId), [Now, userId, (long)(remembered + TimeSpan.FromMinutes(30)).TotalMilliseconds]);
    }

    public Task NoteSightAsync(Guid id, SessionSnapshot session, string address, string userAgent) =>
        EvaluateAsync(
            UserIndexScripts.NoteSight,
            keys.Session(id),
            [session.CreatedAt, UserFields.Address, address, UserFields.UserAgent, userAgent]);

    public async Task<RedisValue[]> PageAsync(string userId, long first, long last)
    {
        var reply = await EvaluateAsync(UserIndexScripts.Page, UserKey(userId), [Now, first, last]).ConfigureAwait(false);
        return (RedisValue[])reply!;
    }

    public async Task<long> CountAsync(string userId) =>
        (long)await EvaluateAsync(UserIndexScripts.Count, UserKey(userId), [Now]).ConfigureAwait(false);

    /// <summary>Removes entries whose session is gone or somebody else's.</summary>
    public async Task HealAsync(string userId)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var ids = await PageAsync(userId, 0, -1).ConfigureAwait(false);
        var owners = new Task<RedisValue>[ids.Length];
        for (var i = 0; i < ids.Length; i++)
        {
            owners[i] = database.HashGetAsync(SessionKey(ids[i]!), UserFields.UserId);
        }

        var stale = new List<RedisValue>();
        for (var i = 0; i < ids.Length; i++)
        {
            if (await owners[i].ConfigureAwait(false) != userId)
            {
                stale.Add(ids[i]);
            }
        }

        await RemoveAsync(userId, [.. stale]).ConfigureAwait(false);
    }

    private async Task<RedisResult> EvaluateAsync(RedisScript script, string key, RedisValue[] values)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await script.EvaluateAsync(database, [key], values).ConfigureAwait(false);
    }

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
