using RedisSessions.Storage.Scripts;
using StackExchange.Redis;

namespace RedisSessions.Tests.Storage;

/// <summary>What no request does at will: a script that arrives twice, or after another session began under its id.</summary>
public abstract class ScriptTests(RedisServer server) : ServerTest(server)
{
    private const long CreatedAt = 1_700_000_000_000;

    private async Task<(IDatabase Database, string Key)> StoredAsync()
    {
        var (database, key) = (await DatabaseAsync(), KeyOf(Guid.NewGuid().ToString()));
        await database.HashSetAsync(key, [new("@v", 5), new("@c", CreatedAt), new("n", 1)]);
        return (database, key);
    }

    [Fact]
    public async Task An_increment_that_arrives_twice_is_made_once()
    {
        var (database, key) = await StoredAsync();
        var times = new SlideTimes(CreatedAt + 1_000, Idle: 1_200_000, PrecisionLimit: 60_000, PrecisionDivisor: 20, Absolute: 0);
        for (var i = 0; i < 2; i++)
        {
            var reply = IncrementScript.Reply(await IncrementScript.Begin(database, null, key, times, CreatedAt, version: 7, "n", by: 2).EndAsync(), 7);
            Assert.Equal(CommitOutcome.Done, reply.Commit.Outcome);
            Assert.Equal("3"u8, reply.Value);
        }

        Assert.Equal(3, (long)await database.HashGetAsync(key, "n"));
    }

    [Fact]
    public async Task What_is_withdrawn_is_the_session_that_was_created_and_no_other()
    {
        var (database, key) = await StoredAsync();
        await WithdrawScript.Begin(database, null, key, CreatedAt - 1).EndAsync();
        Assert.True(await database.KeyExistsAsync(key));
        await WithdrawScript.Begin(database, null, key, CreatedAt).EndAsync();
        Assert.False(await database.KeyExistsAsync(key));
    }
}

public sealed class ScriptsOnGarnet(InProcessGarnet server) : ScriptTests(server);

public sealed class ScriptsOnRedis(LocalRedis server) : ScriptTests(server);

public sealed class ScriptsOnCluster(LocalCluster server) : ScriptTests(server);
