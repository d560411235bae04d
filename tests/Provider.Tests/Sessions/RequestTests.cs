using System.Net;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Sessions;

/// <summary>Whole requests: cookies, when a change is saved, and what overlapping requests and other servers see.</summary>
public abstract class RequestTests(RedisServer server) : ServerTest(server)
{
    [Fact]
    public async Task A_cookie_comes_with_the_first_value_set_and_not_before()
    {
        var site = await StartAsync(Pages.Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/get/a");
        Assert.Empty(browser.Cookies);
        await browser.GetAsync("/set/a/1");
        Assert.Equal([Browser.SessionCookie], browser.Cookies.Keys);
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task Setting_a_value_after_the_response_started_throws_unless_the_session_is_established()
    {
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/late", async (HttpContext context) =>
            {
                await context.Response.WriteAsync("started ");
                try
                {
                    context.Session.SetString("late", "1");
                    await context.Response.WriteAsync("set");
                }
                catch (InvalidOperationException)
                {
                    await context.Response.WriteAsync("refused");
                }
            });
        });
        var browser = site.NewBrowser();
        Assert.Equal("started refused", await browser.GetAsync("/late"));
        await browser.GetAsync("/set/a/1");
        Assert.Equal("started set", await browser.GetAsync("/late"));
        Assert.Equal("1", await browser.GetAsync("/get/late"));
    }

    [Fact]
    public async Task Overlapping_requests_that_write_different_keys_both_survive_100_of_100_times()
    {
        var bothLoaded = new SemaphoreSlim(0);
        var go = new SemaphoreSlim(0);
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/overlap/{key}", async (HttpContext context, string key) =>
            {
                await context.Session.LoadAsync();
                bothLoaded.Release();
                await go.WaitAsync();
                context.Session.SetString(key, "kept");
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/start/1");
        for (var round = 0; round < 100; round++)
        {
            var first = browser.GetAsync($"/overlap/a{round}");
            var second = browser.GetAsync($"/overlap/b{round}");
            await bothLoaded.WaitAsync();
            await bothLoaded.WaitAsync();
            go.Release(2);
            await Task.WhenAll(first, second);
            Assert.Equal("kept", await browser.GetAsync($"/get/a{round}"));
            Assert.Equal("kept", await browser.GetAsync($"/get/b{round}"));
        }
    }

    [Fact]
    public async Task A_read_straight_after_a_write_is_never_stale_whichever_server_answers_100_of_100_times()
    {
        using var slow = new RedisProxy(Server.Address, TimeSpan.FromMilliseconds(5));
        var far = await StartAsync(Pages.Map, redis: slow.Address);
        var near = await StartAsync(Pages.Map);
        var browser = far.NewBrowser();
        for (var round = 0; round < 100; round++)
        {
            far.TakeOver(browser);
            using (var response = await browser.SendAsync(HttpMethod.Get, $"/set/v/{round}"))
            {
                // The headers are here; the far server may still be busy with the end of its request.
                near.TakeOver(browser);
                Assert.Equal($"{round}", await browser.GetAsync("/get/v"));
            }
        }
    }

    [Fact]
    public async Task A_change_is_in_redis_before_the_first_byte_leaves()
    {
        var mayEnd = new TaskCompletionSource();
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/stream", async (HttpContext context) =>
            {
                context.Session.SetString("early", "1");
                await context.Response.WriteAsync("first");
                await context.Response.Body.FlushAsync();
                context.Session.SetString("late", "2");
                await mayEnd.Task;
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        using var response = await browser.SendAsync(HttpMethod.Get, "/stream");
        Assert.Equal("1", await browser.GetAsync("/get/early"));
        Assert.Equal("", await browser.GetAsync("/get/late"));
        mayEnd.SetResult();
        await response.Content.ReadAsStringAsync();
        await Eventually.TrueAsync(async () => await browser.GetAsync("/get/late") == "2");
    }

    [Fact]
    public async Task A_session_destroyed_while_a_request_holds_it_leaves_no_key_behind()
    {
        var holds = new SemaphoreSlim(0);
        var go = new SemaphoreSlim(0);
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/hold", async (HttpContext context) =>
            {
                context.Session.SetString("a", "2");
                holds.Release();
                await go.WaitAsync();
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        var holding = browser.Copy().GetAsync("/hold");
        await holds.WaitAsync();
        await browser.GetAsync("/destroy");
        go.Release();
        await holding;
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(KeyOf(id)));
    }

    [Fact]
    public async Task Regenerating_gives_a_new_id_and_cookie_with_the_data_and_kills_the_old_one()
    {
        var site = await StartAsync(Pages.Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var oldId = await browser.GetAsync("/id");
        var thief = browser.Copy();
        var createdAt = (await site.Sessions.GetAsync(oldId))!.CreatedAt;

        var newId = await browser.GetAsync("/regenerate");
        Assert.NotEqual(oldId, newId);
        Assert.NotEqual(thief.Cookies[Browser.SessionCookie], browser.Cookies[Browser.SessionCookie]);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal(newId, await browser.GetAsync("/id"));
        Assert.Equal(createdAt, (await site.Sessions.GetAsync(newId))!.CreatedAt);
        Assert.False(await site.Sessions.ExistsAsync(oldId));
        Assert.Equal("", await thief.GetAsync("/get/cart"));
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Regenerating_does_nothing_for_a_key_made_in_the_same_request_and_throws_once_the_response_started()
    {
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/new", async (HttpContext context) =>
            {
                context.Session.SetString("a", "1");
                var before = context.Session.Id;
                await context.Session.RegenerateIdAsync();
                return before == context.Session.Id;
            });
            app.MapGet("/late", async (HttpContext context) =>
            {
                await context.Response.WriteAsync("x");
                await Assert.ThrowsAsync<InvalidOperationException>(() => context.Session.RegenerateIdAsync());
            });
        });
        var browser = site.NewBrowser();
        Assert.Equal("true", await browser.GetAsync("/new"));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.Equal("x", await browser.GetAsync("/late"));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task Regenerating_keeps_what_other_requests_committed_meanwhile_and_this_requests_own_changes()
    {
        Site? site = null;
        site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/login", async (HttpContext context) =>
            {
                context.Session.SetString("own", "before");
                await site!.Sessions.SetFieldAsync(context.Session.Id, "meanwhile", "1"u8.ToArray());
                await context.Session.RegenerateIdAsync();
                context.Session.SetString("own2", "after");
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/login");
        Assert.Equal("a,meanwhile,own,own2", await browser.GetAsync("/keys"));
    }

    [Fact]
    public async Task A_planted_unknown_key_is_replaced_by_regenerating()
    {
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/login", async (HttpContext context) =>
            {
                await context.Session.RegenerateIdAsync();
                context.Session.SetString("user", "ada");
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await site.Sessions.DestroyAsync(await browser.GetAsync("/id"));
        var planted = browser.Copy();
        await browser.GetAsync("/login");
        Assert.Equal("ada", await browser.GetAsync("/get/user"));
        Assert.Equal("", await planted.GetAsync("/get/user"));
    }

    [Fact]
    public async Task Destroying_deletes_the_hash_expires_the_cookie_and_empties_the_session()
    {
        var site = await StartAsync(Pages.Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        var copy = browser.Copy();
        Assert.Equal("", await browser.GetAsync("/destroy"));
        Assert.Empty(browser.Cookies);
        Assert.False(await site.Sessions.ExistsAsync(id));
        Assert.Equal("", await copy.GetAsync("/get/a"));
    }

    [Fact]
    public async Task What_is_set_after_destroying_begins_a_new_session_under_a_new_key()
    {
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/logout", async (HttpContext context) =>
            {
                await context.Session.DestroyAsync();
                context.Session.SetString("message", "bye");
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var oldId = await browser.GetAsync("/id");
        await browser.GetAsync("/logout");
        Assert.Equal("message", await browser.GetAsync("/keys"));
        Assert.NotEqual(oldId, await browser.GetAsync("/id"));
        Assert.False(await site.Sessions.ExistsAsync(oldId));
    }

    [Fact]
    public async Task Our_cookie_is_like_the_session_middlewares_in_every_respect()
    {
        var site = await StartAsync(
            Pages.Map,
            services: services => services.AddSession(o =>
            {
                o.Cookie.Name = "sid";
                o.Cookie.Path = "/";
                o.Cookie.Domain = "localhost";
                o.Cookie.SameSite = SameSiteMode.Strict;
                o.Cookie.HttpOnly = true;
                o.Cookie.IsEssential = true;
            }));
        var browser = site.NewBrowser();
        using var first = await browser.SendAsync(HttpMethod.Get, "/set/a/1");
        using var second = await browser.SendAsync(HttpMethod.Get, "/regenerate");
        Assert.Equal(Shape(first), Shape(second));
        Assert.Equal("no-cache, no-store", second.Headers.CacheControl!.ToString().Replace("no-store, no-cache", "no-cache, no-store", StringComparison.Ordinal));
        Assert.Equal(["no-cache"], second.Headers.Pragma.Select(value => value.ToString()));

        // The middleware takes it for one of its own.
        var secret = Fleet.Protection.CreateProtector("SessionMiddleware").Unprotect(FromBase64(browser.Cookies["sid"]));
        Assert.Equal(36, secret.Length);
        Assert.Equal("1", await browser.GetAsync("/get/a"));

        static string Shape(HttpResponseMessage response) =>
            System.Text.RegularExpressions.Regex.Replace(response.Headers.GetValues("Set-Cookie").Single(), "^sid=[^;]+", "sid=");
        static byte[] FromBase64(string text)
        {
            text = Uri.UnescapeDataString(text);
            return Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));
        }
    }

    [Fact]
    public async Task The_secret_is_nowhere_in_redis_nor_in_the_log_at_trace()
    {
        var site = await StartAsync(Pages.Map);
        var browser = site.NewBrowser();
        var secrets = new List<string>();
        foreach (var path in new[] { "/set/a/1", "/get/a", "/regenerate", "/get/a", "/set/b/2", "/clear" })
        {
            await browser.GetAsync(path);
            var cookie = Uri.UnescapeDataString(browser.Cookies[Browser.SessionCookie]);
            var key = Fleet.Protection.CreateProtector("SessionMiddleware").Unprotect(Convert.FromBase64String(cookie.PadRight((cookie.Length + 3) / 4 * 4, '=')));
            secrets.Add(System.Text.Encoding.UTF8.GetString(key));
            secrets.Add(cookie);
        }

        var admin = await Server.AdminAsync();
        var keys = admin.GetServers()[0].Keys(pattern: $"{Fleet.Prefix}*").ToList();
        Assert.NotEmpty(keys);
        var everything = new System.Text.StringBuilder();
        foreach (var key in keys)
        {
            everything.Append(key).Append('\n');
            if (await admin.GetDatabase().KeyTypeAsync(key) != StackExchange.Redis.RedisType.Hash)
            {
                everything.Append(await admin.GetDatabase().StringGetAsync(key)).Append('\n');
                continue;
            }

            foreach (var field in await admin.GetDatabase().HashGetAllAsync(key))
            {
                everything.Append(field.Name).Append('=').Append(field.Value).Append('\n');
            }
        }

        var log = string.Join('\n', site.Log.Entries);
        Assert.NotEmpty(log);
        foreach (var secret in secrets)
        {
            Assert.DoesNotContain(secret, everything.ToString(), StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(secret, log, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task A_hostile_cookie_is_a_new_visitor()
    {
        var site = await StartAsync(Pages.Map);
        foreach (var value in new[] { "x", "%00", new string('A', 4000), "CfDJ8AAAA" })
        {
            var browser = site.NewBrowser();
            browser.SetCookie(Browser.SessionCookie, value);
            using var response = await browser.SendAsync(HttpMethod.Get, "/set/a/1");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal("1", await browser.GetAsync("/get/a"));
        }
    }

    [Fact]
    public async Task Reading_costs_one_round_trip_writing_two_and_no_cookie_none()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(Pages.Map, redis: proxy.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/big/" + new string('x', 1000));
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/get/a");

        Assert.Equal(["HGET"], await CommandsOf("/get/a"));
        Assert.Equal(["HGET"], await CommandsOf("/none"));
        Assert.Equal(["HGET", "EVALSHA"], await CommandsOf("/set/a/2"));
        var stranger = site.NewBrowser();
        var before = proxy.Snapshot();
        await stranger.GetAsync("/get/a");
        Assert.Empty((proxy.Snapshot() - before).Commands);

        async Task<IReadOnlyList<string>> CommandsOf(string path)
        {
            var start = proxy.Snapshot();
            await browser.GetAsync(path);
            return (proxy.Snapshot() - start).Commands;
        }
    }

    [Fact]
    public async Task A_small_change_to_a_large_session_sends_little_and_receives_little()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapGet("/fill", (HttpContext context) =>
                {
                    for (var i = 0; i < 10; i++)
                    {
                        context.Session.Set($"field{i}", new byte[10_000]);
                    }
                });
            },
            redis: proxy.Address);
        var browser = site.NewBrowser();
        await browser.GetAsync("/fill");
        await browser.GetAsync("/set/a/1");

        // The client's own PINGs may fall in between; the smallest of a few tries is the request's own cost.
        var (writeOut, writeIn) = (long.MaxValue, long.MaxValue);
        var (readOut, readIn) = (long.MaxValue, long.MaxValue);
        for (var i = 0; i < 5; i++)
        {
            var start = proxy.Snapshot();
            await browser.GetAsync($"/set/a/{i}");
            var written = proxy.Snapshot();
            await browser.GetAsync("/get/a");
            var read = proxy.Snapshot();
            writeOut = Math.Min(writeOut, (written - start).BytesToRedis);
            writeIn = Math.Min(writeIn, (written - start).BytesFromRedis);
            readOut = Math.Min(readOut, (read - written).BytesToRedis);
            readIn = Math.Min(readIn, (read - written).BytesFromRedis);
        }

        Assert.InRange(writeOut, 1, 600);
        Assert.InRange(writeIn, 1, 100);
        Assert.InRange(readOut, 1, 250);
        Assert.InRange(readIn, 1, 50);
    }
}

public sealed class RequestsOnGarnet(InProcessGarnet server) : RequestTests(server);

public sealed class RequestsOnRedis(LocalRedis server) : RequestTests(server);

public sealed class RequestsInContainer(ContainerRedis server) : RequestTests(server);

public sealed class RequestsOnGivenServer(GivenRedis server) : RequestTests(server);
