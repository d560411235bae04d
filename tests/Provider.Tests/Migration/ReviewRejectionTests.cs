using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Migration;

/// <summary>While old servers still write: a session that ends because it was in the wrong browser has ended in their store, too.</summary>
public abstract class ReviewRejectionTests(RedisServer server) : MigrationTest(server)
{
    [Fact]
    public async Task A_session_destroyed_for_its_browser_is_not_imported_again()
    {
        var site = await StartAsync(
            Pages.Map,
            services: SignInSite.AddServices,
            addOns: builder => builder
                .AddMicrosoftSessionMigration(Instance, o => o.WriteBoth = true)
                .AddSecurity(o => o.UserAgentAction = BindingAction.Destroy));
        var victim = site.NewBrowser();
        victim.Headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
        await victim.GetAsync("/set/cart/tea");
        var thief = victim.Copy();
        thief.Headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";
        var again = thief.Copy();
        again.Headers["User-Agent"] = thief.Headers["User-Agent"];
        Assert.Equal("", await thief.GetAsync("/get/cart"));
        Assert.Equal("", await again.GetAsync("/get/cart"));
        Assert.Equal("", await victim.GetAsync("/get/cart"));
        await Eventually.TrueAsync(async () => (await BlobsAsync()).Length == 0);
    }
}

public sealed class ReviewRejectionOnGarnet(InProcessGarnet server) : ReviewRejectionTests(server);

public sealed class ReviewRejectionOnRedis(LocalRedis server) : ReviewRejectionTests(server);
