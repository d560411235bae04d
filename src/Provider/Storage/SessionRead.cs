using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// One reading of one session, by plain commands: HGETALL and PTTL in one round trip.
/// <para>
/// Whoever reads waits for, or awaits, what is pending, and then ends it, as often as something is pending: one code for both.
/// What is pending is the client's own task, so that waiting for it needs no other thread; but for one that failed for a moment (<see cref="Failover"/>):
/// then it is until all is asked again.
/// </para>
/// </summary>
internal sealed class SessionRead
{
    private readonly string _key;
    private readonly FieldCodec? _codec;
    private IDatabase _database;
    private Task<HashEntry[]>? _fields;
    private Task<TimeSpan?>? _life;
    private Failover.Retry? _retry;

    public SessionRead(IDatabase database, string key, FieldCodec? codec)
        : this(database, key, codec, retry: null) => Send();

    private SessionRead(IDatabase database, string key, FieldCodec? codec, Failover.Retry? retry) => (_database, _key, _codec, _retry) = (database, key, codec, retry);

    /// <summary>What was read last.</summary>
    public ReadReply Reply { get; private set; }

    /// <summary>The life last, for replies come in the order of the commands.</summary>
    public Task Pending => (Task?)_retry?.Pending ?? (_life is { IsCompleted: false } life ? life : _fields ?? Task.CompletedTask);

    /// <summary>A reading that waits first, because what was asked for before it on that connection failed for a moment; null where that is not so, or nothing waits.</summary>
    public static SessionRead? After(Exception failure, IDatabase database, string key, FieldCodec? codec)
    {
        if (!Failover.MayRepeat(failure) || Failover.RetryOf(database) is not { } retry)
        {
            return null;
        }

        retry.Wait(failure);
        return new SessionRead(database, key, codec, retry);
    }

    /// <summary>The version that the field says; null for what is none.</summary>
    public static long? VersionOf(RedisValue value) => !value.IsNull && value.TryParse(out long version) ? version : null;

    /// <returns>False if more was sent: wait for <see cref="Pending"/> again.</returns>
    /// <exception cref="FormatException">The hash is no session.</exception>
    public bool TryEnd(out ReadReply reply)
    {
        reply = default;
        try
        {
            if (_retry is { Pending: not null } retry)
            {
                // Whatever there is now: it may be of another master's time.
                _database = retry.TakeDatabase();
                Send();
                return false;
            }

            if (_life is not { IsCompleted: true } life || _fields is not { IsCompleted: true } fields)
            {
                return false;
            }

            Reply = reply = Take(fields.GetAwaiter().GetResult(), life.GetAwaiter().GetResult());
            _retry?.Recovered();
            return true;
        }
        catch (Exception exception) when (Failover.MayRepeat(exception) && (_retry ??= Failover.RetryOf(_database)) is { IsOver: false })
        {
            _retry!.Wait(exception);
            return false;
        }
    }

    private ReadReply Take(HashEntry[] fields, TimeSpan? life)
    {
        if (fields.Length == 0)
        {
            return default;
        }

        var session = SessionSnapshot.Parse(fields, _key, _codec);
        return _codec?.IsSealed(_key, session) == false ? new ReadReply(null, life, IsCopy: false, IsForged: true) : new ReadReply(session, life, IsCopy: false);
    }

    private void Send()
    {
        _fields = _database.HashGetAllAsync(_key);
        _life = _database.KeyTimeToLiveAsync(_key);
    }
}

/// <summary>What was read.</summary>
/// <param name="Session">The session; null if there is none.</param>
/// <param name="Life">What was left of its life; null if the key has no TTL, or nobody asked.</param>
/// <param name="IsCopy">Whether it is the copy that was at hand.</param>
/// <param name="IsForged">Whether there is a hash that nobody sealed, so that nothing in it is anybody's session.</param>
internal readonly record struct ReadReply(SessionSnapshot? Session, TimeSpan? Life, bool IsCopy, bool IsForged = false);
