using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Caching;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
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

    /// <summary>ARGV: idle timeout in ticks, TTL in milliseconds, data, its digest.</summary>
    private static readonly RedisScript Write = new(
        """
        redis.call('HSET', KEYS[1], 'absexp', '-1', 'sldexp', ARGV[1], 'data', ARGV[3], 'rs', ARGV[4])
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return 1
        """);

    /// <summary>
    /// ARGV: the data that were found, the data that the hash holds now, their digest. Answers 0 if there is no blob any more. One
    /// that an old server wrote in between is left to be found by the next load.
    /// </summary>
    private static readonly RedisScript Confirm = new(
        """
        local data = redis.call('HGET', KEYS[1], 'data')
        if not data then return 0 end
        if data == ARGV[1] then redis.call('HSET', KEYS[1], 'data', ARGV[2], 'rs', ARGV[3]) end
        return 1
        """);

    public override bool IsStillUsed => options.Value.WriteBoth;

    public override FormerQuery BeginFind(IDatabase database, string secret)
    {
        var values = database.HashGetAsync(KeyOf(secret), DataAndDigest);
        if (IsStillUsed)
        {
            RedisHashCacheScripts.Slide.EvaluateAsync(database, [KeyOf(secret)], [timeouts.Clock.GetUtcNow().UtcTicks]).Observe();
        }

        return new Query(this, secret, values);
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

    public override FormerConfirmation BeginConfirm(IDatabase database, string secret, Guid id, FormerSession found, SessionSnapshot session, TimeSpan idle)
    {
        if (!IsStillUsed)
        {
            return new Confirmation(database.KeyDeleteAsync(KeyOf(secret)), null);
        }

        var blob = MicrosoftSessionBlob.Serialize(id, session);
        return new Confirmation(null, Confirm.Begin(database, [KeyOf(secret)], [((BlobSession)found).Blob, blob, Digest(blob)]));
    }

    public override async Task CommittedAsync(string secret, Guid id, SessionSnapshot session, TimeSpan idle)
    {
        var blob = MicrosoftSessionBlob.Serialize(id, session);
        var life = timeouts.IdleOf(session, idle);
        try
        {
            var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
            await Write.EvaluateAsync(database, [KeyOf(secret)], [life.Ticks, Ttl.Milliseconds(life), blob, Digest(blob)]).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            throw Silenced(exception);
        }
    }

    public override async Task RemoveAsync(string secret)
    {
        try
        {
            var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
            await database.KeyDeleteAsync(KeyOf(secret)).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            throw Silenced(exception);
        }
    }

    /// <summary>The client's exceptions name the command's key, which here is the secret; so they stop here.</summary>
    private static RedisException Silenced(Exception exception) =>
        new($"Redis could not be asked for what Microsoft's stack stored ({exception.GetType().Name}; its text is withheld, because it may name the secret key).");

    private RedisKey KeyOf(string secret) => options.Value.InstanceName + secret;

    private static string Digest(byte[] data) => Convert.ToHexString(SHA256.HashData(data).AsSpan(0, 8));

    private sealed class BlobSession(byte[] blob, bool replaces) : FormerSession(replaces)
    {
        public byte[] Blob { get; } = blob;

        public override void CopyTo(Dictionary<string, byte[]?> fields) => MicrosoftSessionBlob.CopyTo(Blob, fields);
    }

    private sealed class Query(MicrosoftSessions owner, string secret, Task<RedisValue[]> values) : FormerQuery
    {
        public override Task Pending => values;

        public override FormerSession? End(bool isStored)
        {
            try
            {
                return owner.Decide(secret, values.GetAwaiter().GetResult(), isStored);
            }
            catch (Exception exception) when (RedisAway.Explains(exception))
            {
                throw Silenced(exception);
            }
        }
    }

    private sealed class Confirmation(Task<bool>? removal, RedisScript.Call? call) : FormerConfirmation
    {
        public override Task Pending => removal ?? (Task)call!.Pending;

        public override bool TryEnd(out bool wasThere)
        {
            try
            {
                if (removal is not null)
                {
                    wasThere = removal.GetAwaiter().GetResult();
                    return true;
                }

                wasThere = call!.TryEnd(out var reply) && (int)reply == 1;
                return reply is not null;
            }
            catch (Exception exception) when (RedisAway.Explains(exception))
            {
                throw Silenced(exception);
            }
        }
    }
}
