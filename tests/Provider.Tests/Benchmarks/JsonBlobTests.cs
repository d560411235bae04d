using RedisSessions.Benchmarks.Contenders;

namespace RedisSessions.Tests.Benchmarks;

/// <summary>The JSON-blob contender does what the tutorial's does, so that beating it means something.</summary>
public abstract class JsonBlobTests(RedisServer server) : ServerTest(server)
{
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(20);

    [Fact]
    public async Task It_creates_gets_sets_updates_touches_extends_and_destroys()
    {
        var sessions = new JsonBlobSessions(await DatabaseAsync(), Fleet.Prefix);
        Assert.Null(await sessions.GetAsync("x"));
        Assert.False(await sessions.SetAsync("x", "a", [1], Life));
        Assert.False(await sessions.ExistsAsync("x"));

        await sessions.CreateAsync("x", new() { ["a"] = [1] }, Life);
        Assert.True(await sessions.ExistsAsync("x"));
        Assert.Equal([1], (await sessions.GetAsync("x"))!["a"]);
        Assert.True(await sessions.SetAsync("x", "b", [2], Life));
        Assert.True(await sessions.UpdateAsync("x", fields => fields.Remove("a"), Life));
        Assert.Equal(["b"], sessions.Get("x")!.Keys);
        Assert.InRange((await sessions.GetTimeToLiveAsync("x"))!.Value, TimeSpan.FromMinutes(19), Life);
        Assert.True(await sessions.TouchAsync("x", TimeSpan.FromMinutes(5)));
        Assert.True(await sessions.ExtendAsync("x", TimeSpan.FromMinutes(5)));
        Assert.InRange((await sessions.GetTimeToLiveAsync("x"))!.Value, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(10));
        Assert.True(await sessions.DestroyAsync("x"));
        Assert.False(await sessions.ExtendAsync("x", TimeSpan.FromMinutes(5)));
    }

    [Fact]
    public async Task Its_session_keeps_values_between_requests()
    {
        var sessions = new JsonBlobSessions(await DatabaseAsync(), Fleet.Prefix);
        var store = new JsonBlobSessionStore(sessions);
        var first = store.Create("k", Life, Life, () => true, true);
        first.SetString("a", "1");
        first.SetString("b", "2");
        first.Remove("b");
        await first.CommitAsync();
        var second = store.Create("k", Life, Life, () => true, false);
        Assert.Equal("1", second.GetString("a"));
        Assert.Equal(["a"], second.Keys);
        second.Clear();
        await second.CommitAsync();
        Assert.Empty(store.Create("k", Life, Life, () => true, false).Keys);
    }
}

public sealed class JsonBlobOnGarnet(InProcessGarnet server) : JsonBlobTests(server);

public sealed class JsonBlobOnRedis(LocalRedis server) : JsonBlobTests(server);
