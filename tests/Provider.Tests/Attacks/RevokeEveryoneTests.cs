namespace RedisSessions.Tests.Attacks;

/// <summary>Everyone is everyone, whatever was lost or under way; and the record says who did it.</summary>
public abstract class RevokeEveryoneTests(RedisServer server) : AttackTest(server)
{
    private const int MostCommands = 10;

    [Fact]
    public async Task The_record_says_by_whom_and_the_browsers_learn_why()
    {
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/why", async (HttpContext context) => $"{await context.Session.GetEndReasonAsync()}");
        });
        var (ada, grace) = (site.NewBrowser(), site.NewBrowser());
        string[] ids = [await ada.GetAsync("/login/ada"), await grace.GetAsync("/login/grace")];
        Events.Clear();
        var revocation = new SessionRevocation(SessionEndReason.CredentialsChanged, "root", "incident 12");
        Assert.Equal(new RevokeEveryoneProgress(2, 2), await Users(site).RevokeEveryoneAsync(revocation: revocation));
        var told = Events.All.Where(e => e.Kind == SessionSecurityEventKind.Revoked).ToArray();
        Assert.Equal(ids.Order(), told.Select(e => e.SessionId).Order());
        Assert.All(told, e => Assert.Equal((SessionEndReason.CredentialsChanged, "root", "incident 12"), (e.EndReason, e.By, e.Detail)));
        Assert.Equal("CredentialsChanged", await ada.GetAsync("/why"));
        Assert.Equal("", await grace.GetAsync("/whoami"));
        foreach (var key in await KeysAsync("users:revoked"))
        {
            // As long as a cookie may live. Who did it is nowhere in Redis.
            Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromDays(399), TimeSpan.FromDays(400));
            Assert.Matches("^[0-9]+-credentials-changed$", (string?)await (await DatabaseAsync()).StringGetAsync(key));
        }
    }

    [Fact]
    public async Task A_sign_in_that_is_under_way_learns_why()
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");
        await slow.Sessions.ExistsAsync(NewSecret());
        var gate = new Gate(proxy);
        var browser = slow.NewBrowser();
        var request = StatusAsync(browser, "/login/ada");
        await Task.WhenAny(gate.Reached, request);
        await Users(healthy).RevokeEveryoneAsync(revocation: new SessionRevocation(SessionEndReason.CredentialsChanged));
        proxy.BeforeCommand = null;
        gate.Open();
        await request;
        var marks = new List<string?>();
        var masters = (await Server.AdminAsync()).GetServers().Where(server => !server.IsReplica).ToArray();
        foreach (var server in masters)
        {
            foreach (var key in server.Keys(pattern: $"{Fleet.Prefix}ended:*"))
            {
                marks.Add(await (await DatabaseAsync()).StringGetAsync(key));
            }
        }

        // That of warm, and that of the sign-in. Only one of a cluster's masters is held: there the session may have ended before it was entered, begun afresh, and ended again.
        Assert.InRange(marks.Count, 2, masters.Length > 1 ? 3 : 2);
        Assert.All(marks, mark => Assert.Equal("credentials-changed", mark));
    }

    /// <summary>A user who is known from a token alone: whatever a server did not come to, no live session of anybody's is missed.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_a_token_began_or_took_is_found_whatever_write_was_lost(bool hasSession)
    {
        var clock = StopClock();
        var healthy = await StartAttackedAsync();
        var stored = 0;
        for (var survives = 0; survives < MostCommands; survives++)
        {
            var (user, client) = ($"user{survives}", healthy.NewBrowser());
            if (hasSession)
            {
                await client.GetAsync("/set/cart/tea");
            }

            BearerHandler.Use(client, user);
            using (var proxy = new RedisProxy(Server.Address))
            {
                await using var dying = await StartDyingAsync(proxy);
                var seen = 0;
                proxy.BeforeCommand = _ => Interlocked.Increment(ref seen) > survives ? throw new ObjectDisposedException(nameof(RedisProxy)) : Task.CompletedTask;
                dying.TakeOver(client);
                await client.TryAsync("/api/set/a/1");
            }

            healthy.TakeOver(client);
            client.Headers.Remove("Authorization");
            await Users(healthy).RevokeEveryoneAsync();

            // One that the user's index does not know, because the server died before that, is over at its next heartbeat.
            clock.Advance(TimeSpan.FromMinutes(2));
            await client.GetAsync("/none");
            await Eventually.TrueAsync(async () => await client.GetAsync("/owner") == "", what: $"after {survives} commands, it has ended");
            stored += Events.All.Count(e => e.Kind == SessionSecurityEventKind.Revoked && e.UserId == user);
        }

        Assert.InRange(stored, 1, MostCommands);
    }

    private Task<Site> StartDyingAsync(RedisProxy proxy) => Site.StartAsync(
        proxy.Address,
        CookieSite.Map,
        Fleet,
        services: CookieSite.AddServices,
        addOns: builder => builder.AddUserIndex().AddSecurity(),
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_a_token_is_beginning_or_taking_does_not_survive(bool hasSession)
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        var warm = slow.NewBrowser();
        BearerHandler.Use(warm, "warm");
        await warm.GetAsync("/api/set/a/1");
        await slow.Sessions.ExistsAsync(NewSecret());
        var ended = 0;
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var client = healthy.NewBrowser();
            if (hasSession)
            {
                await client.GetAsync("/set/cart/tea");
            }

            BearerHandler.Use(client, $"user{passes}");
            slow.TakeOver(client);
            var gate = new Gate(proxy, passes);

            // A page that begins no other session.
            var request = client.TryAsync(hasSession ? "/api/whoami" : "/api/set/a/1");
            await Task.WhenAny(gate.Reached, request);
            await Users(healthy).RevokeEveryoneAsync();
            proxy.BeforeCommand = null;
            gate.Open();
            await request;
            await slow.Sessions.ExistsAsync(NewSecret());
            healthy.TakeOver(client);
            client.Headers.Remove("Authorization");
            if (ended == 0 && await client.GetAsync("/owner") != "")
            {
                // It had not begun to be anybody's: a token is not revoked, and may begin a session after that.
                continue;
            }

            ended++;
            await Eventually.TrueAsync(async () => await client.GetAsync("/owner") == "", what: $"held before command {passes + 1}, it has ended");
        }

        // No more than a load, or a count against the client's allowance, comes before that.
        Assert.InRange(ended, MostCommands - 4, MostCommands);
    }
}

public sealed class RevokeEveryoneOnGarnet(InProcessGarnet server) : RevokeEveryoneTests(server);

public sealed class RevokeEveryoneOnCluster(LocalCluster server) : RevokeEveryoneTests(server);
