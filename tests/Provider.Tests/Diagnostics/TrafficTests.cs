using StackExchange.Redis;

namespace RedisSessions.Tests.Diagnostics;

/// <summary>The bytes to and from Redis are those that cross the wire. Alone, because dedicated threads are the whole process's.</summary>
[Collection(Alone.Name)]
public sealed class TrafficTests(InProcessGarnet garnet) : ServerTest(garnet)
{
    private const string Name = "redis_sessions.network.io";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_bytes_counted_are_the_bytes_on_the_wire(bool dedicatedThreads)
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(Pages.Map, redis: proxy.Address, options: o =>
        {
            (o.Configuration, o.ConfigurationOptions) = (null, ConfigurationOptions.Parse(proxy.Address + RedisServer.Patient));
            o.UseDedicatedThreads = dedicatedThreads;
        });
        using var traffic = new InstrumentReader(site.Services, Name);
        await site.NewBrowser().GetAsync($"/set/a/{new string('1', 2_000)}");
        await Eventually.TrueAsync(
            () =>
            {
                var wire = proxy.Snapshot();
                return traffic.Read("transmit") == wire.BytesToRedis && traffic.Read("receive") == wire.BytesFromRedis && wire.BytesToRedis > 2_000;
            },
            what: "both count the same");
    }

    public override async ValueTask DisposeAsync()
    {
        ConnectionMultiplexer.SetFeatureFlag("DedicatedThreads", false);
        await base.DisposeAsync();
    }

    [Fact]
    public async Task A_connection_that_the_application_made_is_not_counted()
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(Server.Address + RedisServer.Patient);
        var site = await StartAsync(Pages.Map, options: o => (o.Configuration, o.ConnectionMultiplexerFactory) = (null, () => Task.FromResult<IConnectionMultiplexer>(connection)));
        using var traffic = new InstrumentReader(site.Services, Name);
        await site.NewBrowser().GetAsync("/set/a/1");
    }
}
