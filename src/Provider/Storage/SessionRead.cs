using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// One reading of one session, by plain commands. With a copy at hand HGET of the version, and the copy's fields if that is
/// the copy's; else, and behind a version that is another, HGETALL and PTTL in one round trip.
/// <para>
/// Whoever reads waits for, or awaits, what is pending, and then ends it, as often as something is pending: one code for both.
/// What is pending is the client's own task, so that waiting for it needs no other thread; but for one that failed for a moment (<see cref="Failover"/>):
/// then it is until all is asked again.
/// </para>
/// </summary>
internal sealed class SessionRead
{
    private IDatabase _database;
    private readonly string _key;
    private readonly FieldCodec? _codec;
    private readonly SessionCopy? _copy;
    private Task<RedisValue>? _version;
    private Task<HashEntry[]>? _fields;
    private Task<TimeSpan?>? _life;
    private Failover.Retry? _retry;

    public SessionRead(IDatabase database, string key, SessionCopy? copy, FieldCodec? codec)
    {
        _database = database;
        _key = key;
        _codec = codec;
        _copy = copy;
        if (copy is null)
        {
            SendAll();
        }
        else
        {
            _version = database.HashGetAsync(key, FieldNames.VersionField);
        }
    }

    /// <summary>The life last, for replies come in the order of the commands.</summary>
    public Task Pending => (Task?)_retry?.Pending ?? _version ?? (_life!.IsCompleted ? _fields! : (Task)_life);

    /// <returns>False if more was sent: wait for <see cref="Pending"/> again.</returns>
    /// <exception cref="FormatException">The hash is no session.</exception>
    public bool TryEnd(out ReadReply reply)
    {
        reply = default;
        try
        {
            if (_retry is { Pending: not null } retry)
            {
                // Whatever there is now: the copy may be of another master's time.
                _database = retry.TakeDatabase();
                _version = null;
                SendAll();
                return false;
            }

            var hasEnded = TryTake(out reply);
            if (hasEnded)
            {
                _retry?.Recovered();
            }

            return hasEnded;
        }
        catch (Exception exception) when (Failover.MayRepeat(exception) && (_retry ??= Failover.RetryOf(_database)) is { IsOver: false })
        {
            _retry!.Wait(exception);
            return false;
        }
    }

    private bool TryTake(out ReadReply reply)
    {
        reply = default;
        if (_version is { } version)
        {
            if (version.GetAwaiter().GetResult() is { IsNull: false } current && current.TryParse(out long number) && number == _copy!.Session.Version)
            {
                reply = new ReadReply(_copy.Session, null, IsCopy: true);
                return true;
            }

            // Changed, gone, or no session at all any more: what there is tells.
            _version = null;
            SendAll();
            return false;
        }

        if (!_life!.IsCompleted || !_fields!.IsCompleted)
        {
            return false;
        }

        var (life, fields) = (_life.GetAwaiter().GetResult(), _fields.GetAwaiter().GetResult());
        if (fields.Length > 0)
        {
            var session = SessionSnapshot.Parse(fields, _key, _codec);
            reply = _codec?.IsSealed(_key, session) == false ? new ReadReply(null, life, IsCopy: false, IsForged: true) : new ReadReply(session, life, IsCopy: false);
        }

        return true;
    }

    private void SendAll()
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
