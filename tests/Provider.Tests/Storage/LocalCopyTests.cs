using Microsoft.Extensions.Time.Testing;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Tests.Storage;

/// <summary>The validated in-process copy: never stale, bounded, and gone with its session.</summary>
public abstract class LocalCopyTests(RedisServer server) : ServerTest(server)
{
    [Fact]
    public async Task An_unchanged_session_costs_a_few_bytes_and_a_session_changed_elsewhere_is_read_afresh()
    {
        using var proxy = new RedisProxy(Server.Address);
        var here = await StartAsync(redis: proxy.Address);
        var elsewhere = await StartAsync();
        var created = await elsewhere.Sessions.CreateAsync([new("a", new byte[10_000]), new("b", [1])]);
        Assert.Equal(10_000, Open(here, created.SecretKey).Get("a")!.Length);

        var smallest = long.MaxValue;
        for (var i = 0; i < 5; i++)
        {
            var before = proxy.Snapshot();
            Assert.Equal(10_000, Open(here, created.SecretKey).Get("a")!.Length);
            smallest = Math.Min(smallest, (proxy.Snapshot() - before).BytesFromRedis);
        }

        Assert.InRange(smallest, 1, 50);
        var other = Open(elsewhere, created.SecretKey);
        other.Set("b", [2]);
        await other.CommitAsync();
        Assert.Equal([2], Open(here, created.SecretKey).Get("b")!);
    }

    [Fact]
    public async Task A_commit_updates_the_copy_only_if_it_was_the_only_change()
    {
        var here = await StartAsync();
        var elsewhere = await StartAsync();
        var created = await here.Sessions.CreateAsync([new("a", [1])]);
        var copies = here.Services.GetRequiredService<SessionCopies>();
        var key = KeyOf(created.Id);

        var alone = Open(here, created.SecretKey);
        alone.Set("a", [2]);
        await alone.CommitAsync();
        Assert.True(copies.TryGet(key, out var copy));
        Assert.Equal([2], copy.Session.Fields.Values["a"]);

        var here2 = Open(here, created.SecretKey);
        here2.Set("mine", [3]);
        var other = Open(elsewhere, created.SecretKey);
        other.Set("theirs", [4]);
        await other.CommitAsync();
        await here2.CommitAsync();
        Assert.False(copies.TryGet(key, out _));
        here2.Set("again", [5]);
        await here2.CommitAsync();
        Assert.False(copies.TryGet(key, out _));
        Assert.Equal(["a", "again", "mine", "theirs"], Open(here, created.SecretKey).Keys.Order());
    }

    [Fact]
    public async Task What_a_commit_removed_leaves_the_copy_metadata_included()
    {
        var site = await StartAsync();
        var created = await site.Sessions.CreateAsync([new("a", [1]), new("b", [2])]);
        var session = (RedisSession)Open(site, created.SecretKey);
        session.SetIdleTimeout(TimeSpan.FromHours(2));
        await session.CommitAsync();
        session.SetMetadata(FieldNames.IdleTimeout, null);
        session.Remove("b");
        await session.CommitAsync();
        Assert.True(site.Services.GetRequiredService<SessionCopies>().TryGet(KeyOf(created.Id), out var copy));
        Assert.Null(copy.Session.GetMetadata(FieldNames.IdleTimeout));
        Assert.Equal(["a"], copy.Session.Fields.Names);
    }

    [Fact]
    public async Task A_copy_of_an_earlier_session_of_the_same_id_is_never_taken_for_current()
    {
        var here = await StartAsync();
        var elsewhere = await StartAsync();
        var secret = NewSecret();
        for (var i = 0; i < 20; i++)
        {
            var session = Open(elsewhere, secret);
            session.SetInt32("life", i);
            await session.CommitAsync();
            Assert.Equal(i, Open(here, secret).GetInt32("life"));
            await elsewhere.Sessions.DestroyAsync(session.Id);
        }

        Assert.Empty(Open(here, secret).Keys);
    }

    [Fact]
    public async Task A_copy_goes_when_its_session_is_destroyed_or_expires()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartAsync();
        var copies = site.Services.GetRequiredService<SessionCopies>();
        var first = await site.Sessions.CreateAsync([new("a", [1])]);
        Open(site, first.SecretKey).Get("a");
        Assert.True(copies.TryGet(KeyOf(first.Id), out _));
        var held = Open(site, first.SecretKey);
        await held.DestroyAsync();
        Assert.False(copies.TryGet(KeyOf(first.Id), out _));

        var second = await site.Sessions.CreateAsync([new("a", [1])]);
        Open(site, second.SecretKey).Get("a");
        clock.Advance(TimeSpan.FromMinutes(20.5));
        Assert.True(copies.TryGet(KeyOf(second.Id), out _));
        clock.Advance(TimeSpan.FromMinutes(21));
        Assert.False(copies.TryGet(KeyOf(second.Id), out _));
    }

    [Fact]
    public async Task Copies_never_exceed_their_limit_and_can_be_turned_off()
    {
        var site = await StartAsync(options: o => o.LocalCache.SizeLimit = 100_000);
        var copies = site.Services.GetRequiredService<SessionCopies>();
        for (var i = 0; i < 200; i++)
        {
            var created = await site.Sessions.CreateAsync([new("a", new byte[2_000])]);
            Open(site, created.SecretKey).Get("a");
            Assert.InRange(copies.Size, 0, 100_000);
        }

        Assert.True(copies.Size > 0);
        var off = await StartAsync(options: o => o.LocalCache.SizeLimit = 0);
        var session = await off.Sessions.CreateAsync([new("a", [1])]);
        Assert.Equal([1], Open(off, session.SecretKey).Get("a")!);
        Assert.Equal([1], Open(off, session.SecretKey).Get("a")!);
        Assert.Equal(0, off.Services.GetRequiredService<SessionCopies>().Size);
    }

    [Fact]
    public async Task A_large_value_is_held_once_and_counted_once()
    {
        var site = await StartAsync();
        var copies = site.Services.GetRequiredService<SessionCopies>();
        var created = await site.Sessions.CreateAsync([new("a", new byte[1_000_000])]);
        Open(site, created.SecretKey).Get("a");
        Assert.InRange(copies.Size, 1_000_000, 1_010_000);
    }
}

public sealed class LocalCopyOnGarnet(InProcessGarnet server) : LocalCopyTests(server);

public sealed class LocalCopyOnRedis(LocalRedis server) : LocalCopyTests(server);

public sealed class LocalCopyInContainer(ContainerRedis server) : LocalCopyTests(server);

public sealed class LocalCopyOnGivenServer(GivenRedis server) : LocalCopyTests(server);
