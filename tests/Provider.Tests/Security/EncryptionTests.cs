using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.DataProtection;
using StackExchange.Redis;

namespace RedisSessions.Tests.Security;

/// <summary>Values encrypted at rest: what somebody with Redis in hand can and cannot do.</summary>
public abstract class EncryptionTests(RedisServer server) : ServerTest(server)
{
    private Task<Site> StartEncryptedAsync(bool acceptUnencrypted = false) =>
        StartAsync(Pages.Map, addOns: builder => builder.AddEncryption(o => o.AcceptUnencrypted = acceptUnencrypted));

    private async Task<string> DumpAsync(string id)
    {
        var text = new StringBuilder();
        foreach (var field in await (await DatabaseAsync()).HashGetAllAsync(KeyOf(id)))
        {
            text.Append(field.Name).Append('=').Append(Encoding.Latin1.GetString((byte[])field.Value!)).Append('\n');
        }

        return text.ToString();
    }

    [Fact]
    public async Task A_dump_of_redis_shows_names_and_metadata_but_no_value()
    {
        var site = await StartEncryptedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/card/4111-1111-1111-1111");
        var id = await browser.GetAsync("/id");
        var dump = await DumpAsync(id);
        Assert.DoesNotContain("4111-1111", dump, StringComparison.Ordinal);
        Assert.Contains("card=", dump, StringComparison.Ordinal);
        Assert.Contains("@c=", dump, StringComparison.Ordinal);
        Assert.Equal("4111-1111-1111-1111", await browser.GetAsync("/get/card"));
        Assert.Equal("4111-1111-1111-1111", Encoding.UTF8.GetString((await site.Sessions.GetFieldAsync(id, "card"))!));
        Assert.Equal("4111-1111-1111-1111", Encoding.UTF8.GetString((await site.Sessions.GetAsync(id))!.Fields["card"]));

        await browser.GetAsync("/regenerate");
        Assert.Equal("4111-1111-1111-1111", await browser.GetAsync("/get/card"));
        Assert.DoesNotContain("4111-1111", await DumpAsync(await browser.GetAsync("/id")), StringComparison.Ordinal);
        await site.Sessions.SetFieldAsync(await browser.GetAsync("/id"), "job", "done"u8.ToArray());
        Assert.Equal("done", await browser.GetAsync("/get/job"));
        Assert.DoesNotContain("done", await DumpAsync(await browser.GetAsync("/id")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_copied_to_another_field_or_session_is_refused_reported_and_left_as_it_is()
    {
        var site = await StartEncryptedAsync();
        var (rich, poor) = (site.NewBrowser(), site.NewBrowser());
        await rich.GetAsync("/set/balance/1000000");
        await poor.GetAsync("/set/balance/1");
        await poor.GetAsync("/set/role/guest");
        var db = await DatabaseAsync();
        var (richKey, poorKey) = (KeyOf(await rich.GetAsync("/id")), KeyOf(await poor.GetAsync("/id")));
        var stolen = await db.HashGetAsync(richKey, "balance");

        // Its own value in the other field first: that must not be refused for being another session's, too.
        await db.HashSetAsync(poorKey, "role", await db.HashGetAsync(poorKey, "balance"));
        await db.HashSetAsync(poorKey, "balance", stolen);
        await db.HashIncrementAsync(poorKey, "@v");
        Assert.Equal("", await poor.GetAsync("/get/balance"));
        Assert.Equal("", await poor.GetAsync("/get/role"));
        Assert.Contains(site.Log.Ours, entry => entry is { Id.Id: 124, Id.Name: "SecurityDecryptionFailed" });
        Assert.Equal(stolen, await db.HashGetAsync(poorKey, "balance"));
        await poor.GetAsync("/set/balance/2");
        Assert.Equal("2", await poor.GetAsync("/get/balance"));
        Assert.Equal("1000000", await rich.GetAsync("/get/balance"));
    }

    /// <summary>Where no seal is looked at, a value by itself is bound to its field, and to its session.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_a_seal_a_value_is_worth_nothing_in_another_field_or_session(bool otherSession)
    {
        var site = await StartEncryptedAsync(acceptUnencrypted: true);
        var (rich, poor) = (site.NewBrowser(), site.NewBrowser());
        await rich.GetAsync("/set/balance/1000000");
        await poor.GetAsync("/set/balance/1");
        await poor.GetAsync("/set/limit/1000000");
        var db = await DatabaseAsync();
        var (richKey, poorKey) = (KeyOf(await rich.GetAsync("/id")), KeyOf(await poor.GetAsync("/id")));
        await db.HashSetAsync(poorKey, "balance", otherSession ? await db.HashGetAsync(richKey, "balance") : await db.HashGetAsync(poorKey, "limit"));
        await db.HashIncrementAsync(poorKey, "@v");
        Assert.Equal("", await poor.GetAsync("/get/balance"));
        Assert.Equal("1000000", await poor.GetAsync("/get/limit"));
        Assert.Contains(site.Log.Ours, entry => entry is { Id.Id: 124, Id.Name: "SecurityDecryptionFailed" });
    }

    /// <summary>Put back by hand, without a new version: who kept what the request before was shown would not notice.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_of_which_a_value_was_refused_is_kept_in_no_copy(bool commits)
    {
        var site = await StartEncryptedAsync(acceptUnencrypted: true);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/balance/1");
        await browser.GetAsync("/set/limit/2");
        var (db, key) = (await DatabaseAsync(), KeyOf(await browser.GetAsync("/id")));
        var own = await db.HashGetAsync(key, "balance");
        await db.HashSetAsync(key, [new("balance", await db.HashGetAsync(key, "limit")), new("@v", 7)]);
        Assert.Equal("", await browser.GetAsync("/get/balance"));
        if (commits)
        {
            await browser.GetAsync("/set/other/3");
        }

        await db.HashSetAsync(key, "balance", own);
        Assert.Equal("1", await browser.GetAsync("/get/balance"));
    }

    [Fact]
    public async Task An_empty_value_is_a_value()
    {
        var (site, secret) = (await StartEncryptedAsync(), NewSecret());
        var session = Open(site, secret, isNew: true);
        session.Set("empty", []);
        await session.CommitAsync();
        Assert.Empty(Open(await StartEncryptedAsync(), secret).Get("empty")!);
        Assert.DoesNotContain(site.Log.Ours, entry => entry.Id.Name == "SecurityDecryptionFailed");
    }

    [Fact]
    public async Task A_forged_hash_yields_nothing_to_somebody_without_the_keys()
    {
        var site = await StartEncryptedAsync();
        var created = await site.Sessions.CreateAsync();
        var otherKeys = new EphemeralDataProtectionProvider().CreateProtector("RedisSessions.Fields.v1");
        await (await DatabaseAsync()).HashSetAsync(KeyOf(created.Id), [new("role", "admin"), new("key", (byte[])[0xE5, 0x52, 0x53, 0x01, .. otherKeys.Protect([1, 2, 3])]), new("@v", "99")]);
        Assert.Empty(Open(site, created.SecretKey).Keys);
    }

    [Fact]
    public async Task What_data_protection_encrypted_value_by_value_is_still_read()
    {
        var site = await StartEncryptedAsync(acceptUnencrypted: true);
        var created = await site.Sessions.CreateAsync();
        var key = KeyOf(created.Id);
        byte[] plain = [.. SHA256.HashData(Encoding.UTF8.GetBytes($"{key}\nname"))[..16], .. "Ada"u8];
        var former = site.Services.GetRequiredService<IDataProtectionProvider>().CreateProtector("RedisSessions.Fields.v1");
        await (await DatabaseAsync()).HashSetAsync(key, [new("name", (byte[])[0xE5, 0x52, 0x53, 0x01, .. former.Protect(plain)]), new("@v", "99")]);
        Assert.Equal("Ada", Open(site, created.SecretKey).GetString("name"));
    }

    [Fact]
    public async Task Values_from_before_are_read_by_option_and_encrypted_when_next_set()
    {
        var plain = await StartAsync(Pages.Map);
        var browser = plain.NewBrowser();
        await browser.GetAsync("/set/name/Ada");
        var site = await StartEncryptedAsync(acceptUnencrypted: true);
        site.TakeOver(browser);
        Assert.Equal("Ada", await browser.GetAsync("/get/name"));
        await browser.GetAsync("/set/name/Grace");
        Assert.DoesNotContain("Grace", await DumpAsync(await browser.GetAsync("/id")), StringComparison.Ordinal);
        Assert.Equal("Grace", await browser.GetAsync("/get/name"));
    }

    [Fact]
    public async Task Increments_of_overlapping_requests_all_count_though_redis_cannot_read_them()
    {
        var site = await StartEncryptedAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        Assert.Equal(1, await session.IncrementAsync("hits"));
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Open(site, secret).IncrementAsync("hits", 2)));
        Assert.Equal("41", Open(site, secret).GetString("hits"));
        var own = Open(site, secret);
        await Assert.ThrowsAsync<OverflowException>(() => own.IncrementAsync("hits", long.MaxValue));
        Assert.Equal("41", Open(site, secret).GetString("hits"));
        own.SetString("text", "x");
        await Assert.ThrowsAsync<InvalidOperationException>(() => own.IncrementAsync("text"));
        await site.Sessions.DestroyAsync(session.Id);
        await Assert.ThrowsAsync<InvalidOperationException>(() => own.IncrementAsync("hits"));
        Assert.Equal(RedisType.None, await (await DatabaseAsync()).KeyTypeAsync(KeyOf(session.Id)));
    }
}

public sealed class EncryptionOnGarnet(InProcessGarnet server) : EncryptionTests(server);

public sealed class EncryptionOnRedis(LocalRedis server) : EncryptionTests(server);
