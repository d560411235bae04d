using System.Net;
using StackExchange.Redis;
using StackExchange.Redis.Availability;

namespace RedisSessions.Tests.Redis;

/// <summary>
/// Redis in two regions, between which the client moves by itself (<c>ConnectGroupAsync</c>). Nothing is replicated here: what docs/scale.md says that a session
/// means after a switch, and after the way back.
/// </summary>
[Collection(Alone.Name)]
public sealed class ConnectionGroupTests : OwnRedisTest
{
    private static async Task<IConnectionGroup> ConnectAsync(RedisProcess near, RedisProcess far)
    {
        ConnectionGroupMember[] members =
        [
            new($"{near.Address},connectTimeout=1000,asyncTimeout=500", "near") { Weight = 10 },
            new($"{far.Address},connectTimeout=1000,asyncTimeout=500", "far") { Weight = 1 },
        ];
        return await ConnectionMultiplexer.ConnectGroupAsync(members, new MultiGroupOptions.Builder
        {
            HealthCheck = new HealthCheck.Builder { ProbeCount = 1, ProbeTimeout = TimeSpan.FromMilliseconds(300) },
            HealthCheckInterval = TimeSpan.FromMilliseconds(100),
            FailbackDelay = TimeSpan.FromMilliseconds(200),
        });
    }

    [Theory]
    [InlineData(LocalCacheMode.Validated)]
    [InlineData(LocalCacheMode.Notified)]
    public async Task A_session_stays_in_its_region_and_is_there_again_after_the_way_back(LocalCacheMode mode)
    {
        var (near, far) = (await RedisAsync(), await RedisAsync());
        IConnectionGroup? group = null;
        var site = await SiteAsync("", options: o =>
        {
            (o.Configuration, o.LocalCache.Mode) = (null, mode);
            o.ConnectionMultiplexerFactory = async () => group = await ConnectAsync(near, far);
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/near");
        Assert.Equal("near", await browser.GetAsync("/get/a"));

        // Only reads while it is not clear which region serves: what is sent to a frozen server is done when it wakes.
        near.Pause();
        await Eventually.TrueAsync(async () => await browser.TryAsync("/keys") is (HttpStatusCode.OK, "") && group!.ActiveMember?.Name == "far", what: "the far region serves");
        await browser.GetAsync("/set/b/far");
        Assert.Equal("b", await browser.GetAsync("/keys"));

        near.Resume();
        await Eventually.TrueAsync(async () => await browser.TryAsync("/keys") is (HttpStatusCode.OK, "a"), what: "the near region serves what it had");
        Assert.Equal("near", await browser.GetAsync("/get/a"));
    }
}
