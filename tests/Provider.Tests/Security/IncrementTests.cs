using System.Net;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Security;

/// <summary>A session that an increment creates is created like any other.</summary>
public abstract class IncrementTests(RedisServer server) : ServerTest(server)
{
    private Task<Site> StartCountingAsync(int maxCreations = 300) => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/hit", async (HttpContext context) => $"{await context.Session.IncrementAsync("hits")}");
            app.MapGet("/owner", (HttpContext context) => context.Session.GetUserId() ?? "");
        },
        services: services => services.AddAuthorization(),
        addOns: builder => builder.AddUserIndex().AddSecurity(o => o.MaxCreationsPerMinute = maxCreations),
        afterSession: app => app.Use((context, next) =>
        {
            if (context.Request.Headers["X-User"].ToString() is { Length: > 0 } user)
            {
                context.User = SignInSite.PrincipalOf(user);
            }

            context.Connection.RemoteIpAddress = IPAddress.Parse("192.0.2.1");
            return next(context);
        }));

    [Fact]
    public async Task A_robot_without_cookies_cannot_fill_redis_by_incrementing()
    {
        var site = await StartCountingAsync(maxCreations: 5);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("1", await site.NewBrowser().GetAsync("/hit"));
        }

        var keys = (await Server.AdminAsync()).GetServers()[0].Keys(pattern: $"{Fleet.Prefix}{{*").Count();

        // A minute may have ended meanwhile.
        Assert.InRange(keys, 1, 10);
    }

    [Fact]
    public async Task A_session_begun_by_an_increment_is_bound_to_its_browser()
    {
        var site = await StartCountingAsync();
        var browser = site.NewBrowser();
        browser.Headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
        Assert.Equal("1", await browser.GetAsync("/hit"));
        var thief = browser.Copy();
        thief.Headers["User-Agent"] = "curl/8";
        Assert.Equal("", await thief.GetAsync("/get/hits"));
        Assert.Equal("2", await browser.GetAsync("/hit"));
    }

    [Fact]
    public async Task A_session_begun_by_an_increment_belongs_to_its_user()
    {
        var site = await StartCountingAsync();
        var browser = site.NewBrowser();
        browser.Headers["X-User"] = "ada";
        Assert.Equal("1", await browser.GetAsync("/hit"));
        var session = Assert.Single((await (await DatabaseAsync()).HashGetAllAsync(Assert.Single(await SessionKeysAsync()))), field => field.Name == "@u");
        Assert.Equal("ada", session.Value);
        await Eventually.TrueAsync(async () => await site.Services.GetRequiredService<IUserSessions>().CountAsync("ada") == 1);
        Assert.Equal("ada", await browser.GetAsync("/owner"));
    }

    private async Task<string[]> SessionKeysAsync()
    {
        var admin = await Server.AdminAsync();
        return await Task.FromResult(admin.GetServers()[0].Keys(pattern: $"{Fleet.Prefix}{{*").Select(key => (string)key!).ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_key_that_is_too_long_is_refused_as_Set_refuses_it(bool isNew)
    {
        var site = await StartAsync();
        var key = new string('k', 70_000);
        var secret = isNew ? NewSecret() : (await site.Sessions.CreateAsync([new("a", [1])])).SecretKey;
        var session = Open(site, secret, isNew);
        var expected = Assert.ThrowsAny<ArgumentException>(() => session.SetString(key, "1"));
        var actual = await Assert.ThrowsAnyAsync<ArgumentException>(() => session.IncrementAsync(key));
        Assert.Equal((expected.GetType(), expected.ParamName, expected.Message), (actual.GetType(), actual.ParamName, actual.Message));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => session.IncrementAsync(new string('ü', 33_000)));
        Assert.Equal(1, await session.IncrementAsync(new string('k', ushort.MaxValue)));
    }
}

public sealed class IncrementOnGarnet(InProcessGarnet server) : IncrementTests(server);

public sealed class IncrementOnRedis(LocalRedis server) : IncrementTests(server);
