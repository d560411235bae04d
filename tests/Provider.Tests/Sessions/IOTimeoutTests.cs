namespace RedisSessions.Tests.Sessions;

/// <summary>
/// SessionOptions.IOTimeout bounds every wait for a Redis that is silent, whatever the client's own timeouts are: here those are so
/// long that only the session's ends a wait. No duration is asserted, only that there is an end.
/// </summary>
[Collection(Alone.Name)]
public sealed class IOTimeoutTests : OwnRedisTest
{
    private static readonly TimeSpan IOTimeout = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Hangs = TimeSpan.FromSeconds(10);

    /// <summary>Synchronous and asynchronous timeout of the client, in milliseconds.</summary>
    public static TheoryData<int, int> ClientTimeouts => new() { { 100, 600_000 }, { int.MaxValue, int.MaxValue } };

    private async Task AnswersAsync(int syncTimeout, int asyncTimeout, string path)
    {
        var redis = await RedisAsync();
        var site = await SiteAsync(
            $"{redis.Address},syncTimeout={syncTimeout},asyncTimeout={asyncTimeout}",
            app =>
            {
                app.MapGet("/commit", (HttpContext context) =>
                {
                    redis.Pause();
                    context.Session.SetString("a", "2");
                });
                app.MapGet("/commit-explicitly", async (HttpContext context) =>
                {
                    redis.Pause();
                    context.Session.SetString("a", "2");
                    await Assert.ThrowsAnyAsync<OperationCanceledException>(() => context.Session.CommitAsync());
                });
                app.MapGet("/increment", async (HttpContext context) =>
                {
                    redis.Pause();
                    await Assert.ThrowsAnyAsync<Exception>(async () => await context.Session.IncrementAsync("n"));
                });
                app.MapGet("/silent-regenerate", async (HttpContext context) =>
                {
                    redis.Pause();
                    await context.Session.RegenerateIdAsync();
                });
                app.MapGet("/silent-destroy", async (HttpContext context) =>
                {
                    redis.Pause();
                    await Assert.ThrowsAnyAsync<Exception>(() => context.Session.DestroyAsync());
                });
                app.MapGet("/load", (HttpContext context) => context.Session.LoadAsync()).DisableSessionPreload();
            },
            ioTimeout: IOTimeout,
            afterSession: app => app.Use((context, next) =>
                context.Request.Path == "/synchronous" ? context.Response.WriteAsync(context.Session.GetString("a") ?? "nothing") : next(context)));
        var browser = site.NewBrowser();
        await Eventually.TrueAsync(async () =>
        {
            using var response = await TrySendAsync(browser, "/set/a/1");
            return await browser.GetAsync("/get/a") == "1";
        });
        if (path is "/load" or "/get/a" or "/synchronous")
        {
            redis.Pause();
        }

        try
        {
            using var response = await TrySendAsync(browser, path).WaitAsync(Hangs);
        }
        finally
        {
            redis.Resume();
        }
    }

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task A_preloaded_read_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/get/a");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task An_awaited_load_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/load");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task A_synchronous_read_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/synchronous");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task The_commit_before_the_response_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/commit");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task An_explicit_commit_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/commit-explicitly");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task An_increment_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/increment");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task Regenerating_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/silent-regenerate");

    [Theory]
    [MemberData(nameof(ClientTimeouts))]
    public Task Destroying_ends(int syncTimeout, int asyncTimeout) => AnswersAsync(syncTimeout, asyncTimeout, "/silent-destroy");

    [Fact]
    public async Task A_synchronous_read_ends_where_redis_lost_its_scripts_and_then_falls_silent()
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var goOn = new TaskCompletionSource();
        var site = await SiteAsync(
            $"{proxy.Address},syncTimeout=600000,asyncTimeout=600000",
            ioTimeout: IOTimeout,
            afterSession: app => app.Use((context, next) =>
                context.Request.Path == "/synchronous" ? context.Response.WriteAsync(context.Session.GetString("a") ?? "nothing") : next(context)));
        var browser = site.NewBrowser();
        await Eventually.TrueAsync(async () =>
        {
            using var response = await TrySendAsync(browser, "/set/a/1");
            return await browser.GetAsync("/get/a") == "1";
        });
        await using (var admin = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true"))
        {
            await admin.GetServers()[0].ScriptFlushAsync();
        }

        // Only the whole text of a script is held: what is sent on finding that Redis does not know its digest.
        proxy.BeforeCommand = command => command == "EVAL" ? goOn.Task : Task.CompletedTask;
        try
        {
            await Task.Run(() => browser.GetAsync("/synchronous")).WaitAsync(Hangs);
        }
        finally
        {
            goOn.SetResult();
        }
    }
}
