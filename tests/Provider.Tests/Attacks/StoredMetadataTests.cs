using System.Net;
using RedisSessions.Storage;
using RedisSessions.Tests.Users;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// Finding 20: somebody can write to Redis, and values are encrypted with <c>AcceptUnencrypted = false</c>. What a session says of
/// itself needs no secrecy, but nobody else may say it.
/// </summary>
public abstract class StoredMetadataTests(RedisServer server) : AttackTest(server)
{
    // Every read is by a server that has seen nothing of the session yet, and so has no copy to go by.
    private Task<Site> StartEncryptedAsync() =>
        StartAttackedAsync(addOns: builder => builder.AddUserIndex().AddSecurity().AddEncryption(o => o.AcceptUnencrypted = false));

    private async Task<Browser> OnAnotherServerAsync(Browser browser)
    {
        var site = await StartEncryptedAsync();
        site.TakeOver(browser);
        return browser;
    }

    [Fact]
    public async Task A_value_cannot_be_rolled_back()
    {
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/balance/100");
        var key = KeyOf(await browser.GetAsync("/id"));
        var database = await DatabaseAsync();
        var earlier = await database.HashGetAsync(key, "balance");
        await browser.GetAsync("/set/balance/1");
        await database.HashSetAsync(key, "balance", earlier);
        await OnAnotherServerAsync(browser);
        Assert.NotEqual("100", await browser.GetAsync("/get/balance"));
    }

    [Fact]
    public async Task A_removed_value_cannot_be_put_back()
    {
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/voucher/free");
        await browser.GetAsync("/set/cart/tea");
        var key = KeyOf(await browser.GetAsync("/id"));
        var database = await DatabaseAsync();
        var voucher = await database.HashGetAsync(key, "voucher");
        await browser.GetAsync("/clear");
        await browser.GetAsync("/set/cart/tea");
        await database.HashSetAsync(key, "voucher", voucher);
        await OnAnotherServerAsync(browser);
        Assert.Equal("", await browser.GetAsync("/get/voucher"));
    }

    [Fact]
    public async Task A_forged_sign_in_time_is_not_recent()
    {
        var clock = StopClock();
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(6));
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), "@s", clock.GetUtcNow().ToUnixTimeMilliseconds());
        await OnAnotherServerAsync(browser);
        Assert.NotEqual(HttpStatusCode.OK, await StatusAsync(browser, "/transfer"));
    }

    [Theory]
    [InlineData("/set/a/1")]
    [InlineData("/login/eve")]
    public async Task A_forged_owner_is_not_believed(string begin)
    {
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync(begin);
        var id = await browser.GetAsync("/id");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), "@u", "ada");
        await OnAnotherServerAsync(browser);
        Assert.NotEqual("ada", await browser.GetAsync("/owner"));
    }

    /// <summary>A stolen ticket, and a session of the thief's own that says that it is the ticket's.</summary>
    [Fact]
    public async Task Metadata_copied_from_one_session_to_another_do_not_pair_it_with_a_ticket()
    {
        var site = await StartEncryptedAsync();
        var (victim, thief) = (site.NewBrowser(), site.NewBrowser());
        var from = KeyOf(await victim.GetAsync("/login/ada"));
        var to = KeyOf(await thief.GetAsync("/login/eve"));
        var database = await DatabaseAsync();
        var metadata = (await database.HashGetAllAsync(from)).Where(field => ((string)field.Name!).StartsWith('@')).ToArray();
        await database.HashSetAsync(to, metadata);
        thief.SetCookie(SignInSite.AuthCookie, victim.Cookies[SignInSite.AuthCookie]);
        await OnAnotherServerAsync(thief);
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.NotEqual("ada", await thief.GetAsync("/owner"));
    }

    [Fact]
    public async Task A_forged_idle_timeout_does_not_prolong_the_session()
    {
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), "@i", (long)TimeSpan.FromDays(365).TotalMilliseconds);
        await OnAnotherServerAsync(browser);
        await StatusAsync(browser, "/set/a/1");
        Assert.True(await (await DatabaseAsync()).KeyTimeToLiveAsync(KeyOf(id)) is not { } left || left < TimeSpan.FromHours(1));
    }

    /// <summary>
    /// What remains is a rollback of the whole hash. It does not reach behind the user's latest revocation: whoever asks at every
    /// request refuses it at once, whoever asks at the heartbeat within one interval.
    /// </summary>
    [Fact]
    public async Task A_whole_hash_put_back_after_a_revocation_is_over_at_the_next_heartbeat_at_the_latest()
    {
        var clock = StopClock();
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        var key = KeyOf(await browser.GetAsync("/login/ada"));
        await browser.GetAsync("/set/secret/diary");
        var database = await DatabaseAsync();
        var before = await database.HashGetAllAsync(key);
        var replay = browser.Copy();
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, await Users(site).RevokeAllAsync("ada"));
        await database.HashSetAsync(key, before);
        await database.KeyExpireAsync(key, TimeSpan.FromMinutes(20));
        await OnAnotherServerAsync(replay);
        clock.Advance(TimeSpan.FromMinutes(2));
        await StatusAsync(replay, "/none");
        await Eventually.TrueAsync(async () => (await replay.GetAsync("/whoami")).Length == 0, TimeSpan.FromSeconds(10), "the session is refused");
        Assert.Empty(await Users(site).ListAsync("ada"));
    }

    public static TheoryData<string, string> Unreadable
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var name in new[] { "@c", "@i", "@s", "@l" })
            {
                foreach (var value in new[] { "9223372036854775807", "-9223372036854775808", "99999999999999999999", "1e400", "", "x" })
                {
                    data.Add(name, value);
                }
            }

            return data;
        }
    }

    /// <summary>With or without encryption: one hash that says nonsense does not hide the user's other sessions, nor itself.</summary>
    [Theory]
    [MemberData(nameof(Unreadable))]
    public async Task Numbers_out_of_range_do_not_break_the_device_list(string name, string value)
    {
        var site = await StartAttackedAsync();
        var id = await site.NewBrowser().GetAsync("/login/ada");
        var other = await site.NewBrowser().GetAsync("/login/ada");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), name, value);
        var listed = (await Users(site).ListAsync("ada")).Select(session => session.Id).ToArray();
        Assert.Contains(other, listed);
        Assert.Contains(id, listed);
        await site.Services.GetRequiredService<ISessionSecurity>().DetectSuspiciousActivityAsync("ada");
        Assert.Equal(2, await Users(site).RevokeAllAsync("ada"));
    }

    [Fact]
    public async Task The_first_and_the_last_moment_there_is_are_times_and_those_beyond_are_none()
    {
        var site = await StartAttackedAsync();
        var id = await site.NewBrowser().GetAsync("/login/ada");
        Assert.Equal(DateTimeOffset.UnixEpoch, await SignedInAtAsync(0));
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(SessionSnapshot.LatestTime), await SignedInAtAsync(SessionSnapshot.LatestTime));
        foreach (var beyond in (RedisValue[])[-1, SessionSnapshot.LatestTime + 1, "x"])
        {
            Assert.InRange(await SignedInAtAsync(beyond), DateTimeOffset.UtcNow - TimeSpan.FromMinutes(1), DateTimeOffset.UtcNow);
        }

        async Task<DateTimeOffset> SignedInAtAsync(RedisValue milliseconds)
        {
            await (await DatabaseAsync()).HashSetAsync(KeyOf(id), "@s", milliseconds);
            return Assert.Single(await Users(site).ListAsync("ada")).SignedInAt;
        }
    }

    /// <summary>
    /// In place of the earlier test, which copied a value that came from another session anyway and so did not notice whether the
    /// field's name is bound.
    /// </summary>
    [Fact]
    public async Task A_value_copied_to_another_field_of_the_same_session_is_refused()
    {
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/nickname/admin");
        await browser.GetAsync("/set/role/guest");
        var key = KeyOf(await browser.GetAsync("/id"));
        var database = await DatabaseAsync();
        await database.HashSetAsync(key, "role", await database.HashGetAsync(key, "nickname"));
        await OnAnotherServerAsync(browser);
        Assert.Equal("", await browser.GetAsync("/get/role"));
    }
}

public sealed class StoredMetadataOnGarnet(InProcessGarnet server) : StoredMetadataTests(server);

public sealed class StoredMetadataOnRedis(LocalRedis server) : StoredMetadataTests(server);
