namespace RedisSessions.Tests.Sessions;

/// <summary>
/// Pages that the exception handler or the status code pages run as a second pipeline of the same request: they see the session
/// that the first one left, though the request's cookie still names what it came with.
/// </summary>
public abstract class ReExecutionTests(RedisServer server) : ServerTest(server)
{
    private Func<HttpContext, string> _errorPage = context => string.Join(",", context.Session.Keys.Order());
    private ISession? _before;
    private string? _idBefore;
    private ISession? _onErrorPage;

    private Task<Site> StartAsync(Func<HttpContext, Task> first) => StartAsync(
        app =>
        {
            Pages.Map(app);
            app.MapGet("/fails/{how}", async (HttpContext context, string how) =>
            {
                await first(context);
                _before = context.Session;
                _idBefore = context.Session.Id;
                return how == "exception" ? throw new InvalidOperationException("On purpose.") : Results.NotFound();
            });
            app.MapGet("/error", (HttpContext context) =>
            {
                _onErrorPage = context.Session;
                return _errorPage(context);
            });
        },
        beforeSession: app => app.UseExceptionHandler("/error").UseStatusCodePagesWithReExecute("/error"));

    private static async Task<string> ErrorPageAsync(Browser browser, string how)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, $"/fails/{how}");
        Assert.False(response.IsSuccessStatusCode);
        return await response.Content.ReadAsStringAsync();
    }

    private async Task<long> CountKeysAsync()
    {
        var admin = await Server.AdminAsync();
        return admin.GetServers()[0].Keys(pattern: $"{Fleet.Prefix}*").LongCount(key => admin.GetDatabase().KeyType(key) == StackExchange.Redis.RedisType.Hash);
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    public async Task An_error_page_sees_the_session_under_its_new_id_after_regenerating(string how)
    {
        var site = await StartAsync(context => context.Session.RegenerateIdAsync());
        _errorPage = context => $"{context.Session.GetString("cart")} {context.Session.Id}";
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var oldId = await browser.GetAsync("/id");

        var page = await ErrorPageAsync(browser, how);
        Assert.Equal($"tea {_idBefore}", page);
        Assert.NotEqual(oldId, _idBefore);
        Assert.Same(_before, _onErrorPage);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal(_idBefore, await browser.GetAsync("/id"));
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(oldId)));
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    public async Task What_an_error_page_writes_after_regenerating_is_kept_and_revives_nothing(string how)
    {
        var site = await StartAsync(context => context.Session.RegenerateIdAsync());
        _errorPage = context =>
        {
            context.Session.SetString("error", "seen");
            return "";
        };
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var oldId = await browser.GetAsync("/id");
        var thief = browser.Copy();

        await ErrorPageAsync(browser, how);
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(oldId)), "The old id came back.");
        Assert.Equal("cart,error", await browser.GetAsync("/keys"));
        Assert.Equal("", await thief.GetAsync("/keys"));
        Assert.Equal(1, await CountKeysAsync());
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    public async Task What_an_error_page_writes_after_destroying_begins_a_session_under_another_id(string how)
    {
        var site = await StartAsync(context => context.Session.DestroyAsync());
        _errorPage = context =>
        {
            var found = string.Join(",", context.Session.Keys);
            context.Session.SetString("error", "seen");
            return found;
        };
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var oldId = await browser.GetAsync("/id");
        var thief = browser.Copy();

        Assert.Equal("", await ErrorPageAsync(browser, how));
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(oldId)), "The old id came back.");
        Assert.Equal("error", await browser.GetAsync("/keys"));
        Assert.Equal("", await thief.GetAsync("/keys"));
        Assert.Same(_before, _onErrorPage);
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    public async Task An_error_page_that_only_reads_after_destroying_leaves_no_session_and_no_cookie(string how)
    {
        var site = await StartAsync(context => context.Session.DestroyAsync());
        _errorPage = context => $"{context.Session.GetString("cart")}{context.Session.Id}";
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var oldId = await browser.GetAsync("/id");

        Assert.NotEqual(oldId, await ErrorPageAsync(browser, how));
        Assert.Empty(browser.Cookies);
        Assert.Equal(0, await CountKeysAsync());
    }

    [Theory]
    [InlineData("exception")]
    [InlineData("status")]
    public async Task A_session_begun_before_the_error_is_the_error_pages_too(string how)
    {
        var site = await StartAsync(context =>
        {
            context.Session.SetString("cart", "tea");
            return Task.CompletedTask;
        });
        _errorPage = context =>
        {
            context.Session.SetString("error", "seen");
            return string.Join(",", context.Session.Keys.Order());
        };
        var browser = site.NewBrowser();

        using (var response = await browser.SendAsync(HttpMethod.Get, $"/fails/{how}"))
        {
            Assert.Equal("cart,error", await response.Content.ReadAsStringAsync());
            Assert.Single(response.Headers.GetValues("Set-Cookie"));
        }

        Assert.Same(_before, _onErrorPage);
        Assert.Equal("cart,error", await browser.GetAsync("/keys"));
        Assert.Equal(1, await CountKeysAsync());
    }
}

public sealed class ReExecutionOnGarnet(InProcessGarnet server) : ReExecutionTests(server);

public sealed class ReExecutionOnRedis(LocalRedis server) : ReExecutionTests(server);

public sealed class ReExecutionInContainer(ContainerRedis server) : ReExecutionTests(server);

public sealed class ReExecutionOnGivenServer(GivenRedis server) : ReExecutionTests(server);
