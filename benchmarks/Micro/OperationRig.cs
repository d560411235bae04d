using Microsoft.AspNetCore.Session;
using RedisSessions.Benchmarks.Contenders;

namespace RedisSessions.Benchmarks.Micro;

/// <summary>A contender's store with one session in it, and what a request does with that.</summary>
internal sealed class OperationRig : IAsyncDisposable
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan IO = TimeSpan.FromMinutes(1);
    private readonly ServiceProvider _provider;
    private readonly ISessionStore _store;
    private readonly string _key = Guid.NewGuid().ToString();
    private readonly byte[] _field;
    private readonly int _fields;
    private int _count;

    private OperationRig(ServiceProvider provider, int bytes, int fields)
    {
        _provider = provider;
        _store = provider.GetRequiredService<ISessionStore>();
        _field = new byte[bytes / fields];
        _fields = fields;
    }

    public static async Task<OperationRig> StartAsync(string contender, string redis, int bytes, int fields) =>
        (await StartManyAsync(contender, redis, bytes, fields, count: 1))[0];

    /// <summary>Several sessions of one store; the store goes with the first that is disposed.</summary>
    public static async Task<OperationRig[]> StartManyAsync(string contender, string redis, int bytes, int fields, int count)
    {
        var services = new ServiceCollection().AddLogging(logging => logging.ClearProviders());
        var provider = Contender.Add(services, contender, redis).BuildServiceProvider();
        var rigs = new OperationRig[count];
        for (var i = 0; i < count; i++)
        {
            rigs[i] = new OperationRig(provider, bytes, fields);
            await rigs[i].FillAsync(rigs[i]._key);
            await rigs[i].LoadAsync();
        }

        return rigs;
    }

    /// <summary>A request that reads one small value.</summary>
    public async Task LoadAsync()
    {
        var session = Open(_key);
        await session.LoadAsync();
        session.GetInt32("count");
        await session.CommitAsync();
    }

    /// <summary>A request that changes one small value.</summary>
    public async Task LoadChangeCommitAsync()
    {
        var session = Open(_key);
        await session.LoadAsync();
        session.SetInt32("count", ++_count);
        await session.CommitAsync();
    }

    /// <summary>A request that does not look at its session.</summary>
    public async Task TouchAsync()
    {
        var session = Open(_key);
        if (session is Sessions.RedisSession)
        {
            // Ours slid the TTL when the request began; a real request ends before the next one can begin.
            await session.LoadAsync();
        }

        await session.CommitAsync();
    }

    /// <summary>A first request that fills its session.</summary>
    public Task CreateAsync() => FillAsync(Guid.NewGuid().ToString());

    private async Task FillAsync(string key)
    {
        var session = _store.Create(key, Idle, IO, static () => true, isNewSessionKey: true);
        await session.LoadAsync();
        for (var i = 0; i < _fields; i++)
        {
            session.Set($"field-{i}", _field);
        }

        session.SetInt32("count", 1);
        await session.CommitAsync();
    }

    private ISession Open(string key) => _store.Create(key, Idle, IO, static () => true, isNewSessionKey: false);

    public ValueTask DisposeAsync() => _provider.DisposeAsync();
}
