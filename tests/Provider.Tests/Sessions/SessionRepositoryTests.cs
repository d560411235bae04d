using Microsoft.Extensions.Time.Testing;

namespace RedisSessions.Tests.Sessions;

/// <summary>Sessions outside a request, and how they meet requests.</summary>
public abstract class SessionRepositoryTests(RedisServer server) : ServerTest(server)
{
    private static readonly byte[] Value = [1, 2, 3];

    [Fact]
    public async Task A_created_session_can_be_read_whole_and_by_field()
    {
        var site = await StartAsync();
        var before = DateTimeOffset.UtcNow;
        var created = await site.Sessions.CreateAsync([new("a", Value), new("@b", [])], TimeSpan.FromMinutes(5));
        Assert.Equal(created.Id, created.ToString());

        var session = await site.Sessions.GetAsync(created.Id);
        Assert.Equal(["@b", "a"], session!.Fields.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(Value, session.Fields["a"]);
        Assert.InRange(session.CreatedAt, before.AddMilliseconds(-1), DateTimeOffset.UtcNow);
        Assert.InRange(session.LastSeenAt, before.AddMilliseconds(-5), DateTimeOffset.UtcNow.AddMilliseconds(5));
        Assert.InRange(session.ExpiresAt - session.LastSeenAt, TimeSpan.FromMinutes(5.24), TimeSpan.FromMinutes(5.26));

        Assert.Equal(Value, await site.Sessions.GetFieldAsync(created.Id, "a"));
        Assert.Empty((await site.Sessions.GetFieldAsync(created.Id, "@b"))!);
        Assert.Null(await site.Sessions.GetFieldAsync(created.Id, "none"));
        Assert.Equal(["@b", "a"], (await site.Sessions.GetFieldNamesAsync(created.Id))!.Order(StringComparer.Ordinal));
        Assert.Equal(Value, Open(site, created.SecretKey).Get("a"));
    }

    [Fact]
    public async Task What_is_no_session_has_neither_fields_nor_names()
    {
        var site = await StartAsync();
        var id = Guid.NewGuid().ToString();
        await (await DatabaseAsync()).HashSetAsync(KeyOf(id), "a", Value);
        Assert.Null(await site.Sessions.GetFieldAsync(id, "a"));
        Assert.Null(await site.Sessions.GetFieldNamesAsync(id));
    }

    /// <summary>Minutes: what is left of a life of 21, how long ago a use was noted, how long ago that makes the last one.</summary>
    [Theory]
    [InlineData(15, null, 6)]
    [InlineData(20, null, 1)]
    [InlineData(180, null, 0)]
    [InlineData(15, 2, 2)]
    [InlineData(15, 10, 6)]
    [InlineData(15, -5, 0)]
    public async Task A_session_was_last_seen_when_its_life_says_or_a_later_note_but_never_in_future(int left, int? noted, int expected)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartAsync();
        var created = await site.Sessions.CreateAsync();
        var database = await DatabaseAsync();
        await database.KeyExpireAsync(KeyOf(created.Id), TimeSpan.FromMinutes(left));
        if (noted is { } minutes)
        {
            await database.HashSetAsync(KeyOf(created.Id), "@l", clock.GetUtcNow().AddMinutes(-minutes).ToUnixTimeMilliseconds());
        }

        // Redis counts what is left by its own clock, which goes on.
        var seen = clock.GetUtcNow() - (await site.Sessions.GetAsync(created.Id))!.LastSeenAt;
        Assert.InRange(seen, TimeSpan.FromMinutes(expected), TimeSpan.FromMinutes(expected + 0.9));
    }

    /// <summary>In Unix milliseconds, from the first to the last that a date can be.</summary>
    [Theory]
    [InlineData(-1, false)]
    [InlineData(0, true)]
    [InlineData(253_402_300_799_999, true)]
    [InlineData(253_402_300_800_000, false)]
    public async Task A_hash_is_a_session_if_its_creation_time_is_a_date(long createdAt, bool isSession)
    {
        var site = await StartAsync();
        var created = await site.Sessions.CreateAsync([new("a", Value)]);
        await (await DatabaseAsync()).HashSetAsync(KeyOf(created.Id), "@c", createdAt);
        if (isSession)
        {
            Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(createdAt), (await site.Sessions.GetAsync(created.Id))!.CreatedAt);
        }
        else
        {
            await Assert.ThrowsAsync<FormatException>(() => site.Sessions.GetAsync(created.Id));
        }
    }

    [Fact]
    public async Task An_empty_session_can_be_created()
    {
        var site = await StartAsync();
        var created = await site.Sessions.CreateAsync();
        Assert.Empty((await site.Sessions.GetAsync(created.Id))!.Fields);
        Assert.Empty((await site.Sessions.GetFieldNamesAsync(created.Id))!);
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(created.Id))!.Value, TimeSpan.FromMinutes(20.9), TimeSpan.FromMinutes(21));
    }

    [Fact]
    public async Task Changes_reach_the_next_request_even_past_a_copy_that_a_server_holds()
    {
        var site = await StartAsync();
        var created = await site.Sessions.CreateAsync([new("a", Value)]);
        Assert.Equal(Value, Open(site, created.SecretKey).Get("a"));

        Assert.True(await site.Sessions.SetFieldAsync(created.Id, "a", [9]));
        Assert.Equal([9], Open(site, created.SecretKey).Get("a")!);
        Assert.True(await site.Sessions.SetFieldsAsync(created.Id, [new("a", [8]), new("@b", [7])]));
        Assert.Equal([8], Open(site, created.SecretKey).Get("a")!);
        Assert.Equal([7], Open(site, created.SecretKey).Get("@b")!);
        Assert.True(await site.Sessions.RemoveFieldAsync(created.Id, "a"));
        Assert.False(await site.Sessions.RemoveFieldAsync(created.Id, "a"));
        Assert.Null(Open(site, created.SecretKey).Get("a"));
        Assert.True(await site.Sessions.DestroyAsync(created.Id));
        Assert.False(await site.Sessions.DestroyAsync(created.Id));
        Assert.Empty(Open(site, created.SecretKey).Keys);
    }

    [Fact]
    public async Task Nothing_brings_a_missing_session_into_being()
    {
        var site = await StartAsync();
        foreach (var id in new[] { Guid.NewGuid().ToString(), "not an id", "}x{", "*" })
        {
            Assert.False(await site.Sessions.SetFieldAsync(id, "a", Value));
            Assert.False(await site.Sessions.SetFieldsAsync(id, [new("a", Value)]));
            Assert.False(await site.Sessions.RemoveFieldAsync(id, "a"));
            Assert.False(await site.Sessions.TouchAsync(id));
            Assert.False(await site.Sessions.DestroyAsync(id));
            Assert.Null(await site.Sessions.ExtendAsync(id, TimeSpan.FromMinutes(1)));
            Assert.Null(await site.Sessions.GetAsync(id));
            Assert.Null(await site.Sessions.GetFieldAsync(id, "a"));
            Assert.Null(await site.Sessions.GetFieldNamesAsync(id));
            Assert.Null(await site.Sessions.GetTimeToLiveAsync(id));
            Assert.False(await site.Sessions.ExistsAsync(id));
        }

        await Assert.ThrowsAsync<ArgumentException>(() => site.Sessions.GetAsync(""));
        await Assert.ThrowsAsync<ArgumentNullException>(() => site.Sessions.GetAsync(null!));
        var created = await site.Sessions.CreateAsync();
        await Assert.ThrowsAsync<ArgumentNullException>(() => site.Sessions.SetFieldAsync(created.Id, "a", null!));
        await Assert.ThrowsAsync<ArgumentNullException>(() => site.Sessions.SetFieldAsync(created.Id, null!, Value));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => site.Sessions.SetFieldAsync(created.Id, new string('k', 65_536), Value));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => site.Sessions.ExtendAsync(created.Id, TimeSpan.Zero));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => site.Sessions.CreateAsync(idleTimeout: TimeSpan.Zero));
    }

    [Fact]
    public async Task Touching_slides_extending_adds_and_changing_leaves_the_ttl()
    {
        var site = await StartAsync(options: o => o.AbsoluteTimeout = TimeSpan.FromHours(2));
        var created = await site.Sessions.CreateAsync([new("a", Value)], TimeSpan.FromMinutes(10));
        var db = await DatabaseAsync();
        await db.KeyExpireAsync(KeyOf(created.Id), TimeSpan.FromMinutes(3));
        await site.Sessions.SetFieldAsync(created.Id, "a", [1]);
        await site.Sessions.GetAsync(created.Id);
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(created.Id))!.Value, TimeSpan.FromMinutes(2.9), TimeSpan.FromMinutes(3));

        Assert.InRange((await site.Sessions.ExtendAsync(created.Id, TimeSpan.FromMinutes(30)))!.Value, TimeSpan.FromMinutes(32.9), TimeSpan.FromMinutes(33));
        Assert.InRange((await site.Sessions.ExtendAsync(created.Id, TimeSpan.FromHours(10)))!.Value, TimeSpan.FromMinutes(119), TimeSpan.FromHours(2));
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(created.Id))!.Value, TimeSpan.FromMinutes(119), TimeSpan.FromHours(2));
        Assert.True(await site.Sessions.TouchAsync(created.Id));

        // Touching never shortens.
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(created.Id))!.Value, TimeSpan.FromMinutes(119), TimeSpan.FromHours(2));
        await db.KeyExpireAsync(KeyOf(created.Id), TimeSpan.FromMinutes(3));
        Assert.True(await site.Sessions.TouchAsync(created.Id));
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(created.Id))!.Value, TimeSpan.FromMinutes(10.4), TimeSpan.FromMinutes(11));
    }
}

public sealed class SessionRepositoryOnGarnet(InProcessGarnet server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryOnRedis(LocalRedis server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryInContainer(ContainerRedis server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryOnGivenServer(GivenRedis server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryOnCluster(LocalCluster server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryOnSentinel(LocalSentinel server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryOverTls(TlsRedis server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryOverResp2(Resp2Redis server) : SessionRepositoryTests(server);

public sealed class SessionRepositoryUnderAcl(AclRedis server) : SessionRepositoryTests(server);
