using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Preloading;

/// <summary>Where preloading is off, a page that does not touch the session does not wait for it, whatever add-ons there are.</summary>
public sealed class PreloadOffTests(InProcessGarnet garnet) : ServerTest(garnet)
{
    public static TheoryData<string, string> Cases => new()
    {
        { "none", "/untouched" },
        { "users", "/untouched" },
        { "security", "/untouched" },
        { "users", "/off" },
        { "security", "/off" },
        { "users", "/attribute-off" },
        { "security", "/attribute-off" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_page_that_does_not_touch_the_session_answers_while_redis_is_silent(string addOn, string path)
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(
            app =>
            {
                SignInSite.Map(app);
                app.MapGet("/untouched", () => "untouched");
                app.MapGet("/off", () => "untouched").DisableSessionPreload();
                app.MapGet("/attribute-off", [SessionPreload(false)] () => "untouched");
            },
            redis: proxy.Address,
            options: o => o.PreloadSession = path != "/untouched",
            services: SignInSite.AddServices,
            addOns: builder =>
            {
                if (addOn == "users")
                {
                    builder.AddUserIndex();
                }
                else if (addOn == "security")
                {
                    builder.AddSecurity();
                }
            });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var goOn = new TaskCompletionSource();
        proxy.BeforeCommand = _ => goOn.Task;
        try
        {
            Assert.Equal("untouched", await browser.GetAsync(path).WaitAsync(TimeSpan.FromSeconds(5)));
        }
        finally
        {
            goOn.SetResult();
        }

        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }
}
