using Microsoft.Extensions.Diagnostics.HealthChecks;
using StackExchange.Redis;

namespace RedisSessions.Tests.Docs;

/// <summary>What docs/engines.md says of services that refuse commands: imitated by a user who may not use them.</summary>
[Collection(Alone.Name)]
public sealed class EngineTests : OwnRedisTest
{
    /// <summary>A connection string of a user who may use everything but these.</summary>
    private async Task<string> WithoutAsync(params string[] commands)
    {
        var redis = await RedisAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        await admin.GetDatabase().ExecuteAsync("ACL", ["SETUSER", "guest", "on", ">secret", "~*", "&*", "+@all", .. commands.Select(command => "-" + command)]);
        return $"{redis.Address},user=guest,password=secret";
    }

    [Theory]
    [InlineData("config", "client", "cluster", "wait", "debug", "keys", "scan", "monitor")]
    [InlineData("info", "config", "role", "replicaof", "psync")]
    [InlineData("subscribe", "psubscribe", "publish", "pubsub")]
    public async Task Sessions_do_without_it(params string[] commands)
    {
        var site = await SiteAsync(await WithoutAsync(commands) + RedisServer.Patient);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/regenerate");
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        await browser.GetAsync("/destroy");
        Assert.Equal("", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task Without_scripts_nothing_is_stored_and_health_says_why()
    {
        var address = await WithoutAsync("eval", "evalsha");
        var site = await SiteAsync(address, services: services => services.AddHealthChecks().AddRedisSession());
        Assert.NotEqual(System.Net.HttpStatusCode.OK, (await site.NewBrowser().TryAsync("/set/a/1")).Status);
        var entry = (await site.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["redis_session"];
        Assert.Equal(HealthStatus.Unhealthy, entry.Status);
        Assert.Contains("EVAL", entry.Description, StringComparison.Ordinal);
    }
}
