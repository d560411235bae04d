using Microsoft.Extensions.Time.Testing;

namespace RedisSessions.Tests.Users;

/// <summary>
/// A server that dies between any two of its Redis commands: each operation is cut off before its first command, its
/// second, and so on until it gets through, and another server must find a state that its next read mends.
/// </summary>
public abstract class UserIndexFaultTests(RedisServer server) : ServerTest(server)
{
    public static TheoryData<string> Operations => ["/login/ada", "/regenerate", "/logout", "/login/grace", "/heartbeat", "/revoke", "/revoke-all", "/evict"];

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task Whatever_command_a_server_dies_before_the_next_read_heals(string operation)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var healthy = await StartAsync(SignInSite.Map, services: SignInSite.AddServices, addOns: AddIndex);
        var users = healthy.Services.GetRequiredService<IUserSessions>();
        var completed = false;
        for (var survives = 0; !completed; survives++)
        {
            Assert.True(survives < 30, $"{operation} never got through.");
            var browser = healthy.NewBrowser();
            await browser.GetAsync("/set/cart/tea");
            if (operation != "/login/ada")
            {
                await browser.GetAsync("/login/ada");
            }

            if (operation == "/evict")
            {
                // The limit of two is reached; one more sign-in evicts.
                await healthy.NewBrowser().GetAsync("/login/ada");
            }

            await browser.GetAsync("/none");
            clock.Advance(TimeSpan.FromMinutes(2));
            completed = await DieAfterAsync(survives, operation, browser);
            await CheckAsync(healthy, users, browser, clock, mayEnd: operation == "/revoke-all");
            foreach (var user in new[] { "ada", "grace" })
            {
                await users.RevokeAllAsync(user);
            }
        }
    }

    private static void AddIndex(RedisSessionBuilder builder) => builder.AddUserIndex(o => (o.MaxSessionsPerUser, o.PruneInterval) = (2, TimeSpan.Zero));

    /// <returns>Whether the operation needed no more commands than that.</returns>
    private async Task<bool> DieAfterAsync(int survives, string operation, Browser browser)
    {
        using var proxy = new RedisProxy(Server.Address);
        await using var site = await Site.StartAsync(
            proxy.Address,
            app =>
            {
                SignInSite.Map(app);
                app.MapGet("/heartbeat", () => "ok");
                app.MapGet("/revoke", async (HttpContext context, IUserSessions sessions) => await sessions.RevokeAsync("ada", context.Session.Id));
                app.MapGet("/revoke-all", async (IUserSessions sessions) => await sessions.RevokeAllAsync("ada"));
            },
            Fleet,
            services: SignInSite.AddServices,
            addOns: AddIndex);

        // Connected, and every script known, before anything dies.
        await site.NewBrowser().GetAsync("/login/warm");
        await site.Services.GetRequiredService<IUserSessions>().RevokeAllAsync("warm");
        var died = new TaskCompletionSource();
        var seen = 0;
        proxy.BeforeCommand = _ =>
        {
            if (Interlocked.Increment(ref seen) > survives)
            {
                died.TrySetResult();
                proxy.Dispose();
                throw new ObjectDisposedException(nameof(RedisProxy));
            }

            return Task.CompletedTask;
        };

        var actor = operation == "/evict" ? site.NewBrowser() : browser;
        site.TakeOver(actor);
        try
        {
            using var response = await actor.SendAsync(HttpMethod.Get, operation == "/evict" ? "/login/ada" : operation);
        }
        catch (Exception exception) when (died.Task.IsCompleted && exception is not Xunit.Sdk.XunitException)
        {
            // What a dying server answers is not the question; the state that it leaves is.
        }

        // What was sent without being waited for is under way; when the site is stopped it has been sent or died.
        await site.DisposeAsync();
        return !died.Task.IsCompleted;
    }

    private async Task CheckAsync(Site healthy, IUserSessions users, Browser browser, FakeTimeProvider clock, bool mayEnd)
    {
        healthy.TakeOver(browser);
        clock.Advance(TimeSpan.FromMinutes(2));

        // Every session that the index lists is alive and its user's; and what is not was cleared by listing.
        foreach (var user in new[] { "ada", "grace" })
        {
            // What the dead server had sent may still arrive, after a read that did not see it; the next one clears it.
            IReadOnlyList<UserSession> listed = [];
            await Eventually.TrueAsync(
                async () =>
                {
                    listed = await users.ListAsync(user);
                    return listed.Count == await users.CountAsync(user);
                },
                what: "listing has cleared what is dead");
            foreach (var session in listed)
            {
                Assert.True(await healthy.Sessions.ExistsAsync(session.Id));
            }

            Assert.InRange(listed.Count, 0, 2);
        }

        // The browser's session, if it is somebody's, is found after its next request; or what began to end it has come to its end.
        var owner = await browser.GetAsync("/owner");
        if (owner.Length > 0)
        {
            var id = await browser.GetAsync("/id");
            await Eventually.TrueAsync(
                async () => (await users.ListAsync(owner)).Any(session => session.Id == id) || (mayEnd && !await healthy.Sessions.ExistsAsync(id)),
                what: "the live session is in the index");
        }

        // Nobody is locked out.
        await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));

        // Nothing stays for ever.
        var db = await DatabaseAsync();
        foreach (var key in (await Server.AdminAsync()).GetServers()[0].Keys(pattern: $"{Fleet.Prefix}*"))
        {
            Assert.True(!await db.KeyExistsAsync(key) || await db.KeyTimeToLiveAsync(key) is not null, $"{key} has no TTL.");
        }
    }
}

public sealed class UserIndexFaultsOnGarnet(InProcessGarnet server) : UserIndexFaultTests(server);

public sealed class UserIndexFaultsOnRedis(LocalRedis server) : UserIndexFaultTests(server);
