using System.Buffers;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Caching;

/// <summary>
/// IDistributedCache in Microsoft's layout, one round trip an operation: see <see cref="Reading"/>.
/// </summary>
internal sealed class RedisHashCache(RedisConnection connection, IOptions<RedisHashCacheOptions> options, TimeProvider clock) : IBufferDistributedCache
{
    private static readonly RedisValue Data = "data";
    private static readonly RedisValue Sliding = "sldexp";
    private static readonly RedisValue[] SlidingAndData = [Sliding, Data];

    private readonly string _prefix = options.Value.InstanceName ?? "";

    private readonly ReadingHints _hints = new();

    public byte[]? Get(string key)
    {
        var (database, fullKey) = Begin(key);
        switch (_hints[key])
        {
            case Reading.Script:
                var small = (byte[]?)RedisHashCacheScripts.Get.Evaluate(database, [fullKey], Now());
                _hints.Note(key, small?.Length, slides: true);
                return small;

            case Reading.Plain:
                var entry = database.HashGet(fullKey, SlidingAndData);
                var plain = (byte[]?)entry[1];
                if (Slides(entry[0]))
                {
                    _hints.Note(key, plain?.Length, slides: true);
                    RedisHashCacheScripts.Slide.Evaluate(database, [fullKey], Now());
                }

                return plain;

            default:
                var data = database.HashGetAsync(fullKey, Data);
                var (keys, now) = ((RedisKey[])[fullKey], Now());
                var slide = RedisHashCacheScripts.Slide.SendByHash(database, keys, now);
                var value = (byte[]?)Wait(data);
                _hints.Note(key, value?.Length, (bool)RedisHashCacheScripts.Slide.End(slide, database, keys, now));
                return value;
        }
    }

    public async Task<byte[]?> GetAsync(string key, CancellationToken token = default)
    {
        var (database, fullKey) = await BeginAsync(key, token).ConfigureAwait(false);
        switch (_hints[key])
        {
            case Reading.Script:
                var small = (byte[]?)await RedisHashCacheScripts.Get.EvaluateAsync(database, [fullKey], Now()).WaitAsync(token).ConfigureAwait(false);
                _hints.Note(key, small?.Length, slides: true);
                return small;

            case Reading.Plain:
                var entry = await database.HashGetAsync(fullKey, SlidingAndData).WaitAsync(token).ConfigureAwait(false);
                var plain = (byte[]?)entry[1];
                if (Slides(entry[0]))
                {
                    _hints.Note(key, plain?.Length, slides: true);
                    await RedisHashCacheScripts.Slide.EvaluateAsync(database, [fullKey], Now()).WaitAsync(token).ConfigureAwait(false);
                }

                return plain;

            default:
                var data = database.HashGetAsync(fullKey, Data);
                var (keys, now) = ((RedisKey[])[fullKey], Now());
                var slide = RedisHashCacheScripts.Slide.SendByHash(database, keys, now);
                var value = (byte[]?)await data.WaitAsync(token).ConfigureAwait(false);
                _hints.Note(key, value?.Length, (bool)await RedisHashCacheScripts.Slide.EndAsync(slide, database, keys, now).WaitAsync(token).ConfigureAwait(false));
                return value;
        }
    }

    public bool TryGet(string key, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var (database, fullKey) = Begin(key);
        var data = database.HashGetLeaseAsync(fullKey, Data);
        if (_hints[key] == Reading.Plain)
        {
            var sliding = database.HashGetAsync(fullKey, Sliding);
            using var lease = Wait(data);
            if (Slides(Wait(sliding)))
            {
                _hints.Note(key, lease?.Length, slides: true);
                RedisHashCacheScripts.Slide.Evaluate(database, [fullKey], Now());
            }

            return Write(lease, destination);
        }
        else
        {
            var (keys, now) = ((RedisKey[])[fullKey], Now());
            var slide = RedisHashCacheScripts.Slide.SendByHash(database, keys, now);
            using var lease = Wait(data);
            _hints.Note(key, lease?.Length, (bool)RedisHashCacheScripts.Slide.End(slide, database, keys, now));
            return Write(lease, destination);
        }
    }

    public async ValueTask<bool> TryGetAsync(string key, IBufferWriter<byte> destination, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var (database, fullKey) = await BeginAsync(key, token).ConfigureAwait(false);
        var data = database.HashGetLeaseAsync(fullKey, Data);
        if (_hints[key] == Reading.Plain)
        {
            var sliding = database.HashGetAsync(fullKey, Sliding);
            using var lease = await data.WaitAsync(token).ConfigureAwait(false);
            if (Slides(await sliding.WaitAsync(token).ConfigureAwait(false)))
            {
                _hints.Note(key, lease?.Length, slides: true);
                await RedisHashCacheScripts.Slide.EvaluateAsync(database, [fullKey], Now()).WaitAsync(token).ConfigureAwait(false);
            }

            return Write(lease, destination);
        }
        else
        {
            var (keys, now) = ((RedisKey[])[fullKey], Now());
            var slide = RedisHashCacheScripts.Slide.SendByHash(database, keys, now);
            using var lease = await data.WaitAsync(token).ConfigureAwait(false);
            _hints.Note(key, lease?.Length, (bool)await RedisHashCacheScripts.Slide.EndAsync(slide, database, keys, now).WaitAsync(token).ConfigureAwait(false));
            return Write(lease, destination);
        }
    }

    public void Set(string key, byte[] value, DistributedCacheEntryOptions options)
    {
        ArgumentNullException.ThrowIfNull(value);
        Set(key, new ReadOnlySequence<byte>(value), options);
    }

    public Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(value);
        ArgumentNullException.ThrowIfNull(options);
        return SetAsync(key, new ReadOnlySequence<byte>(value), options, token).AsTask();
    }

    public void Set(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(options);
        var arguments = Arguments(options, value);
        var (database, fullKey) = Begin(key);
        if (IsLarge(value))
        {
            var (transaction, set) = Begin(database, fullKey, arguments);
            transaction.Execute();
            Wait(set);
        }
        else
        {
            RedisHashCacheScripts.Set.Evaluate(database, [fullKey], arguments);
        }

        _hints.Note(key, value.Length, options.SlidingExpiration is not null);
    }

    public async ValueTask SetAsync(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(options);
        var arguments = Arguments(options, value);
        var (database, fullKey) = await BeginAsync(key, token).ConfigureAwait(false);

        // Not given up once it is sent: the caller may reuse the value's memory as soon as this ends.
        if (IsLarge(value))
        {
            var (transaction, set) = Begin(database, fullKey, arguments);
            await transaction.ExecuteAsync().ConfigureAwait(false);
            await set.ConfigureAwait(false);
        }
        else
        {
            await RedisHashCacheScripts.Set.EvaluateAsync(database, [fullKey], arguments).ConfigureAwait(false);
        }

        _hints.Note(key, value.Length, options.SlidingExpiration is not null);
    }

    public void Refresh(string key)
    {
        var (database, fullKey) = Begin(key);
        RedisHashCacheScripts.Slide.Evaluate(database, [fullKey], Now());
    }

    public async Task RefreshAsync(string key, CancellationToken token = default)
    {
        var (database, fullKey) = await BeginAsync(key, token).ConfigureAwait(false);
        await RedisHashCacheScripts.Slide.EvaluateAsync(database, [fullKey], Now()).WaitAsync(token).ConfigureAwait(false);
    }

    public void Remove(string key)
    {
        var (database, fullKey) = Begin(key);
        database.KeyDelete(fullKey);
    }

    public async Task RemoveAsync(string key, CancellationToken token = default)
    {
        var (database, fullKey) = await BeginAsync(key, token).ConfigureAwait(false);
        await database.KeyDeleteAsync(fullKey).WaitAsync(token).ConfigureAwait(false);
    }

    private (IDatabase Database, RedisKey Key) Begin(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return (connection.Database ?? Wait(connection.GetDatabaseAsync().AsTask()), _prefix + key);
    }

    private async ValueTask<(IDatabase Database, RedisKey Key)> BeginAsync(string key, CancellationToken token)
    {
        ArgumentNullException.ThrowIfNull(key);
        token.ThrowIfCancellationRequested();
        return (await connection.GetDatabaseAsync().ConfigureAwait(false), _prefix + key);
    }

    /// <summary>absexp, sldexp, TTL and the data, which the client takes in pieces as they are.</summary>
    private RedisValue[] Arguments(DistributedCacheEntryOptions entry, ReadOnlySequence<byte> value)
    {
        var now = clock.GetUtcNow();
        if (entry.AbsoluteExpiration <= now)
        {
            throw new ArgumentOutOfRangeException(
                nameof(DistributedCacheEntryOptions.AbsoluteExpiration), entry.AbsoluteExpiration.Value, "The absolute expiration value must be in the future.");
        }

        var absolute = entry.AbsoluteExpirationRelativeToNow is { } relative ? now + relative : entry.AbsoluteExpiration;
        TimeSpan? ttl = (absolute - now, entry.SlidingExpiration) switch
        {
            ({ } left, { } sliding) => left < sliding ? left : sliding,
            var (left, sliding) => left ?? sliding,
        };
        return
        [
            absolute?.UtcTicks ?? -1,
            entry.SlidingExpiration?.Ticks ?? -1,
            ttl is { } time ? Ttl.Milliseconds(time) : -1,
            value,
        ];
    }

    private static bool IsLarge(ReadOnlySequence<byte> value) => value.Length > ReadingHints.LargeValue;

    /// <summary>
    /// The same as the script, as a transaction. The transaction succeeds even where a command in it fails (a key of another
    /// type); the command's own reply, which is there once the transaction's is, tells.
    /// </summary>
    private static (ITransaction Transaction, Task Set) Begin(IDatabase database, RedisKey key, RedisValue[] arguments)
    {
        var transaction = database.CreateTransaction();
        var set = transaction.HashSetAsync(key, [new("absexp", arguments[0]), new("sldexp", arguments[1]), new(Data, arguments[3])]);
        _ = arguments[2] == -1
            ? transaction.KeyPersistAsync(key, CommandFlags.FireAndForget)
            : transaction.KeyExpireAsync(key, TimeSpan.FromMilliseconds((long)arguments[2]), flags: CommandFlags.FireAndForget);
        return (transaction, set);
    }

    private static bool Write(Lease<byte>? lease, IBufferWriter<byte> destination)
    {
        if (lease is null)
        {
            return false;
        }

        destination.Write(lease.Span);
        return true;
    }

    private RedisValue[] Now() => [clock.GetUtcNow().UtcTicks];

    private static bool Slides(RedisValue sliding) => sliding.TryParse(out long ticks) && ticks >= 0;

    /// <summary>Waits on the client's own reply, with no continuation in between that would need a pool thread.</summary>
    private static T Wait<T>(Task<T> reply) => reply.GetAwaiter().GetResult();

    private static void Wait(Task reply) => reply.GetAwaiter().GetResult();
}
