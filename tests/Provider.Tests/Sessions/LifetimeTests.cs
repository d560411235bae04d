using System.Text;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sessions;

/// <summary>Values that are gone by themselves when their time is over, wherever they are looked for: in this request, in a copy, in Redis.</summary>
public abstract class LifetimeTests(RedisServer server) : ServerTest(server)
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);

    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);

    public static TheoryData<bool> Encrypted => [false, true];

    private async Task SkipUnlessFieldsExpireAsync() => await FieldExpiryOf.SkipUnlessAsync(Server);

    private Task<Site> BeginSiteAsync(bool encrypted = false, bool frozen = false, LocalCacheMode mode = LocalCacheMode.Validated, int? maxSize = null)
    {
        Fleet = new Fleet { Clock = frozen ? _clock : TimeProvider.System, Prefix = Fleet.Prefix, Protection = Fleet.Protection };
        return StartAsync(
            options: o => o.LocalCache.Mode = mode,
            addOns: builder =>
            {
                if (encrypted)
                {
                    builder.AddEncryption(o => o.AcceptUnencrypted = false);
                }

                if (maxSize is { } size)
                {
                    builder.AddSecurity(o => o.MaxSessionSize = size);
                }
            });
    }

    private static async Task<ISession> OpenedAsync(Site site, string secret)
    {
        var session = Open(site, secret);
        await session.LoadAsync();
        return session;
    }

    private static string IdOf(string secret) => SessionId.Derive(secret).ToString();

    private async Task GoneInRedisAsync(string secret, string field)
    {
        var database = await DatabaseAsync();
        await Eventually.TrueAsync(async () => !await database.HashExistsAsync(KeyOf(IdOf(secret)), field), what: $"{field} is gone");
    }

    private async Task<double> LeftAsync(string secret, string field)
    {
        var database = await DatabaseAsync();
        return ((long[])(await database.ExecuteAsync("HPTTL", (RedisKey)KeyOf(IdOf(secret)), "FIELDS", "1", field))!)[0];
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task A_value_with_a_lifetime_is_gone_in_redis_and_in_every_copy_and_the_others_stay(bool encrypted)
    {
        await SkipUnlessFieldsExpireAsync();
        var (here, there) = (await BeginSiteAsync(encrypted), await BeginSiteAsync(encrypted));
        var secret = NewSecret();
        var session = Open(here, secret, isNew: true);
        session.SetString("stays", "1");
        session.SetString("@code", "123456", Soon);
        session.SetString("later", "2", Long);
        await session.CommitAsync();
        Assert.Equal("123456", (await OpenedAsync(there, secret)).GetString("@code"));
        Assert.InRange(await LeftAsync(secret, "later"), Long.TotalMilliseconds - 60_000, Long.TotalMilliseconds);
        await GoneInRedisAsync(secret, "@@code");
        await Eventually.TrueAsync(async () => (await OpenedAsync(here, secret)).GetString("@code") is null);
        foreach (var site in new[] { here, there, await BeginSiteAsync(encrypted) })
        {
            var read = await OpenedAsync(site, secret);
            Assert.True(read.IsAvailable);
            Assert.Equal(["later", "stays"], read.Keys.Order());
            Assert.Equal("1", read.GetString("stays"));
            Assert.Equal("2", read.GetString("later"));
            Assert.Equal(["later", "stays"], (await site.Sessions.GetAsync(IdOf(secret)))!.Fields.Keys.Order());
            Assert.Null(await site.Sessions.GetFieldAsync(IdOf(secret), "@code"));
        }

        // And it can be changed on, by who knows of what is gone and who does not.
        var changed = await OpenedAsync(there, secret);
        changed.SetString("stays", "3");
        await changed.CommitAsync();
        session = await OpenedAsync(here, secret);
        Assert.Equal("3", session.GetString("stays"));
        session.SetString("@code", "654321", Long);
        await session.CommitAsync();
        Assert.Equal("654321", (await OpenedAsync(there, secret)).GetString("@code"));
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task By_this_servers_clock_it_is_over_to_the_millisecond_and_that_is_no_change(bool encrypted)
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await BeginSiteAsync(encrypted, frozen: true);
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("stays", "1");
        session.Set("code", [1, 2, 3], Long);
        Assert.Equal([1, 2, 3], session.Get("code")!);
        await session.CommitAsync();
        var version = await VersionAsync(secret);

        _clock.Advance(Long - TimeSpan.FromMilliseconds(1));
        var other = await OpenedAsync(site, secret);
        Assert.Equal([1, 2, 3], other.Get("code")!);
        Assert.Equal(["code", "stays"], other.Keys.Order());
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        foreach (var read in new[] { session, other, await OpenedAsync(site, secret) })
        {
            Assert.Null(read.Get("code"));
            Assert.Equal(["stays"], read.Keys);
            Assert.Null(await read.TakeAsync("code"));
            await read.CommitAsync();
        }

        Assert.Equal(version, await VersionAsync(secret));
        Assert.DoesNotContain("code", (await site.Sessions.GetAsync(IdOf(secret)))!.Fields.Keys);
    }

    private async Task<RedisValue> VersionAsync(string secret) => await (await DatabaseAsync()).HashGetAsync(KeyOf(IdOf(secret)), "@v");

    [Fact]
    public async Task In_the_request_that_sets_it_it_is_there_and_then_it_is_gone()
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await BeginSiteAsync(frozen: true);
        var session = Open(site, NewSecret(), isNew: true);
        session.SetString("code", "1", TimeSpan.FromSeconds(5));
        _clock.Advance(TimeSpan.FromSeconds(4.999));
        Assert.Equal("1", session.GetString("code"));
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(session.GetString("code"));
        Assert.Empty(session.Keys);
        session.SetString("code", "2");
        Assert.Equal("2", session.GetString("code"));
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task The_last_that_is_said_of_a_value_holds(bool encrypted)
    {
        await SkipUnlessFieldsExpireAsync();
        var (here, there) = (await BeginSiteAsync(encrypted), await BeginSiteAsync(encrypted));
        var secret = NewSecret();
        var session = Open(here, secret, isNew: true);
        session.SetString("kept", "1", Soon);
        session.SetString("kept", "2");
        session.SetString("short", "1");
        session.SetString("short", "2", Long);
        session.SetString("removed", "1", Long);
        session.Remove("removed");
        await session.CommitAsync();
        Assert.Equal(-1, await LeftAsync(secret, "kept"));
        Assert.InRange(await LeftAsync(secret, "short"), 1, Long.TotalMilliseconds);
        Assert.False(await (await DatabaseAsync()).HashExistsAsync(KeyOf(IdOf(secret)), "removed"));

        // Who knows that it has a lifetime, who does not because it came meanwhile, and from outside.
        foreach (var how in new[] { "known", "unknown", "outside", "clear" })
        {
            var set = await OpenedAsync(here, secret);
            var late = await OpenedAsync(there, secret);
            set.SetString("code", "1", Long);
            await set.CommitAsync();
            switch (how)
            {
                case "known":
                    var known = await OpenedAsync(here, secret);
                    known.SetString("code", how);
                    await known.CommitAsync();
                    break;
                case "unknown":
                    late.SetString("code", how);
                    await late.CommitAsync();
                    break;
                case "clear":
                    late.Clear();
                    late.SetString("code", how);
                    await late.CommitAsync();
                    break;
                default:
                    await there.Sessions.SetFieldAsync(IdOf(secret), "code", Encoding.UTF8.GetBytes(how));
                    break;
            }

            Assert.Equal(-1, await LeftAsync(secret, "code"));
            foreach (var site in new[] { here, there, await BeginSiteAsync(encrypted, frozen: true) })
            {
                Assert.Equal(how, (await OpenedAsync(site, secret)).GetString("code"));
            }

            _clock.Advance(2 * Long);
            Assert.Equal(how, (await OpenedAsync(await BeginSiteAsync(encrypted, frozen: true), secret)).GetString("code"));
            Fleet = new Fleet { Prefix = Fleet.Prefix, Protection = Fleet.Protection };
        }
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task A_new_id_keeps_lifetimes_and_what_is_over_stays_behind(bool encrypted)
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapGet("/code/{value}/{ms:int}", (HttpContext context, string value, int ms) => context.Session.SetString("code", value, TimeSpan.FromMilliseconds(ms)));
            },
            addOns: builder => _ = encrypted ? builder.AddEncryption(o => o.AcceptUnencrypted = false) : builder);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/stays/1");
        await browser.GetAsync("/code/1/400000");
        var id = await browser.GetAsync("/regenerate");
        var database = await DatabaseAsync();
        Assert.InRange(((long[])(await database.ExecuteAsync("HPTTL", (RedisKey)KeyOf(id), "FIELDS", "1", "code"))!)[0], 300_000, 400_000);
        Assert.Equal("1", await browser.GetAsync("/get/code"));
        await browser.GetAsync("/code/2/300");
        await Eventually.TrueAsync(async () => await browser.GetAsync("/get/code") == "");
        await Eventually.TrueAsync(async () => !await database.HashExistsAsync(KeyOf(id), "code"));
        id = await browser.GetAsync("/regenerate");
        Assert.Equal("stays", await browser.GetAsync("/keys"));
        Assert.Equal("1", await browser.GetAsync("/get/stays"));
        Assert.False(await database.HashExistsAsync(KeyOf(id), "@x:code"));
        await browser.GetAsync("/set/stays/2");
        (await StartAsync(Pages.Map, addOns: builder => _ = encrypted ? builder.AddEncryption(o => o.AcceptUnencrypted = false) : builder)).TakeOver(browser);
        Assert.Equal("2", await browser.GetAsync("/get/stays"));
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task Of_what_expired_little_stays_and_goes_with_the_next_lifetime(bool encrypted)
    {
        await SkipUnlessFieldsExpireAsync();
        var (here, there) = (await BeginSiteAsync(encrypted), await BeginSiteAsync(encrypted));
        var secret = NewSecret();
        var session = Open(here, secret, isNew: true);
        session.SetString("stays", "1");
        for (var i = 0; i < 20; i++)
        {
            session.SetString($"code {i}", "1", TimeSpan.FromMilliseconds(1));
        }

        session.SetString("again", "1", TimeSpan.FromMilliseconds(1));
        await session.CommitAsync();
        await GoneInRedisAsync(secret, "code 19");
        await GoneInRedisAsync(secret, "again");
        var late = await OpenedAsync(here, secret);
        Assert.Equal(["stays"], late.Keys);

        // What another server gave a lifetime again meanwhile is not forgotten.
        var other = await OpenedAsync(there, secret);
        other.SetString("again", "2", Long);
        await other.CommitAsync();
        late.SetString("last", "3", Long);
        await late.CommitAsync();
        var names = (await (await DatabaseAsync()).HashKeysAsync(KeyOf(IdOf(secret)))).Select(name => (string)name!).Order().ToArray();
        Assert.Equal(["@x:again", "@x:last"], names.Where(name => name.StartsWith("@x:", StringComparison.Ordinal)));
        foreach (var site in new[] { here, there, await BeginSiteAsync(encrypted) })
        {
            Assert.Equal("again,last,stays", string.Join(",", (await OpenedAsync(site, secret)).Keys.Order()));
        }
    }

    [Theory]
    [MemberData(nameof(Encrypted))]
    public async Task A_number_that_is_counted_keeps_its_lifetime_and_begins_anew_without_one(bool encrypted)
    {
        await SkipUnlessFieldsExpireAsync();
        var (here, there) = (await BeginSiteAsync(encrypted), await BeginSiteAsync(encrypted));
        var secret = NewSecret();
        var session = Open(here, secret, isNew: true);
        session.SetString("tries", "5", Soon);
        Assert.Equal(6, await session.IncrementAsync("tries"));
        Assert.Equal(7, await (await OpenedAsync(there, secret)).IncrementAsync("tries"));
        Assert.InRange(await LeftAsync(secret, "tries"), 1, Soon.TotalMilliseconds);
        await GoneInRedisAsync(secret, "tries");
        await Eventually.TrueAsync(async () => (await OpenedAsync(there, secret)).GetString("tries") is null);
        Assert.Equal(1, await (await OpenedAsync(there, secret)).IncrementAsync("tries"));
        Assert.Equal(-1, await LeftAsync(secret, "tries"));
        Assert.Equal("1", (await OpenedAsync(here, secret)).GetString("tries"));
        var counting = await OpenedAsync(here, secret);
        Assert.Equal(2, await counting.IncrementAsync("tries"));
        Assert.Equal("2", counting.GetString("tries"));
        Assert.Equal("2", (await OpenedAsync(here, secret)).GetString("tries"));
    }

    [Fact]
    public async Task What_is_over_counts_for_no_limit()
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await BeginSiteAsync(frozen: true, maxSize: 1000);
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.Set("large", new byte[900], Long);
        await session.CommitAsync();
        var next = await OpenedAsync(site, secret);
        Assert.ThrowsAny<Exception>(() => next.Set("other", new byte[900]));
        _clock.Advance(Long);
        await (await DatabaseAsync()).HashDeleteAsync(KeyOf(IdOf(secret)), "large");
        next = await OpenedAsync(site, secret);
        next.Set("other", new byte[900]);
        await next.CommitAsync();
        Assert.Equal(900, (await OpenedAsync(site, secret)).Get("other")!.Length);
    }

    [Fact]
    public async Task A_notified_copy_serves_nothing_whose_time_is_over()
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await BeginSiteAsync(mode: LocalCacheMode.Notified);
        var there = await BeginSiteAsync(mode: LocalCacheMode.Notified);
        var browser = site.NewBrowser();
        var created = await site.Sessions.CreateAsync([new("stays", [1])]);
        var session = await OpenedAsync(site, created.SecretKey);
        session.SetString("code", "1", Soon);
        await session.CommitAsync();
        await GoneInRedisAsync(created.SecretKey, "code");
        await Eventually.TrueAsync(async () => (await OpenedAsync(site, created.SecretKey)).GetString("code") is null);
        Assert.Equal(["stays"], (await OpenedAsync(there, created.SecretKey)).Keys);
    }

    [Theory]
    [InlineData("taken away")]
    [InlineData("put back after it was taken")]
    [InlineData("an earlier one of another time")]
    [InlineData("a later time")]
    [InlineData("no time")]
    [InlineData("no end in Redis")]
    public async Task With_encryption_whoever_writes_to_redis_cannot_make_a_value_live_again_or_longer(string forgery)
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await BeginSiteAsync(encrypted: true, frozen: true);
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("stays", "1");
        session.SetString("code", "first", 2 * Long);
        await session.CommitAsync();
        var (database, key) = (await DatabaseAsync(), (RedisKey)KeyOf(IdOf(secret)));
        var first = await database.HashGetAsync(key, "code");
        session = await OpenedAsync(site, secret);
        session.SetString("code", "second", Long);
        await session.CommitAsync();
        var (second, time) = (await database.HashGetAsync(key, "code"), await database.HashGetAsync(key, "@x:code"));
        switch (forgery)
        {
            case "taken away":
                await database.HashDeleteAsync(key, "code");
                break;
            case "put back after it was taken":
                Assert.Equal("second", await (await OpenedAsync(site, secret)).TakeStringAsync("code"));
                await database.HashSetAsync(key, [new("code", second), new("@x:code", time)]);
                break;
            case "an earlier one of another time":
                await database.HashSetAsync(key, "code", first);
                break;
            case "a later time":
                await database.HashSetAsync(key, "@x:code", (long)time + 1);
                break;
            case "no time":
                await database.HashDeleteAsync(key, "@x:code");
                break;
            default:
                await database.ExecuteAsync("HPERSIST", key, "FIELDS", "1", "code");
                _clock.Advance(Long);
                break;
        }

        var read = await OpenedAsync(await BeginSiteAsync(encrypted: true, frozen: true), secret);
        Assert.Null(read.GetString("code"));
        Assert.Equal(forgery is "an earlier one of another time" or "no end in Redis" ? "1" : null, read.GetString("stays"));
    }

    [Fact]
    public async Task A_lifetime_that_is_none_is_refused_and_one_beyond_the_session_is_not()
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await BeginSiteAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        foreach (var lifetime in new[] { TimeSpan.Zero, TimeSpan.FromSeconds(-1), TimeSpan.FromTicks(1), TimeSpan.MinValue })
        {
            Assert.Equal("lifetime", Assert.Throws<ArgumentOutOfRangeException>(() => session.SetString("a", "1", lifetime)).ParamName);
        }

        Assert.Throws<ArgumentNullException>(() => session.Set("a", null!, Long));
        Assert.Throws<ArgumentNullException>(() => session.Set(null!, [1], Long));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Set(new string('k', 70_000), [1], Long));
        session.SetString("day", "1", TimeSpan.FromDays(400));
        session.SetString("ever", "1", TimeSpan.MaxValue);
        await session.CommitAsync();
        Assert.Equal("1", (await OpenedAsync(site, secret)).GetString("ever"));
        Assert.True((await site.Sessions.GetTimeToLiveAsync(IdOf(secret))) < TimeSpan.FromMinutes(30));
    }

    [Fact]
    public async Task A_server_that_cannot_says_so_and_nothing_is_written()
    {
        var database = await DatabaseAsync();
        Assert.SkipWhen(await FieldExpiryOf.HasAsync(Server), "This server lets fields expire.");
        var site = await BeginSiteAsync();
        var secret = (await site.Sessions.CreateAsync([new("a", [1])])).SecretKey;
        var session = await OpenedAsync(site, secret);
        var refused = Assert.Throws<NotSupportedException>(() => session.SetString("code", "1", Long));
        Assert.Contains("HPEXPIRE", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["a"], session.Keys);

        // Where the server could not be asked before, the commit says so, and before it writes anything.
        var hash = site.Services.GetRequiredService<SessionHash>();
        var delta = new SessionDelta();
        delta.Set("b", [2]);
        delta.Set("code", [3], DateTimeOffset.UtcNow.AddMinutes(1).ToUnixTimeMilliseconds());
        var before = await database.HashGetAllAsync(KeyOf(IdOf(secret)));
        await Assert.ThrowsAsync<NotSupportedException>(() => hash.CommitAsync(new CommitRequest(KeyOf(IdOf(secret)), delta, default, Long)));
        Assert.Equal(before, await database.HashGetAllAsync(KeyOf(IdOf(secret))));
        await Assert.ThrowsAsync<NotSupportedException>(() => StartAsync(options: o => o.RequireFieldExpiry = true));
    }

    [Fact]
    public async Task An_application_that_needs_it_starts_where_it_is_there()
    {
        await SkipUnlessFieldsExpireAsync();
        var site = await StartAsync(options: o => o.RequireFieldExpiry = true);
        Assert.DoesNotContain(site.Log.Entries, entry => entry.Id.Id == 145);
    }
}

public sealed class LifetimesOnGarnet(InProcessGarnet server) : LifetimeTests(server);

public sealed class LifetimesOnRedis(LocalRedis server) : LifetimeTests(server);

public sealed class LifetimesOnCluster(LocalCluster server) : LifetimeTests(server);

public sealed class LifetimesOnGivenServer(GivenRedis server) : LifetimeTests(server);
