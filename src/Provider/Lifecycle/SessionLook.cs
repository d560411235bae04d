using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>A look at the hashes of a life.</summary>
internal sealed class SessionLook(
    RedisConnection connection, SessionHash hash, SessionTimeouts timeouts, SessionKeys keys, IOptions<SessionLifecycleOptions> options, IServiceProvider services)
{
    // The application's fields come after these.
    private static readonly RedisValue[] Metadata =
        [FieldNames.Created, FieldNames.IdleTimeout, FieldNames.LastSeen, FieldNames.UserId, FieldNames.SignedInAt];

    private readonly FieldCodec? _codec = services.GetService<FieldCodec>();
    private readonly string[] _fields = [.. options.Value.Fields.Select(FieldNames.Normalize)];

    /// <summary>The hashes of it that are there, the newest first.</summary>
    public async Task<IReadOnlyList<LiveHash>> FindAsync(SessionLife life, WatchRecord record)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var stored = _fields.Select(static name => FieldNames.Encode(name)).ToArray();
        RedisValue[] names = [.. Metadata, .. stored.Select(static name => (RedisValue)name), .. stored.Select(static name => (RedisValue)(FieldNames.ExpiryPrefix + name))];
        var reads = record.SessionIds.Select(id => ReadAsync(database, id, names)).ToArray();
        var found = new List<LiveHash>();
        foreach (var live in await Task.WhenAll(reads).ConfigureAwait(false))
        {
            // A later session of the same id is another.
            if (live is { } one && one.CreatedAt == life.CreatedAt)
            {
                found.Add(one);
            }
        }

        return found;
    }

    private async Task<LiveHash?> ReadAsync(IDatabase database, Guid id, RedisValue[] names)
    {
        var key = keys.Session(id);
        var reading = database.HashGetAsync(key, names);
        var ttl = database.KeyTimeToLiveAsync(key);
        reading.Observe();
        var left = await ttl.ConfigureAwait(false);
        RedisValue[] values;
        try
        {
            values = await reading.ConfigureAwait(false);
        }
        catch (RedisServerException exception) when (exception.Message.StartsWith("WRONGTYPE", StringComparison.Ordinal))
        {
            // No session.
            return null;
        }

        if (!values[0].TryParse(out long createdAt))
        {
            return null;
        }

        var fields = new Dictionary<string, byte[]?>(StringComparer.Ordinal);
        for (var i = 0; i < _fields.Length; i++)
        {
            // What expires by itself is not kept for longer.
            var stored = values[Metadata.Length + _fields.Length + i].IsNull ? (byte[]?)values[Metadata.Length + i] : null;
            fields[_fields[i]] = stored is null || _codec is null ? stored : _codec.Decode(key, _fields[i], stored);
        }

        // A key without an end is nothing of ours, but it is there.
        var life = left ?? timeouts.IdleTimeout;
        return new LiveHash(id, createdAt, life, timeouts.LastSeen(life, TimeOf(values[1]), TimeOf(values[2])), values[3], values[4], fields);
    }

    private static TimeSpan? TimeOf(RedisValue value) =>
        value.TryParse(out long milliseconds) && milliseconds is >= 0 and <= SessionSnapshot.LatestTime ? TimeSpan.FromMilliseconds(milliseconds) : null;

    /// <summary>What is left of one that is not there.</summary>
    public Task<SessionRemains> FindRemainsAsync(Guid id) => hash.ReadRemainsAsync(id);
}

/// <summary>A hash of a life that is there.</summary>
/// <param name="Id">Under which id.</param>
/// <param name="CreatedAt">When it says that it was created, Unix milliseconds.</param>
/// <param name="Left">What is left of its life.</param>
/// <param name="SeenAt">When it was used last, as far as that tells.</param>
/// <param name="UserId">Whose it is.</param>
/// <param name="SignedInAt">When the user's credentials were checked, Unix milliseconds.</param>
/// <param name="Fields">The application's fields that are to be handed over.</param>
internal readonly record struct LiveHash(
    Guid Id, long CreatedAt, TimeSpan Left, DateTimeOffset SeenAt, RedisValue UserId, RedisValue SignedInAt, Dictionary<string, byte[]?> Fields);
