namespace RedisSessions.Tests.Sessions;

/// <summary>
/// A commit that Redis received and never answered: whether it happened cannot be known, so that asking again is a second wait
/// for nothing. Counted in commands that left for Redis, not in seconds.
/// </summary>
[Collection(Alone.Name)]
public sealed class UnknownOutcomeTests : OwnRedisTest
{
    // Either of the two gives up: the client, or the session's own timeout before it.
    [Theory]
    [InlineData("/without-body", 300, null)]
    [InlineData("/without-body", 60_000, 300)]
    [InlineData("/redirect", 300, null)]
    [InlineData("/redirect", 60_000, 300)]
    [InlineData("/caught", 300, null)]
    [InlineData("/caught", 60_000, 300)]
    [InlineData("/caught-without-body", 300, null)]
    [InlineData("/caught-without-body", 60_000, 300)]
    public async Task A_commit_that_was_never_answered_is_sent_once(string path, int clientTimeout, int? ioTimeout)
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        await using var site = await KestrelSite.StartAsync(
            $"{proxy.Address},syncTimeout={clientTimeout},asyncTimeout={clientTimeout}",
            app =>
            {
                Pages.Map(app);
                app.MapGet("/without-body", (HttpContext context) =>
                {
                    redis.Pause();
                    context.Session.SetString("a", "2");
                    return Results.NoContent();
                });
                app.MapGet("/redirect", (HttpContext context) =>
                {
                    redis.Pause();
                    context.Session.SetString("a", "2");
                    return Results.Redirect("/");
                });
                app.MapGet("/caught", async (HttpContext context) =>
                {
                    await CommitInVainAsync(context);
                    return "body";
                });
                app.MapGet("/caught-without-body", async (HttpContext context) =>
                {
                    await CommitInVainAsync(context);
                    return Results.NoContent();
                });
            },
            Fleet,
            services: services => services.AddSession(o => o.IOTimeout = ioTimeout is { } timeout ? TimeSpan.FromMilliseconds(timeout) : o.IOTimeout));

        async Task CommitInVainAsync(HttpContext context)
        {
            redis.Pause();
            context.Session.SetString("a", "2");
            await Assert.ThrowsAnyAsync<Exception>(() => context.Session.CommitAsync());
        }

        await WarmUpAsync(site.NewBrowser());

        // Somebody new, for whom nothing is loaded: what is sent is the commit.
        var stranger = site.NewBrowser();
        var before = proxy.Snapshot();
        try
        {
            using var response = await TrySendAsync(stranger, path);
        }
        finally
        {
            redis.Resume();
        }

        Assert.Equal(1, (proxy.Snapshot() - before).Commands.Count(command => command is "EVALSHA" or "EVAL"));
    }

    // The first commands of a process wait for its compiler, too.
    private static Task WarmUpAsync(Browser browser) => Eventually.TrueAsync(async () =>
    {
        using var response = await TrySendAsync(browser, "/set/a/1");
        return await browser.GetAsync("/get/a") == "1";
    });
}
