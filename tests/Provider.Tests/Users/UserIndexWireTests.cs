namespace RedisSessions.Tests.Users;

/// <summary>What the index costs on the wire.</summary>
public abstract class UserIndexWireTests(RedisServer server) : ServerTest(server)
{
    [Fact]
    public async Task The_index_costs_a_request_no_further_round_trip()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(SignInSite.Map, redis: proxy.Address, services: SignInSite.AddServices, addOns: builder => builder.AddUserIndex());
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/a/1");
        await Eventually.TrueAsync(async () =>
        {
            // Until the heartbeat's writes have passed.
            var start = proxy.Snapshot();
            await browser.GetAsync("/get/a");
            return (proxy.Snapshot() - start).Commands.Count == 1;
        });
        var before = proxy.Snapshot();
        await browser.GetAsync("/get/a");
        Assert.Equal(["HGET"], (proxy.Snapshot() - before).Commands);
        before = proxy.Snapshot();
        await browser.GetAsync("/set/a/2");
        Assert.Equal(["HGET", "EVALSHA"], (proxy.Snapshot() - before).Commands);
    }
}

public sealed class UserIndexWireOnGarnet(InProcessGarnet server) : UserIndexWireTests(server);

public sealed class UserIndexWireOnRedis(LocalRedis server) : UserIndexWireTests(server);
