using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Json;

namespace RedisSessions.Tests.Sessions;

/// <summary>What one session does, request by request, as DistributedSession does it where the design says nothing else.</summary>
public abstract class SessionTests(RedisServer server) : ServerTest(server)
{
    public static TheoryData<string> Keys =>
    [
        "name", "", " ", "@v", "@", "@@", "@c", "@@c", "a@b", "{}", "line\nbreak", "nul\0", "ключ", "🙂", new string('k', 65_535), "\uD800x",
    ];

    [Theory]
    [MemberData(nameof(Keys))]
    public async Task Every_key_round_trips(string key)
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.Set(key, [1, 2, 3]);
        Assert.True(session.TryGetValue(key, out var own));
        Assert.Equal([1, 2, 3], own);
        await session.CommitAsync();

        var next = Open(site, secret);
        Assert.True(next.TryGetValue(key, out var value));
        Assert.Equal([1, 2, 3], value);
        Assert.Equal([Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(key))], next.Keys);

        next.Remove(key);
        await next.CommitAsync();
        Assert.Empty(Open(site, secret).Keys);
    }

    [Fact]
    public async Task Values_are_stored_under_their_own_names_with_their_own_bytes()
    {
        var site = await StartAsync();
        var session = Open(site, NewSecret(), isNew: true);
        session.SetString("name", "Ada");
        session.SetInt32("count", 7);
        session.Set("@sign", [0, 255]);
        await session.CommitAsync();

        var hash = (await (await DatabaseAsync()).HashGetAllAsync(KeyOf(session.Id))).ToDictionary(f => (string)f.Name!, f => (byte[])f.Value!);
        Assert.Equal("Ada"u8, hash["name"]);
        Assert.Equal([0, 0, 0, 7], hash["count"]);
        Assert.Equal([0, 255], hash["@@sign"]);
        Assert.Equal(["@@sign", "@c", "@v", "count", "name"], hash.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_id_is_a_guid_derived_from_the_secret_and_the_same_in_every_request()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        var expected = new Guid(System.Security.Cryptography.SHA256.HashData(Encoding.ASCII.GetBytes(secret)).AsSpan(0, 16)).ToString();
        Assert.Equal(expected, session.Id);
        session.SetString("a", "1");
        await session.CommitAsync();
        Assert.Equal(expected, Open(site, secret).Id);
    }

    [Fact]
    public async Task Removing_clearing_and_listing_keys_work_before_and_after_the_commit()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("a", "1");
        session.SetString("b", "2");
        session.SetString("c", "3");
        session.Remove("b");
        session.Remove("never there");
        Assert.Equal(["a", "c"], session.Keys.Order());
        await session.CommitAsync();

        var second = Open(site, secret);
        second.Remove("a");
        Assert.False(second.TryGetValue("a", out _));
        Assert.Equal(["c"], second.Keys);
        await second.CommitAsync();
        Assert.Equal(["c"], Open(site, secret).Keys);

        var third = Open(site, secret);
        third.Clear();
        Assert.Empty(third.Keys);
        third.SetString("d", "4");
        await third.CommitAsync();
        Assert.Equal(["d"], Open(site, secret).Keys);
    }

    [Fact]
    public async Task Clear_removes_what_is_there_at_commit_time_but_not_what_is_set_after_it()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var first = Open(site, secret, isNew: true);
        first.SetString("old", "1");
        await first.CommitAsync();

        var clearing = Open(site, secret);
        clearing.Clear();
        clearing.SetString("kept", "2");
        var meanwhile = Open(site, secret);
        meanwhile.SetString("@meanwhile", "3");
        await meanwhile.CommitAsync();
        await clearing.CommitAsync();

        Assert.Equal(["kept"], Open(site, secret).Keys);
    }

    [Fact]
    public async Task User_code_never_changes_a_stored_or_a_shared_value()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        byte[] mine = [1, 2, 3];
        session.Set("v", mine);
        mine[0] = 99;
        session.TryGetValue("v", out var read);
        read![1] = 99;
        await session.CommitAsync();
        session.TryGetValue("v", out var afterCommit);
        afterCommit![2] = 99;

        var next = Open(site, secret);
        next.TryGetValue("v", out var loaded);
        Assert.Equal([1, 2, 3], loaded);
        loaded![0] = 99;
        Open(site, secret).TryGetValue("v", out var again);
        Assert.Equal([1, 2, 3], again);
    }

    [Fact]
    public async Task Arguments_are_checked_as_in_the_in_box_session()
    {
        var site = await StartAsync();
        var session = Open(site, NewSecret(), isNew: true);
        Assert.Throws<ArgumentNullException>(() => session.Set("key", null!));
        Assert.Throws<ArgumentNullException>(() => session.Set(null!, [1]));
        Assert.Throws<ArgumentNullException>(() => session.TryGetValue(null!, out _));
        Assert.Throws<ArgumentNullException>(() => session.Remove(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Set(new string('k', 65_536), [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Set(new string('é', 32_768), [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.SetIdleTimeout(TimeSpan.Zero));
        var store = site.Services.GetRequiredService<Microsoft.AspNetCore.Session.ISessionStore>();
        Assert.Throws<ArgumentException>(() => store.Create("", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => true, true));
        Assert.Throws<ArgumentNullException>(() => store.Create("k", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), null!, true));
        var blocked = store.Create(NewSecret(), TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => false, true);
        Assert.Throws<InvalidOperationException>(() => blocked.SetString("a", "b"));
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Open(site, NewSecret()).LoadAsync(cancelled.Token));
        session.SetString("a", "b");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => session.CommitAsync(cancelled.Token));
    }

    [Fact]
    public async Task Log_events_have_the_in_box_ids_names_and_levels()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("a", "1");
        await session.CommitAsync();
        await Open(site, secret).LoadAsync();
        await Open(site, NewSecret()).LoadAsync();

        Assert.Equal(
            [(LogLevel.Information, 3, "SessionStarted"), (LogLevel.Debug, 5, "SessionStored"), (LogLevel.Debug, 4, "SessionLoaded"), (LogLevel.Information, 2, "AccessingExpiredSession")],
            site.Log.Ours.Select(entry => (entry.Level, entry.Id.Id, entry.Id.Name!)));
    }

    [Fact]
    public async Task An_unknown_cookie_gives_an_empty_session_under_the_same_key()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret);
        Assert.True(session.IsAvailable);
        Assert.Empty(session.Keys);
        Assert.Null(session.GetCreatedAt());
        session.SetString("a", "1");
        await session.CommitAsync();
        Assert.Equal("1", Open(site, secret).GetString("a"));
        Assert.NotNull(session.GetCreatedAt());
    }

    [Fact]
    public async Task An_unchanged_or_merely_cleared_new_session_stores_nothing()
    {
        var site = await StartAsync();
        var session = Open(site, NewSecret(), isNew: true);
        session.Clear();
        session.SetString("a", "1");
        session.Remove("a");
        session.SetIdleTimeout(TimeSpan.FromMinutes(5));
        await session.CommitAsync();
        Assert.False(await site.Sessions.ExistsAsync(session.Id));
    }

    [Fact]
    public async Task A_commit_to_a_destroyed_session_writes_nothing_and_warns_even_if_another_was_begun_under_its_id()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("a", "1");
        await session.CommitAsync();

        var holding = Open(site, secret);
        await holding.LoadAsync();
        holding.SetString("a", "2");
        await site.Sessions.DestroyAsync(session.Id);
        await holding.CommitAsync();
        Assert.False(await site.Sessions.ExistsAsync(session.Id));
        Assert.Single(site.Log.Ours, entry => entry is { Level: LogLevel.Warning, Id.Id: 100 });
        holding.SetString("b", "3");
        await holding.CommitAsync();
        Assert.False(await site.Sessions.ExistsAsync(session.Id));

        var first = Open(site, secret);
        first.SetString("x", "1");
        await first.CommitAsync();
        var late = Open(site, secret);
        await late.LoadAsync();
        late.SetString("role", "admin");
        await site.Sessions.DestroyAsync(session.Id);
        await Task.Delay(2); // Two sessions of one id are told apart by their creation time, in milliseconds.
        var reborn = Open(site, secret);
        reborn.SetString("y", "1");
        await reborn.CommitAsync();
        await late.CommitAsync();
        Assert.Equal(["y"], Open(site, secret).Keys);
    }

    [Fact]
    public async Task The_ttl_is_the_idle_timeout_plus_the_precision_and_slides_when_less_than_the_idle_timeout_is_left()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true, idle: TimeSpan.FromMinutes(20));
        session.SetString("a", "1");
        await session.CommitAsync();
        var db = await DatabaseAsync();
        Assert.InRange((await db.KeyTimeToLiveAsync(KeyOf(session.Id)))!.Value, TimeSpan.FromMinutes(20.9), TimeSpan.FromMinutes(21));

        // A server that holds no copy sees what is left; it slides, and nobody waits for that.
        await db.KeyExpireAsync(KeyOf(session.Id), TimeSpan.FromSeconds(30));
        await Open(await StartAsync(), secret).LoadAsync();
        await Eventually.TrueAsync(async () => (await db.KeyTimeToLiveAsync(KeyOf(session.Id)))!.Value > TimeSpan.FromMinutes(20.9));

        // With more than the idle timeout left there is nothing to do; and a longer life is never cut short.
        foreach (var left in new[] { TimeSpan.FromMinutes(20.5), TimeSpan.FromHours(5) })
        {
            await db.KeyExpireAsync(KeyOf(session.Id), left);
            var here = await StartAsync();
            await Open(here, secret).LoadAsync();
            Assert.True(await here.Sessions.ExistsAsync(session.Id));
            Assert.InRange((await db.KeyTimeToLiveAsync(KeyOf(session.Id)))!.Value, left - TimeSpan.FromSeconds(10), left);
        }

        var changing = Open(site, secret);
        changing.SetString("a", "2");
        await changing.CommitAsync();
        Assert.InRange((await db.KeyTimeToLiveAsync(KeyOf(session.Id)))!.Value, TimeSpan.FromHours(4.9), TimeSpan.FromHours(5));
    }

    [Fact]
    public async Task An_idle_session_expires()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true, idle: TimeSpan.FromMilliseconds(50));
        session.SetString("a", "1");
        await session.CommitAsync();
        await Eventually.TrueAsync(async () => !await site.Sessions.ExistsAsync(session.Id));
        Assert.Empty(Open(site, secret).Keys);
    }

    [Fact]
    public async Task A_session_may_have_an_idle_timeout_of_its_own()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("a", "1");
        session.SetIdleTimeout(TimeSpan.FromHours(3));
        await session.CommitAsync();
        await Open(site, secret).LoadAsync();
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(session.Id))!.Value, TimeSpan.FromMinutes(180.9), TimeSpan.FromMinutes(181));
    }

    [Fact]
    public async Task The_absolute_timeout_bounds_the_ttl_and_ends_a_session_that_is_in_use()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartAsync(options: o => o.AbsoluteTimeout = TimeSpan.FromHours(1));
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.SetString("a", "1");
        await session.CommitAsync();
        Assert.Equal(clock.GetUtcNow().ToUnixTimeMilliseconds(), session.GetCreatedAt()!.Value.ToUnixTimeMilliseconds());

        clock.Advance(TimeSpan.FromMinutes(50));
        Assert.Equal("1", Open(site, secret).GetString("a"));
        await Eventually.TrueAsync(async () => (await site.Sessions.GetTimeToLiveAsync(session.Id))!.Value <= TimeSpan.FromMinutes(10));
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(session.Id))!.Value, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(10));
        var stored = await site.Sessions.GetAsync(session.Id);
        Assert.InRange(stored!.LastSeenAt, clock.GetUtcNow().AddMilliseconds(-1), clock.GetUtcNow());

        var holding = Open(site, secret);
        await holding.LoadAsync();
        clock.Advance(TimeSpan.FromMinutes(10));
        holding.SetString("a", "2");
        await holding.CommitAsync();
        Assert.Empty(Open(site, secret).Keys);
        Assert.False(await site.Sessions.ExistsAsync(session.Id));
    }

    [Fact]
    public async Task Json_values_round_trip_by_reflection_and_by_generated_code()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        session.Set("cart", new Cart("tea", 2));
        session.Set("cart2", new Cart("milk", 1), JsonContext.Default.Cart);
        await session.CommitAsync();
        var next = Open(site, secret);
        Assert.Equal(new Cart("tea", 2), next.Get("cart", JsonContext.Default.Cart));
        Assert.Equal(new Cart("milk", 1), next.Get<Cart>("cart2"));
        Assert.Null(next.Get<Cart>("none"));
        Assert.Equal("""{"item":"tea","count":2}""", next.GetString("cart"));
    }

    [Fact]
    public async Task Increments_of_overlapping_requests_all_count_and_show_at_once()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        Assert.Equal(1, await session.IncrementAsync("hits"));
        Assert.Equal("1", session.GetString("hits"));

        var requests = Enumerable.Range(0, 20).Select(_ => Open(site, secret)).ToArray();
        await Task.WhenAll(requests.Select(request => request.IncrementAsync("hits", 2)));
        Assert.Equal("41", Open(site, secret).GetString("hits"));

        var own = Open(site, secret);
        own.SetString("hits", "100");
        Assert.Equal(90, await own.IncrementAsync("hits", -10));
        await own.CommitAsync();
        Assert.Equal("90", Open(site, secret).GetString("hits"));
        Assert.True(await site.Sessions.GetTimeToLiveAsync(session.Id) > TimeSpan.FromMinutes(19));

        own.SetString("text", "x");
        await Assert.ThrowsAsync<StackExchange.Redis.RedisServerException>(() => own.IncrementAsync("text"));
        await site.Sessions.DestroyAsync(session.Id);
        var destroyed = await Assert.ThrowsAsync<InvalidOperationException>(() => own.IncrementAsync("hits"));
        Assert.Contains("destroyed", destroyed.Message, StringComparison.Ordinal);
        Assert.False(await site.Sessions.ExistsAsync(session.Id));
    }

    [Fact]
    public async Task A_session_of_twenty_thousand_fields_works()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var session = Open(site, secret, isNew: true);
        for (var i = 0; i < 20_000; i++)
        {
            session.SetInt32($"field-{i}", i);
        }

        await session.CommitAsync();
        var next = Open(site, secret);
        await next.LoadAsync();
        Assert.Equal(20_000, next.Keys.Count());
        Assert.Equal(19_999, next.GetInt32("field-19999"));
        for (var i = 0; i < 19_999; i++)
        {
            next.Remove($"field-{i}");
        }

        await next.CommitAsync();
        Assert.Equal(["field-19999"], Open(site, secret).Keys);
        var last = Open(site, secret);
        last.Clear();
        await last.CommitAsync();
        Assert.Empty(Open(site, secret).Keys);
    }

    [Fact]
    public async Task A_field_of_twenty_megabytes_works()
    {
        var site = await StartAsync();
        var secret = NewSecret();
        var value = new byte[20 * 1024 * 1024];
        new Random(1).NextBytes(value);
        var session = Open(site, secret, isNew: true);
        session.Set("big", value);
        await session.CommitAsync();
        var next = Open(site, secret);
        await next.LoadAsync();
        Assert.True(next.TryGetValue("big", out var read));
        Assert.True(value.AsSpan().SequenceEqual(read));
    }

    [Fact]
    public async Task A_key_of_the_wrong_type_or_without_metadata_is_logged_and_left_as_it_is()
    {
        var site = await StartAsync();
        var db = await DatabaseAsync();
        foreach (var prepare in new Func<string, Task>[]
        {
            key => db.StringSetAsync(key, "not a hash"),
            key => db.HashSetAsync(key, "name", "no metadata"),
            key => db.HashSetAsync(key, [new("@v", "x"), new("@c", "1")]),
            key => db.HashSetAsync(key, [new("@v", "1"), new("@c", "y")]),
        })
        {
            var secret = NewSecret();
            var key = KeyOf(Open(site, secret, isNew: true).Id);
            await prepare(key);
            var before = await db.KeyDumpAsync(key);
            site.Log.Clear();

            var session = Open(site, secret);
            Assert.False(session.IsAvailable);
            Assert.Empty(session.Keys);
            Assert.Equal("", session.Id);
            session.SetString("a", "1");
            Assert.False(session.TryGetValue("a", out _));
            await session.CommitAsync();
            Assert.Single(site.Log.Ours, entry => entry is { Level: LogLevel.Error, Id.Id: 6 });
            Assert.True(await Assert.ThrowsAnyAsync<Exception>(() => Open(site, secret).LoadAsync()) is StackExchange.Redis.RedisServerException or FormatException);
            var commit = Open(site, secret, isNew: true);
            commit.SetString("a", "1");
            await Assert.ThrowsAsync<StackExchange.Redis.RedisServerException>(() => commit.CommitAsync());
            Assert.Equal(before, await db.KeyDumpAsync(key));
        }
    }
}

internal sealed record Cart(string Item, int Count);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web)]
[System.Text.Json.Serialization.JsonSerializable(typeof(Cart))]
internal sealed partial class JsonContext : System.Text.Json.Serialization.JsonSerializerContext;

public sealed class SessionOnGarnet(InProcessGarnet server) : SessionTests(server);

public sealed class SessionOnRedis(LocalRedis server) : SessionTests(server);

public sealed class SessionInContainer(ContainerRedis server) : SessionTests(server);

public sealed class SessionOnGivenServer(GivenRedis server) : SessionTests(server);

public sealed class SessionOnCluster(LocalCluster server) : SessionTests(server);

public sealed class SessionOnSentinel(LocalSentinel server) : SessionTests(server);

public sealed class SessionOverTls(TlsRedis server) : SessionTests(server);

public sealed class SessionOverResp2(Resp2Redis server) : SessionTests(server);

public sealed class SessionUnderAcl(AclRedis server) : SessionTests(server);
