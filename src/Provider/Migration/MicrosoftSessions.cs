using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Caching;
using RedisSessions.Diagnostics;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Migration;

/// <summary>
/// Sessions under Microsoft's keys. Moving is: the hash is written, then the blob is removed; cut off in between, both are
/// there and the hash is the one that counts.
/// <para>
/// While old servers still run, both are kept. The blob then carries a further field, which Microsoft's cache leaves alone:
/// a digest of the data that was written here last. Data of another digest was written by an old server since, and takes
/// the hash's place.
/// </para>
/// </summary>
internal sealed class MicrosoftSessions(
    RedisConnection connection,
    SessionTimeouts timeouts,
    IOptions<MicrosoftSessionMigrationOptions> options,
    ILogger<MicrosoftSessions> logger) : FormerStore
{
    private static readonly RedisValue[] DataAndDigest = ["data", "rs"];

    private static readonly RedisScript Write = new(
        """
        redis.call('HSET', KEYS[1], 'absexp', '-1', 'sldexp', ARGV[1], 'data', ARGV[3], 'rs', ARGV[4])
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return 1
        """);

    public override bool IsStillUsed => options.Value.WriteBoth;

    public override async Task<FormerSession?> FindAsync(string secret, bool isStored)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var key = KeyOf(secret);
        var values = database.HashGetAsync(key, DataAndDigest);
        var slide = RedisHashCacheScripts.Slide.EvaluateAsync(database, [key], [timeouts.Clock.GetUtcNow().UtcTicks]);
        var found = Decide(secret, await values.ConfigureAwait(false), isStored);
        await slide.ConfigureAwait(false);
        return found;
    }

    public override FormerSession? Find(string secret, bool isStored)
    {
        var database = connection.Database ?? throw new InvalidOperationException("There is no Redis connection.");
        var key = KeyOf(secret);
        var found = Decide(secret, database.HashGet(key, DataAndDigest), isStored);
        RedisHashCacheScripts.Slide.Evaluate(database, [key], [timeouts.Clock.GetUtcNow().UtcTicks]);
        return found;
    }

    private FormerSession? Decide(string secret, RedisValue[] values, bool isStored)
    {
        var (data, digest) = ((byte[]?)values[0], (string?)values[1]);
        if (data is null || (isStored && digest == Digest(data)))
        {
            return null;
        }

        if (!MicrosoftSessionBlob.IsWellFormed(data))
        {
            logger.MicrosoftSessionUnreadable(SessionId.Derive(secret), data.Length);
            return null;
        }

        // Without a digest it is not known which of the two is newer: nothing is lost by having both.
        return new BlobSession(data, replaces: digest is not null);
    }

    public override async Task CommittedAsync(string secret, Guid id, SessionSnapshot session, TimeSpan idleTimeout)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        if (!IsStillUsed)
        {
            await database.KeyDeleteAsync(KeyOf(secret)).ConfigureAwait(false);
            return;
        }

        var blob = MicrosoftSessionBlob.Serialize(id, session);
        var idle = session.GetMilliseconds(FieldNames.IdleTimeout) ?? idleTimeout;
        await Write.EvaluateAsync(database, [KeyOf(secret)], [idle.Ticks, SessionHash.Milliseconds(idle), blob, Digest(blob)]).ConfigureAwait(false);
    }

    public override async Task<bool> RemoveAsync(string secret)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await database.KeyDeleteAsync(KeyOf(secret)).ConfigureAwait(false);
    }

    private RedisKey KeyOf(string secret) => options.Value.InstanceName + secret;

    private static string Digest(byte[] data) => Convert.ToHexString(SHA256.HashData(data).AsSpan(0, 8));

    private sealed class BlobSession(byte[] blob, bool replaces) : FormerSession(replaces)
    {
        public override void CopyTo(Dictionary<string, byte[]?> fields) => MicrosoftSessionBlob.CopyTo(blob, fields);
    }
}
