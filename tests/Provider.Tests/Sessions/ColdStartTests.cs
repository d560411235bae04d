using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>The first requests after a start, by middleware that reads the session synchronously and so blocks the pool.</summary>
[Collection(Alone.Name)]
public sealed class ColdStartTests : OwnRedisTest
{
    private const int Visitors = 64;

    private static async Task<int> ClientsOfAsync(ConnectionMultiplexer admin) =>
        ((string)(await admin.GetServers()[0].ExecuteAsync("CLIENT", "LIST"))!).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    [Fact]
    public async Task The_connection_is_begun_when_the_host_starts()
    {
        var redis = await RedisAsync();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        var before = await ClientsOfAsync(admin);
        await using var site = await KestrelSite.StartAsync(redis.Address, Pages.Map, Fleet);
        await Eventually.TrueAsync(async () => await ClientsOfAsync(admin) > before, TimeSpan.FromSeconds(10), "a connection without a request");
    }

    [Fact]
    public async Task The_first_64_synchronous_readers_at_once_all_see_their_sessions()
    {
        var answers = await FirstAnswersAsync(app => app.UseSession(), _ => { });
        Assert.Equal(Enumerable.Range(0, Visitors).Select(i => $"True {i}"), answers);
    }

    [Fact]
    public async Task So_they_do_where_no_load_is_awaited_by_the_clients_own_threads()
    {
        try
        {
            var answers = await FirstAnswersAsync(app => ((IApplicationBuilder)app).UseSession(), options => options.UseDedicatedThreads = true);
            Assert.Equal(Enumerable.Range(0, Visitors).Select(i => $"True {i}"), answers);
        }
        finally
        {
            // The switch is the whole process's.
            ConnectionMultiplexer.SetFeatureFlag("DedicatedThreads", false);
        }
    }

    private async Task<string[]> FirstAnswersAsync(Action<WebApplication> useSession, Action<RedisSessionOptions> options)
    {
        var redis = await RedisAsync();
        var secrets = new List<string>();
        await using (var former = await KestrelSite.StartAsync(redis.Address + RedisServer.Patient, Pages.Map, Fleet))
        {
            for (var i = 0; i < Visitors; i++)
            {
                secrets.Add((await former.Sessions.CreateAsync([new("v", System.Text.Encoding.UTF8.GetBytes($"{i}"))])).SecretKey);
            }
        }

        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        var before = await ClientsOfAsync(admin);
        await using var site = await KestrelSite.StartPipelineAsync(
            redis.Address + RedisServer.Patient,
            Fleet,
            app =>
            {
                useSession(app);
                app.Use((context, next) => context.Request.Path == "/synchronous"
                    ? context.Response.WriteAsync($"{context.Session.IsAvailable} {context.Session.GetString("v")}")
                    : next(context));
            },
            options: options);

        // A balancer sends the first requests a moment after the start, too.
        for (var i = 0; i < 200 && await ClientsOfAsync(admin) == before; i++)
        {
            await Task.Delay(10);
        }

        return await Task.WhenAll(secrets.Select(secret =>
        {
            var browser = site.NewBrowser();
            browser.SetCookie(Browser.SessionCookie, Fleet.CookieOf(secret));
            return browser.GetAsync("/synchronous");
        }));
    }

    [Fact]
    public async Task A_redis_that_is_silent_does_not_hold_the_start_up()
    {
        var redis = await RedisAsync();
        redis.Pause();
        try
        {
            await using var site = await KestrelSite.StartAsync(redis.Address + ",connectTimeout=600000", Pages.Map, Fleet).WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal("none", await site.NewBrowser().GetAsync("/none").WaitAsync(TimeSpan.FromSeconds(20)));
        }
        finally
        {
            redis.Resume();
        }
    }
}
