using Microsoft.AspNetCore.Authentication;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>Whoever is not signed in although the credentials were right is in the record as refused, and as nothing else.</summary>
public sealed class SignInRefusedTests(InProcessGarnet server) : AttackTest(server)
{
    private const int MostCommands = 14;

    private SessionSecurityEvent[] Of(SessionSecurityEventKind kind, string user = "ada") => [.. Events.All.Where(e => e.Kind == kind && e.UserId == user)];

    private SessionSecurityEvent TheRefusal()
    {
        var refused = Assert.Single(Of(SessionSecurityEventKind.SignInRefused));
        Assert.Null(refused.SessionId);
        Assert.Empty(Of(SessionSecurityEventKind.SignedIn));
        return refused;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_sign_in_that_meets_a_revocation_is_refused_or_was_one_and_has_ended(bool everyone)
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartAttackedAsync();
        var slow = await StartAttackedAsync(redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");
        await slow.Sessions.ExistsAsync(NewSecret());
        var refusals = 0;
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var (user, browser) = ($"user{passes}", slow.NewBrowser());
            var gate = new Gate(proxy, passes);
            var request = StatusAsync(browser, $"/login/{user}");
            await Task.WhenAny(gate.Reached, request);
            _ = everyone ? (await Users(healthy).RevokeEveryoneAsync()).Sessions : await Users(healthy).RevokeAllAsync(user);
            proxy.BeforeCommand = null;
            gate.Open();
            await request;
            healthy.TakeOver(browser);
            Assert.Equal("", await browser.GetAsync("/whoami"));
            var (refused, signedIn) = (Of(SessionSecurityEventKind.SignInRefused, user), Of(SessionSecurityEventKind.SignedIn, user));
            Assert.True(refused.Length + signedIn.Length == 1, $"Held before command {passes + 1}: {refused.Length} refusals, {signedIn.Length} sign-ins.");
            if (refused.Length == 1)
            {
                refusals++;
                Assert.Contains("while the sign-in was under way", refused[0].Detail);
            }
            else
            {
                Assert.Equal(signedIn[0].SessionId, Assert.Single(Of(SessionSecurityEventKind.Revoked, user)).SessionId);
            }
        }

        Assert.InRange(refusals, 1, MostCommands - 1);
    }

    [Fact]
    public async Task A_sign_in_whose_provider_has_ended_it_meanwhile()
    {
        var site = await StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/idp", (HttpContext context) => context.SignInAsync(new System.Security.Claims.ClaimsPrincipal(new System.Security.Claims.ClaimsIdentity(
                    [new("sub", "ada", null, "https://idp.example"), new("sid", "s1", null, "https://idp.example"), new("name", "ada")], "oidc", "name", "role"))));
            },
            addOns: builder => builder.AddProviderSessions().AddSecurity());
        await site.Services.GetRequiredService<IProviderSessions>().EndAsync(new ProviderLogout
        {
            Issuer = "https://idp.example",
            SessionId = "s1",
            TokenId = "t1",
            ExpiresAt = DateTimeOffset.UtcNow.AddMinutes(2),
        });
        var browser = site.NewBrowser();
        await StatusAsync(browser, "/idp");
        TheRefusal();
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_sign_in_made_while_redis_was_away_and_revoked_before_it_was_bound()
    {
        using var proxy = new RedisProxy(Server.Address);
        var slow = await StartAttackedAsync(redis: proxy.Address, services: AddSlowServices);
        var healthy = await StartAttackedAsync();
        await slow.NewBrowser().GetAsync("/login/warm");
        var browser = slow.NewBrowser();
        var gate = new Gate(proxy);
        await StatusAsync(browser, "/login/ada");
        await Users(healthy).RevokeAllAsync("ada");
        proxy.BeforeCommand = null;
        gate.Open();
        healthy.TakeOver(browser);
        Assert.Equal("", await browser.GetAsync("/whoami"));
        Assert.Contains("before it was bound", TheRefusal().Detail);
        Assert.DoesNotContain(SignInSite.AuthCookie, browser.Cookies.Keys);

        // Its cookie is gone, and with it what could be refused.
        Assert.Equal("", await browser.GetAsync("/whoami"));
        TheRefusal();
    }

    [Fact]
    public async Task A_ticket_that_is_written_again_beside_a_session_that_has_ended()
    {
        var site = await StartAttackedAsync(map: app =>
        {
            CookieSite.Map(app);
            app.MapGet("/end-and-refresh", async (HttpContext context) =>
            {
                var result = await context.AuthenticateAsync();
                await context.Session.DestroyAsync();
                await context.SignInAsync(result.Principal!, result.Properties);
            });
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Events.Clear();
        await browser.GetAsync("/end-and-refresh");
        Assert.Contains("written again", TheRefusal().Detail);
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_sign_in_beyond_the_limit_is_a_limit_reached_and_no_sign_in()
    {
        var site = await StartAttackedAsync(o => (o.MaxSessionsPerUser, o.LimitBehavior) = (1, SessionLimitBehavior.RejectNew));
        await site.NewBrowser().GetAsync("/login/ada");
        Events.Clear();
        var (status, body) = await site.NewBrowser().TryAsync("/login/ada");
        Assert.Equal(System.Net.HttpStatusCode.InternalServerError, status);
        Assert.Contains(nameof(SessionLimitReachedException), body);
        var reached = Assert.Single(Events.All);
        Assert.Equal((SessionSecurityEventKind.LimitReached, "ada"), (reached.Kind, reached.UserId));
    }
}
