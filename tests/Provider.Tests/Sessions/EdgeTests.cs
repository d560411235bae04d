using System.Net;

namespace RedisSessions.Tests.Sessions;

/// <summary>What a session answers at its edges: while it is changed as it is enumerated, and where it ends as it begins.</summary>
public abstract class EdgeTests(RedisServer server) : ServerTest(server)
{
    private async Task<ISession> StoredAsync(params string[] keys)
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        foreach (var key in keys)
        {
            session.SetString(key, "1");
        }

        await session.CommitAsync();
        var stored = Open(site, secret);
        await stored.LoadAsync();
        return stored;
    }

    [Fact]
    public async Task Setting_every_key_while_enumerating_visits_each_once()
    {
        var session = await StoredAsync("a", "b", "c");
        session.SetString("d", "1");
        var visited = new List<string>();
        foreach (var key in session.Keys)
        {
            visited.Add(key);
            session.SetString(key, "2");
        }

        Assert.Equal(["a", "b", "c", "d"], visited.Order());
        Assert.All(session.Keys, key => Assert.Equal("2", session.GetString(key)));
    }

    [Fact]
    public async Task Removing_every_key_while_enumerating_visits_each_once()
    {
        var session = await StoredAsync("a", "b", "c");
        session.SetString("d", "1");
        var visited = new List<string>();
        foreach (var key in session.Keys)
        {
            visited.Add(key);
            session.Remove(key);
        }

        Assert.Equal(["a", "b", "c", "d"], visited.Order());
        Assert.Empty(session.Keys);
    }

    [Fact]
    public async Task Keys_are_a_live_view()
    {
        var session = await StoredAsync("a", "b");
        var keys = session.Keys;
        Assert.Equal(["a", "b"], keys.Order());
        session.SetString("c", "1");
        Assert.Equal(["a", "b", "c"], keys.Order());
        session.Remove("a");
        Assert.Equal(["b", "c"], keys.Order());
        await session.CommitAsync();
        Assert.Equal(["b", "c"], keys.Order());
        session.Clear();
        Assert.Empty(keys);

        var site = await StartAsync();
        var begun = Open(site, NewSecret(), isNew: true);
        var none = begun.Keys;
        begun.SetString("first", "1");
        Assert.Equal(["first"], none);
    }

    [Fact]
    public async Task An_idle_timeout_set_before_there_is_anything_to_store_holds_for_what_is_stored_later()
    {
        var site = await StartAsync();
        var session = Open(site, NewSecret(), isNew: true, idle: TimeSpan.FromMinutes(20));
        session.SetIdleTimeout(TimeSpan.FromHours(5));
        await session.CommitAsync();
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(session.Id)));
        session.SetString("a", "1");
        await session.CommitAsync();
        Assert.True(await (await DatabaseAsync()).KeyTimeToLiveAsync(KeyOf(session.Id)) > TimeSpan.FromHours(4));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_destroyed_in_the_request_that_began_it_leaves_nothing_and_sends_no_cookie(bool stored)
    {
        var id = "";
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/begin-and-end", async (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                id = context.Session.Id;
                if (stored)
                {
                    await context.Session.CommitAsync();
                }

                await context.Session.DestroyAsync();
                return string.Join(",", context.Session.Keys);
            });
        });
        var browser = site.NewBrowser();
        using var response = await browser.SendAsync(HttpMethod.Get, "/begin-and-end");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
        Assert.Empty(browser.Cookies);
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(id)));
        if (!stored)
        {
            Assert.False(response.Headers.Contains("Set-Cookie"));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_set_after_destroying_a_session_of_the_same_request_has_another_id(bool stored)
    {
        var (before, after) = ("", "");
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/begin-again", async (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                before = context.Session.Id;
                if (stored)
                {
                    await context.Session.CommitAsync();
                }

                await context.Session.DestroyAsync();
                context.Session.SetString("b", "2");
                after = context.Session.Id;
            });
        });
        var browser = site.NewBrowser();
        using var response = await browser.SendAsync(HttpMethod.Get, "/begin-again");
        Assert.NotEqual(before, after);
        Assert.Single(response.Headers.GetValues("Set-Cookie"));
        Assert.Equal("b", await browser.GetAsync("/keys"));
        Assert.Equal(after, await browser.GetAsync("/id"));
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(before)));
    }
}

public sealed class EdgesOnGarnet(InProcessGarnet server) : EdgeTests(server);

public sealed class EdgesOnRedis(LocalRedis server) : EdgeTests(server);

public sealed class EdgesInContainer(ContainerRedis server) : EdgeTests(server);

public sealed class EdgesOnGivenServer(GivenRedis server) : EdgeTests(server);
