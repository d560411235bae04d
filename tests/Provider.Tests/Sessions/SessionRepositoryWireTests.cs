namespace RedisSessions.Tests.Sessions;

/// <summary>What the repository costs on the wire.</summary>
public abstract class SessionRepositoryWireTests(RedisServer server) : ServerTest(server)
{
    private static readonly byte[] Value = [1, 2, 3];

    [Fact]
    public async Task Every_operation_is_one_round_trip()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(redis: proxy.Address);
        async Task<string[]> Run()
        {
            var created = await site.Sessions.CreateAsync([new("a", Value)]);
            await site.Sessions.GetAsync(created.Id);
            await site.Sessions.GetFieldAsync(created.Id, "a");
            await site.Sessions.SetFieldsAsync(created.Id, [new("a", Value), new("b", Value)]);
            await site.Sessions.RemoveFieldAsync(created.Id, "a");
            await site.Sessions.GetFieldNamesAsync(created.Id);
            await site.Sessions.ExistsAsync(created.Id);
            await site.Sessions.TouchAsync(created.Id);
            await site.Sessions.GetTimeToLiveAsync(created.Id);
            await site.Sessions.ExtendAsync(created.Id, TimeSpan.FromMinutes(1));
            await site.Sessions.DestroyAsync(created.Id);
            return [.. proxy.Snapshot().Commands];
        }

        var warm = (await Run()).Length;
        // One each; to read a whole session are two commands in one.
        Assert.Equal(12, (await Run()).Length - warm);
    }
}

public sealed class SessionRepositoryWireOnGarnet(InProcessGarnet server) : SessionRepositoryWireTests(server);

public sealed class SessionRepositoryWireOnRedis(LocalRedis server) : SessionRepositoryWireTests(server);
