using System.Net;
using Microsoft.AspNetCore.Authentication.Cookies;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>A sign-in that was made while Redis was away is bound later, once, whatever is lost on the way or comes late.</summary>
public sealed class LateBindingTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan LongAfter = TimeSpan.FromMinutes(2);

    /// <summary>The reply to its claim is lost while its user's sessions are revoked: the claim must not keep the next request from learning that.</summary>
    [Fact]
    public async Task A_revoked_sign_in_is_nobodys_also_after_the_reply_to_its_claim_was_lost()
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAttackedAsync(redis: proxy.Address);
        var browser = await SignedInWhileSlowAsync(site);
        clock.Advance(LongAfter);
        await Users(site).RevokeAllAsync("ada");

        LoseReplyTo("SET", proxy);

        // The principal of a request that lost Redis is kept, for that request.
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        await HealedAsync(site);
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>The claim's holder does not come to an end: nobody is served on the word of a ticket that may be revoked, and the ticket stays.</summary>
    [Fact]
    public async Task While_another_request_binds_it_and_does_not_end_a_sign_in_is_honoured_for_nobody()
    {
        using var proxy = new RedisProxy(Server.Address);
        var (slow, site) = (await StartAttackedAsync(redis: proxy.Address), await StartAttackedAsync());
        var browser = await SignedInWhileSlowAsync(site);
        var (first, gate) = await HeldBehindItsClaimAsync(slow, proxy, browser.Copy());

        Assert.Equal("", await browser.GetAsync("/whoami"));
        gate.Open();
        Assert.Equal("ada", await first);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Single(await Users(site).ListAsync("ada"));
    }

    /// <summary>A request that was held until its claim had expired, and another had bound the sign-in, ends nothing of that one's.</summary>
    [Fact]
    public async Task A_request_that_comes_to_its_end_after_another_bound_the_sign_in_binds_nothing()
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var (slow, site) = (await StartAttackedAsync(redis: proxy.Address), await StartAttackedAsync());
        var browser = await SignedInWhileSlowAsync(site);
        var thief = browser.Copy();
        var (first, gate) = await HeldBehindItsClaimAsync(slow, proxy, browser.Copy());

        // As when it expires.
        await (await Server.AdminAsync()).GetDatabase().KeyDeleteAsync([.. (await KeysAsync("signin:*")).Select(key => (RedisKey)key)]);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        gate.Open();
        Assert.Equal("", await first);
        Assert.Single(await Users(site).ListAsync("ada"));

        clock.Advance(LongAfter);
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_request_whose_claim_expired_binds_the_sign_in_where_nobody_else_did()
    {
        using var proxy = new RedisProxy(Server.Address);
        var (slow, site) = (await StartAttackedAsync(redis: proxy.Address), await StartAttackedAsync());
        var browser = await SignedInWhileSlowAsync(site);
        var (first, gate) = await HeldBehindItsClaimAsync(slow, proxy, browser);
        await (await Server.AdminAsync()).GetDatabase().KeyDeleteAsync([.. (await KeysAsync("signin:*")).Select(key => (RedisKey)key)]);
        gate.Open();
        Assert.Equal("ada", await first);
        Assert.Single(await Users(site).ListAsync("ada"));
    }

    /// <summary>Whichever reply is lost while it is bound: the browser stays signed in, and a copy does not bind it a second time.</summary>
    [Theory]
    [MemberData(nameof(Replies))]
    public async Task A_sign_in_is_bound_once_whichever_reply_is_lost(int lost)
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAttackedAsync(redis: proxy.Address);
        var browser = await SignedInWhileSlowAsync(site);
        var thief = browser.Copy();

        proxy.LoseReply(lost);
        await StatusAsync(browser, "/whoami");
        proxy.LoseReply(0);
        await HealedAsync(site);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));

        clock.Advance(LongAfter);
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    /// <summary>The application took its end away: its claim lives as long as a cookie may.</summary>
    [Fact]
    public async Task A_ticket_without_an_end_is_bound_like_any_other()
    {
        var before = await StartAsync(CookieSite.Map, services: services =>
        {
            CookieSite.AddServices(services);
            services.Configure<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme, o => o.Events.OnSigningIn = context =>
            {
                context.Properties.ExpiresUtc = null;
                return Task.CompletedTask;
            });
        });
        var browser = before.NewBrowser();
        await browser.GetAsync("/login/ada");
        var site = await StartAttackedAsync(o => o.AcceptEarlierSignIns = true);
        site.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Single(await Users(site).ListAsync("ada"));
        var claim = Assert.Single(await KeysAsync("signin:*"));
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(claim))!.Value, TimeSpan.FromDays(399.9), TimeSpan.FromDays(400));
    }

    public static TheoryData<int> Replies => [.. Enumerable.Range(1, 12)];

    private static Task HealedAsync(Site site) =>
        Eventually.TrueAsync(async () => await StatusAsync(site.NewBrowser(), "/set/a/1") == HttpStatusCode.OK);

    private static void LoseReplyTo(string name, RedisProxy proxy) => proxy.BeforeCommand = command =>
    {
        if (command == name)
        {
            proxy.BeforeCommand = null;
            proxy.LoseNextReply();
        }

        return Task.CompletedTask;
    };

    /// <summary>A request that has claimed the sign-in, and is held before it binds it.</summary>
    private static async Task<(Task<string> Answer, Gate Gate)> HeldBehindItsClaimAsync(Site slow, RedisProxy proxy, Browser browser)
    {
        slow.TakeOver(browser);
        Gate? gate = null;
        var claimed = new TaskCompletionSource();
        proxy.BeforeCommand = command =>
        {
            if (command == "SET")
            {
                gate = new Gate(proxy);
                claimed.SetResult();
            }

            return Task.CompletedTask;
        };
        var answer = browser.GetAsync("/whoami");
        await claimed.Task;
        await gate!.Reached;
        return (answer, gate);
    }
}
