using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>What a robot may cause is bounded, and the bound harms nobody else.</summary>
public abstract class CreationLimitTests(RedisServer server) : AttackTest(server)
{
    private const string Robot = "192.0.2.66";
    private const string Neighbour = "192.0.2.1";

    private async Task FillBucketAsync(Site site, int creations)
    {
        for (var i = 0; i < creations; i++)
        {
            await From(site, Robot).GetAsync("/set/a/1");
        }

        // It is full, indeed.
        var last = From(site, Robot);
        await last.GetAsync("/set/a/1");
        Assert.Equal("", await last.GetAsync("/get/a"));
    }

    /// <summary>Finding 7, with nothing but defaults.</summary>
    [Fact]
    public async Task A_robot_in_the_same_network_keeps_nobody_from_signing_in()
    {
        StopClock();
        var site = await StartAttackedAsync();
        await FillBucketAsync(site, 300);
        var victim = From(site, Neighbour);
        var id = await victim.GetAsync("/login/ada");
        Assert.True(await site.Sessions.ExistsAsync(id));
        Assert.Equal("ada", await victim.GetAsync("/whoami"));
        await victim.GetAsync("/set/cart/tea");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
    }

    /// <summary>Nor where a sign-in has no id, or an id and no ticket.</summary>
    [Theory]
    [InlineData("/login/ada")]
    [InlineData("/bind/ada")]
    public async Task Whatever_makes_a_session_somebodys_is_no_robots(string signIn)
    {
        StopClock();
        var site = await StartAttackedAsync(
            o => o.UserIdOf = _ => null,
            o => o.MaxCreationsPerMinute = 3,
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/bind/{user}", async (HttpContext context, string user) =>
                {
                    await context.Session.BindUserAsync(user);
                    return context.Session.Id;
                });
            });
        await FillBucketAsync(site, 3);
        var victim = From(site, Neighbour);
        Assert.True(await site.Sessions.ExistsAsync(await victim.GetAsync(signIn)));
        await victim.GetAsync("/set/cart/tea");
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
    }

    /// <summary>Finding 7. What the index holds exists, so that nothing that does not exist can push out what does.</summary>
    [Fact]
    public async Task Sign_ins_past_the_limit_leave_no_entry_without_a_session()
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 3);
        await FillBucketAsync(site, 3);
        for (var i = 0; i < 3; i++)
        {
            await StatusAsync(From(site, Neighbour), "/login/ada");
        }

        var counted = await Users(site).CountAsync("ada");
        Assert.Equal(counted, (await Users(site).ListAsync("ada")).Count);
    }

    /// <summary>Finding 7. A session that is there is not the price of one that is not.</summary>
    [Fact]
    public async Task A_live_session_is_evicted_only_for_one_that_lives()
    {
        StopClock();
        var site = await StartAttackedAsync(o => o.MaxSessionsPerUser = 1, o => o.MaxCreationsPerMinute = 3);
        var phone = From(site, "198.51.100.1");
        await phone.GetAsync("/login/ada");
        await FillBucketAsync(site, 3);
        var office = From(site, Neighbour);
        await StatusAsync(office, "/login/ada");
        string[] users = [await phone.GetAsync("/whoami"), await office.GetAsync("/whoami")];
        Assert.Single(users, "ada");
    }

    /// <summary>Finding 7. Behind a Unix socket or a server without addresses nobody has one; they are not one client.</summary>
    [Fact]
    public async Task Clients_of_unknown_address_share_no_bucket()
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 3);
        for (var i = 0; i < 6; i++)
        {
            var visitor = site.NewBrowser();
            await visitor.GetAsync("/set/cart/tea");
            Assert.Equal("tea", await visitor.GetAsync("/get/cart"));
        }
    }

    /// <summary>Finding 15. An event of a session that is not stored is an event of nothing.</summary>
    [Fact]
    public async Task Tracking_events_does_not_get_around_the_limit()
    {
        StopClock();
        var site = await StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/track", (HttpContext context) => context.Session.Track("seen"));
                app.MapGet("/track-and-set", (HttpContext context) =>
                {
                    context.Session.SetString("a", "1");
                    context.Session.Track("seen");
                });
            },
            addOns: builder => builder.AddUserIndex().AddSecurity(o => o.MaxCreationsPerMinute = 3).AddAnalytics());
        for (var i = 0; i < 20; i++)
        {
            await From(site, Robot).GetAsync("/track");
            await From(site, Robot).GetAsync("/track-and-set");
        }

        // What was queued is written when the server stops.
        await site.DisposeAsync();
        Assert.InRange((await KeysAsync("events:*")).Length, 0, 3);
    }

    /// <summary>Each waits until so many are there.</summary>
    private static Func<Task> MeetingOf(int requests)
    {
        var arrived = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return () =>
        {
            if (Interlocked.Increment(ref arrived) == requests)
            {
                all.SetResult();
            }

            return all.Task;
        };
    }

    /// <summary>Finding 15. Each request alone is within the bound; together they are not, and Redis is what sees them together.</summary>
    [Fact]
    public async Task Parallel_requests_cannot_pass_the_size_of_a_session()
    {
        const int Requests = 24;
        var meet = MeetingOf(Requests);
        var site = await StartAttackedAsync(
            security: o => o.MaxSessionSize = 10_000,
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/fill/{key}", async (HttpContext context, string key) =>
                {
                    context.Session.Set(key, new byte[9_000]);
                    await meet();
                });
            });
        var browser = From(site, Neighbour);
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await FillAtOnceAsync(browser, Requests, allowed: 1, "MaxSessionSize");
        Assert.InRange(await SizeAsync(id), 1, 10_000);

        // What was there, and what was allowed, is still there.
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }

    /// <summary>The same for the count of fields, and from outside a request.</summary>
    [Fact]
    public async Task Parallel_requests_cannot_pass_the_count_of_fields()
    {
        const int Requests = 12;
        var meet = MeetingOf(Requests);
        var site = await StartAttackedAsync(
            security: o => o.MaxFieldCount = 3,
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/fill/{key}", async (HttpContext context, string key) =>
                {
                    context.Session.SetString(key, "1");
                    await meet();
                });
            });
        var browser = From(site, Neighbour);
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await FillAtOnceAsync(browser, Requests, allowed: 2, "MaxFieldCount");
        Assert.InRange((await site.Sessions.GetFieldNamesAsync(id))!.Count, 1, 3);
    }

    /// <summary>Requests that are refused fail, which the test server passes on; each says why.</summary>
    private static async Task FillAtOnceAsync(Browser browser, int requests, int allowed, string option)
    {
        var refusals = await Task.WhenAll(Enumerable.Range(0, requests).Select(i => Record.ExceptionAsync(() => browser.GetAsync($"/fill/k{i}")).AsTask()));
        Assert.Equal(allowed, refusals.Count(refusal => refusal is null));
        Assert.All(refusals, refusal => Assert.True(refusal is null || (refusal is InvalidOperationException && refusal.Message.Contains(option, StringComparison.Ordinal))));
    }

    private async Task<long> SizeAsync(string id) =>
        (await (await DatabaseAsync()).HashGetAllAsync(KeyOf(id))).Where(IsTheApplications).Sum(field => field.Name.Length() + field.Value.Length());

    private static bool IsTheApplications(HashEntry field) => !((string)field.Name!).StartsWith('@');

    /// <summary>
    /// In place of the earlier robot test, which counted session hashes and so could not see what else a robot leaves: indexes,
    /// events, counters. Beside its sessions a robot leaves its one bucket.
    /// </summary>
    [Fact]
    public async Task A_robot_leaves_its_allowance_and_one_counter_and_nothing_else()
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 5);
        foreach (var path in new[] { "/set/a/1", "/none", "/id", "/get/a", "/keys", "/clear", "/regenerate", "/destroy", "/logout", "/whoami" })
        {
            for (var i = 0; i < 10; i++)
            {
                await From(site, Robot).GetAsync(path);
            }
        }

        var keys = await KeysAsync();
        Assert.Equal(5, keys.Count(key => key.StartsWith($"{Fleet.Prefix}{{", StringComparison.Ordinal)));
        Assert.InRange(keys.Length, 5, 6);
        var database = await DatabaseAsync();
        foreach (var key in keys)
        {
            var left = (await database.KeyTimeToLiveAsync(key))!.Value;
            Assert.True(!key.Contains("rate:", StringComparison.Ordinal) || (left > TimeSpan.FromMinutes(1) && left <= TimeSpan.FromMinutes(2)), $"{key}: {left}");
        }
    }

    /// <summary>Who has a session already is no robot: regenerating and signing in again cost nothing of the allowance.</summary>
    [Fact]
    public async Task A_full_bucket_does_not_keep_an_existing_session_from_changing_its_id()
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.MaxCreationsPerMinute = 3);
        var visitor = From(site, Neighbour);
        await visitor.GetAsync("/set/cart/tea");
        for (var i = 0; i < 5; i++)
        {
            await From(site, Robot).GetAsync("/set/a/1");
        }

        await visitor.GetAsync("/regenerate");
        await visitor.GetAsync("/login/ada");
        Assert.Equal("tea", await visitor.GetAsync("/get/cart"));
        Assert.Equal("ada", await visitor.GetAsync("/whoami"));
        Assert.Contains(SignInSite.AuthCookie, visitor.Cookies.Keys);
    }
}

public sealed class CreationLimitsOnGarnet(InProcessGarnet server) : CreationLimitTests(server);

public sealed class CreationLimitsOnRedis(LocalRedis server) : CreationLimitTests(server);
