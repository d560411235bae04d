namespace RedisSessions.Tests.Migration;

/// <summary>The hash can be read and the former store cannot: half a truth, of which nothing may be read or written.</summary>
public abstract class FormerStoreFailureTests(RedisServer server) : MigrationTest(server)
{
    private async Task<(Site Site, CreatedSession Session)> StartWithUnreadableBlobAsync()
    {
        var site = await StartNewAsync(writeBoth: true);
        var created = await site.Sessions.CreateAsync([new("cart", "tea"u8.ToArray())]);
        await (await DatabaseAsync()).StringSetAsync(Instance + created.SecretKey, "not a hash", TimeSpan.FromMinutes(5));
        return (site, created);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nothing_of_the_session_can_be_read(bool awaited)
    {
        var (site, created) = await StartWithUnreadableBlobAsync();
        var session = Open(site, created.SecretKey);
        if (awaited)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => session.LoadAsync());
        }

        Assert.False(session.IsAvailable);
        Assert.Null(session.GetString("cart"));
        Assert.Empty(session.Keys);
        Assert.Equal("", session.Id);
        Assert.Null(session.GetCreatedAt());
    }

    [Theory]
    [InlineData("remove", false)]
    [InlineData("remove", true)]
    [InlineData("clear", false)]
    [InlineData("clear", true)]
    [InlineData("set", false)]
    [InlineData("set", true)]
    public async Task Nothing_of_the_session_can_be_changed(string how, bool awaited)
    {
        var (site, created) = await StartWithUnreadableBlobAsync();
        var session = Open(site, created.SecretKey);
        if (awaited)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => session.LoadAsync());
        }

        switch (how)
        {
            case "remove":
                session.Remove("cart");
                break;
            case "clear":
                session.Clear();
                break;
            default:
                session.SetString("cart", "coffee");
                break;
        }

        try
        {
            await session.CommitAsync();
        }
        catch (Exception)
        {
            // Whether it says so or not: nothing is written.
        }

        Assert.Equal("tea"u8.ToArray(), await site.Sessions.GetFieldAsync(created.Id, "cart"));
    }
}

public sealed class FormerStoreFailureOnGarnet(InProcessGarnet server) : FormerStoreFailureTests(server);

public sealed class FormerStoreFailureOnRedis(LocalRedis server) : FormerStoreFailureTests(server);
