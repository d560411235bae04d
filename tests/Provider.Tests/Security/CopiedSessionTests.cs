namespace RedisSessions.Tests.Security;

/// <summary>A copy that is served without asking Redis is served to its own browser only.</summary>
public abstract class CopiedSessionTests(RedisServer server) : ServerTest(server)
{
    [Fact]
    public async Task A_stolen_cookie_reads_nothing_of_a_copy_within_its_staleness()
    {
        var site = await StartAsync(
            Pages.Map,
            options: o => o.LocalCache.MaxStaleness = TimeSpan.FromMinutes(5),
            addOns: builder => builder.AddSecurity());
        var victim = site.NewBrowser();
        victim.Headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
        await victim.GetAsync("/set/cart/tea");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
        var thief = victim.Copy();
        thief.Headers["User-Agent"] = "curl/8";
        Assert.Equal("", await thief.GetAsync("/get/cart"));
        Assert.Equal("", await thief.GetAsync("/keys"));
        Assert.Contains(site.Log.Ours, entry => entry.Id.Name == "SecurityRejected");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
    }
}

public sealed class CopiedSessionOnGarnet(InProcessGarnet server) : CopiedSessionTests(server);

public sealed class CopiedSessionOnRedis(LocalRedis server) : CopiedSessionTests(server);
