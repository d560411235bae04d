using System.Text.Json;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Contenders;

/// <summary>
/// Sessions as the usual tutorial stores them: one string key per session that holds JSON, read, modified and written back
/// whole with SETEX. Written for the comparison; it is correct, except where the design itself is not (two writers).
/// </summary>
public sealed class JsonBlobSessions(IDatabase database, string prefix)
{
    public Task CreateAsync(string id, Dictionary<string, byte[]> fields, TimeSpan life) => WriteAsync(id, fields, life);

    public async Task<Dictionary<string, byte[]>?> GetAsync(string id)
    {
        var json = await database.StringGetAsync(Key(id)).ConfigureAwait(false);
        return Parse(json);
    }

    public Dictionary<string, byte[]>? Get(string id) => Parse(database.StringGet(Key(id)));

    public async Task<bool> SetAsync(string id, string field, byte[] value, TimeSpan life) =>
        await UpdateAsync(id, fields => fields[field] = value, life).ConfigureAwait(false);

    public async Task<bool> UpdateAsync(string id, Action<Dictionary<string, byte[]>> change, TimeSpan life)
    {
        if (await GetAsync(id).ConfigureAwait(false) is not { } fields)
        {
            return false;
        }

        change(fields);
        await WriteAsync(id, fields, life).ConfigureAwait(false);
        return true;
    }

    public Task WriteAsync(string id, Dictionary<string, byte[]> fields, TimeSpan life) =>
        database.StringSetAsync(Key(id), JsonSerializer.SerializeToUtf8Bytes(fields), life);

    public Task<bool> DestroyAsync(string id) => database.KeyDeleteAsync(Key(id));

    public Task<bool> TouchAsync(string id, TimeSpan life) => database.KeyExpireAsync(Key(id), life);

    public Task<bool> ExistsAsync(string id) => database.KeyExistsAsync(Key(id));

    public Task<TimeSpan?> GetTimeToLiveAsync(string id) => database.KeyTimeToLiveAsync(Key(id));

    public async Task<bool> ExtendAsync(string id, TimeSpan by)
    {
        var life = await GetTimeToLiveAsync(id).ConfigureAwait(false);
        return life is not null && await TouchAsync(id, life.Value + by).ConfigureAwait(false);
    }

    private static Dictionary<string, byte[]>? Parse(RedisValue json) =>
        json.IsNull ? null : JsonSerializer.Deserialize<Dictionary<string, byte[]>>((byte[])json!);

    private RedisKey Key(string id) => prefix + id;
}
