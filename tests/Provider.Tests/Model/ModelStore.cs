using System.Globalization;
using StackExchange.Redis;

namespace RedisSessions.Tests.Model;

/// <summary>What Redis really holds of one fleet, past the library: looked at, aged, deleted and put back.</summary>
internal sealed class ModelStore(IDatabase database, string prefix)
{
    private readonly Dictionary<(Guid, string Created, int Count), string> _versions = [];
    private Dictionary<Guid, (string? Version, int Count)> _counts = [];
    private List<(RedisKey Key, HashEntry[] Fields, DateTimeOffset End)> _replica = [];
    private Dictionary<Guid, (string? Version, int Count)> _replicaCounts = [];

    /// <summary>What is stored under these ids, in one round trip.</summary>
    public async Task<Dictionary<Guid, SessionSeen>> ReadAsync(IReadOnlyCollection<Guid> ids)
    {
        var replies = ids.Select(id => (Id: id, Left: database.KeyTimeToLiveAsync(KeyOf(id)), Fields: database.HashGetAllAsync(KeyOf(id)))).ToArray();
        var sessions = new Dictionary<Guid, SessionSeen>(replies.Length);
        foreach (var (id, left, reply) in replies)
        {
            var ttl = await left;
            var stored = await reply;
            if (stored.Length == 0)
            {
                continue;
            }

            var fields = new Dictionary<string, string>();
            string? version = null, created = null;
            foreach (var (name, value) in stored.Select(entry => ((string)entry.Name!, (string)entry.Value!)))
            {
                if (!name.StartsWith('@') || name.StartsWith("@@", StringComparison.Ordinal))
                {
                    fields[name.StartsWith('@') ? name[1..] : name] = value;
                }

                version = name == "@v" ? value : version;
                created = name == "@c" ? value : created;
            }

            sessions[id] = new SessionSeen(id, fields, version, created, ttl ?? TimeSpan.Zero);
        }

        return sessions;
    }

    /// <summary>The ids of all that there is.</summary>
    public async Task<IReadOnlyList<Guid>> ListAsync() =>
        [.. ((RedisResult[])(await database.ExecuteAsync("KEYS", $"{prefix}{{*"))!).Select(key => Guid.ParseExact(((string)key!).AsSpan(prefix.Length + 1, 36), "D"))];

    public Task DeleteAsync(Guid id) => database.KeyDeleteAsync(KeyOf(id));

    /// <summary>Time passes for every session, as it passes on the servers' clocks.</summary>
    public async Task AgeAsync(IEnumerable<SessionSeen> sessions, TimeSpan by)
    {
        foreach (var session in sessions)
        {
            var left = session.TimeToLive - by;
            await (left > TimeSpan.Zero ? database.KeyExpireAsync(KeyOf(session.Id), left) : database.KeyDeleteAsync(KeyOf(session.Id)));
        }
    }

    public async Task MarkAsync(IEnumerable<SessionSeen> sessions, DateTimeOffset now)
    {
        _replicaCounts = new(_counts);
        _replica = [];
        foreach (var session in sessions)
        {
            _replica.Add((KeyOf(session.Id), await database.HashGetAllAsync(KeyOf(session.Id)), now + session.TimeToLive));
        }
    }

    public async Task FailOverAsync(IEnumerable<Guid> ids, DateTimeOffset now)
    {
        _counts = new(_replicaCounts);
        await DeleteAsync(ids);
        foreach (var (key, fields, end) in _replica)
        {
            if (end > now)
            {
                await database.HashSetAsync(key, fields);
                await database.KeyExpireAsync(key, end - now);
            }
        }
    }

    public Task DeleteAsync(IEnumerable<Guid> ids) => database.KeyDeleteAsync([.. ids.Select(KeyOf)]);

    /// <summary>
    /// Puts the count back in place of the random number: the n-th change of a session gets the version that its n-th change
    /// got before, as two servers that count would both give it.
    /// </summary>
    public async Task CountVersionsAsync(IEnumerable<SessionSeen> sessions)
    {
        foreach (var session in sessions)
        {
            var (version, count) = _counts.GetValueOrDefault(session.Id);
            if (session.Version != version)
            {
                count++;
                version = session.Version!;
                if (!_versions.TryAdd((session.Id, session.Created!, count), version))
                {
                    version = _versions[(session.Id, session.Created!, count)];
                    await database.HashSetAsync(KeyOf(session.Id), "@v", version);
                }

                _counts[session.Id] = (version, count);
            }
        }
    }

    private RedisKey KeyOf(Guid id) => string.Create(CultureInfo.InvariantCulture, $"{prefix}{{{id}}}");
}
