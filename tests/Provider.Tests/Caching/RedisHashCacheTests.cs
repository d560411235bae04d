using System.Buffers;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using StackExchange.Redis;

namespace RedisSessions.Tests.Caching;

/// <summary>IDistributedCache as Microsoft's RedisCache does it, and both on the same keys.</summary>
public abstract class RedisHashCacheTests : ServerTest
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);
    private readonly ServiceProvider _ours;
    private readonly ServiceProvider _theirs;
    private readonly string _instance = $"c{Guid.NewGuid():N}:";

    protected RedisHashCacheTests(RedisServer server)
        : base(server)
    {
        _ours = new ServiceCollection().AddSingleton<TimeProvider>(_clock).AddLogging().AddRedisHashCache(server.Address + RedisServer.Patient, o => o.InstanceName = _instance).BuildServiceProvider();
        _theirs = new ServiceCollection().AddLogging().AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (server.Address, _instance)).BuildServiceProvider();
    }

    private IDistributedCache Ours => _ours.GetRequiredService<IDistributedCache>();

    private IBufferDistributedCache Buffers => (IBufferDistributedCache)Ours;

    private IDistributedCache Theirs => _theirs.GetRequiredService<IDistributedCache>();

    private async Task<TimeSpan?> LifeAsync(string key) => await (await DatabaseAsync()).KeyTimeToLiveAsync(_instance + key);

    [Fact]
    public async Task Entries_are_set_replaced_got_and_removed()
    {
        Assert.Null(Ours.Get("k"));
        Assert.Null(await Ours.GetAsync("k"));
        Ours.Set("k", [1, 2], new DistributedCacheEntryOptions());
        Assert.Equal([1, 2], Ours.Get("k"));
        await Ours.SetAsync("k", [], new DistributedCacheEntryOptions());
        Assert.Empty((await Ours.GetAsync("k"))!);
        await Ours.SetStringAsync("", "empty key");
        Assert.Equal("empty key", await Ours.GetStringAsync(""));
        await Ours.RemoveAsync("k");
        Assert.Null(await Ours.GetAsync("k"));
        Ours.Remove("");
        Assert.Null(Ours.Get(""));
        Ours.Refresh("none");
        await Ours.RefreshAsync("none");
    }

    [Fact]
    public async Task Arguments_and_options_are_checked_as_microsofts()
    {
        var options = new DistributedCacheEntryOptions();
        foreach (var cache in new[] { Ours, Theirs })
        {
            Assert.Throws<ArgumentNullException>("key", () => cache.Get(null!));
            await Assert.ThrowsAsync<ArgumentNullException>("key", () => cache.GetAsync(null!));
            Assert.Throws<ArgumentNullException>("key", () => cache.Set(null!, [1], options));
            Assert.Throws<ArgumentNullException>(() => cache.Set("k", null!, options));
            Assert.Throws<ArgumentNullException>("options", () => cache.Set("k", [1], null!));
            await Assert.ThrowsAsync<ArgumentNullException>("key", () => cache.SetAsync(null!, [1], options));
            await Assert.ThrowsAsync<ArgumentNullException>(() => cache.SetAsync("k", null!, options));
            await Assert.ThrowsAsync<ArgumentNullException>("options", () => cache.SetAsync("k", [1], null!));
            Assert.Throws<ArgumentNullException>("key", () => cache.Refresh(null!));
            Assert.Throws<ArgumentNullException>("key", () => cache.Remove(null!));
            await Assert.ThrowsAsync<ArgumentNullException>("key", () => cache.RefreshAsync(null!));
            await Assert.ThrowsAsync<ArgumentNullException>("key", () => cache.RemoveAsync(null!));
            var past = Assert.Throws<ArgumentOutOfRangeException>("AbsoluteExpiration", () => cache.Set("k", [1], new DistributedCacheEntryOptions { AbsoluteExpiration = DateTimeOffset.UtcNow.AddMinutes(-1) }));
            Assert.StartsWith("The absolute expiration value must be in the future.", past.Message, StringComparison.Ordinal);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cache.GetAsync("k", new CancellationToken(true)));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cache.SetAsync("k", [1], options, new CancellationToken(true)));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => options.SlidingExpiration = TimeSpan.Zero);
    }

    /// <summary>Values of these sizes take different ways to Redis.</summary>
    public static TheoryData<int> Sizes => [1, 10_000];

    [Theory]
    [MemberData(nameof(Sizes))]
    public async Task A_key_that_is_no_cache_entry_is_an_error_and_stays_as_it_is(int size)
    {
        var db = await DatabaseAsync();
        await db.StringSetAsync(_instance + "k", "not ours", TimeSpan.FromMinutes(1));
        foreach (var cache in new[] { Ours, Theirs })
        {
            await Assert.ThrowsAsync<RedisServerException>(() => cache.SetAsync("k", new byte[size], new()));
            Assert.Throws<RedisServerException>(() => cache.Set("k", new byte[size], new()));
            await Assert.ThrowsAsync<RedisServerException>(() => cache.GetAsync("k"));
        }

        Assert.Equal("not ours", await db.StringGetAsync(_instance + "k"));
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public async Task Expirations_become_ttls_sliding_bounded_by_absolute(int size)
    {
        Assert.Null(await LifeAfterSetAsync(new()));
        Assert.InRange((await LifeAfterSetAsync(new() { SlidingExpiration = TimeSpan.FromMinutes(5) }))!.Value, TimeSpan.FromMinutes(4.9), TimeSpan.FromMinutes(5));
        Assert.InRange((await LifeAfterSetAsync(new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(3) }))!.Value, TimeSpan.FromMinutes(2.9), TimeSpan.FromMinutes(3));
        Assert.InRange((await LifeAfterSetAsync(new() { AbsoluteExpiration = _clock.GetUtcNow().AddMinutes(2).ToOffset(TimeSpan.FromHours(5)) }))!.Value, TimeSpan.FromMinutes(1.9), TimeSpan.FromMinutes(2));
        Assert.InRange((await LifeAfterSetAsync(new() { SlidingExpiration = TimeSpan.FromMinutes(5), AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(2) }))!.Value, TimeSpan.FromMinutes(1.9), TimeSpan.FromMinutes(2));
        Assert.Null(await LifeAfterSetAsync(new()));

        async Task<TimeSpan?> LifeAfterSetAsync(DistributedCacheEntryOptions options)
        {
            await Ours.SetAsync("k", new byte[size], options);
            var life = await LifeAsync("k");
            Ours.Set("k", new byte[size], options);
            Assert.Equal(life is null, await LifeAsync("k") is null);
            return life;
        }
    }

    [Theory]
    [InlineData("get")]
    [InlineData("get sync")]
    [InlineData("refresh")]
    [InlineData("refresh sync")]
    [InlineData("try get")]
    [InlineData("try get sync")]
    public async Task Every_use_slides_but_not_past_the_absolute_expiration(string use)
    {
        // How an entry is read depends on what this server saw of it, and of others whose hints share the place.
        foreach (var (seenSize, seenSliding) in new[] { (0, false), (1, true), (1, false), (10_000, true), (10_000, false) })
        {
            await SlideAsync(use, size: 1, seenSize, seenSliding);
            await SlideAsync(use, size: 10_000, seenSize, seenSliding);
        }
    }

    private async Task SlideAsync(string use, int size, int seenSize, bool seenSliding)
    {
        if (seenSize > 0)
        {
            await Ours.SetAsync("k", new byte[seenSize], seenSliding ? new() { SlidingExpiration = TimeSpan.FromHours(1) } : new());
        }

        // Set by another server.
        await using var other = new ServiceCollection().AddSingleton<TimeProvider>(_clock).AddRedisHashCache(Server.Address + RedisServer.Patient, o => o.InstanceName = _instance).BuildServiceProvider();
        await other.GetRequiredService<IDistributedCache>().SetAsync("k", new byte[size], new() { SlidingExpiration = TimeSpan.FromMinutes(5), AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(20) });
        var db = await DatabaseAsync();
        for (var i = 0; i < 2; i++)
        {
            await db.KeyExpireAsync(_instance + "k", TimeSpan.FromMinutes(1));
            await UseAsync();
            Assert.InRange((await LifeAsync("k"))!.Value, TimeSpan.FromMinutes(4.9), TimeSpan.FromMinutes(5));
        }

        _clock.Advance(TimeSpan.FromMinutes(17));
        await UseAsync();
        Assert.InRange((await LifeAsync("k"))!.Value, TimeSpan.FromMinutes(2.9), TimeSpan.FromMinutes(3));

        async Task UseAsync()
        {
            switch (use)
            {
                case "get": Assert.Equal(size, (await Ours.GetAsync("k"))!.Length); break;
                case "get sync": Assert.Equal(size, Ours.Get("k")!.Length); break;
                case "refresh": await Ours.RefreshAsync("k"); break;
                case "refresh sync": Ours.Refresh("k"); break;
                case "try get": await Buffers.TryGetAsync("k", new ArrayBufferWriter<byte>()); break;
                default: Buffers.TryGet("k", new ArrayBufferWriter<byte>()); break;
            }
        }
    }

    [Fact]
    public async Task Buffers_are_written_and_read_in_one_piece_or_many()
    {
        var value = Enumerable.Range(0, 10_000).Select(i => (byte)i).ToArray();
        var first = new Segment(value.AsMemory(0, 3_000));
        var last = first.Append(value.AsMemory(3_000, 1)).Append(value.AsMemory(3_001));
        var pieces = new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
        foreach (var sequence in new[] { pieces, new ReadOnlySequence<byte>(value), ReadOnlySequence<byte>.Empty })
        {
            await Buffers.SetAsync("a", sequence, new());
            Buffers.Set("b", sequence, new());
            foreach (var key in new[] { "a", "b" })
            {
                var asynchronous = new ArrayBufferWriter<byte>();
                var synchronous = new ArrayBufferWriter<byte>();
                Assert.True(await Buffers.TryGetAsync(key, asynchronous));
                Assert.True(Buffers.TryGet(key, synchronous));
                Assert.Equal(sequence.ToArray(), asynchronous.WrittenSpan.ToArray());
                Assert.Equal(sequence.ToArray(), synchronous.WrittenSpan.ToArray());
            }
        }

        Assert.False(await Buffers.TryGetAsync("none", new ArrayBufferWriter<byte>()));
        Assert.False(Buffers.TryGet("none", new ArrayBufferWriter<byte>()));
    }

    public static TheoryData<int?, int?> Expirations => new()
    {
        { null, null },
        { 5, null },
        { null, 10 },
        { 5, 10 },
        { 10, 5 },
    };

    [Theory]
    [MemberData(nameof(Expirations))]
    public async Task Either_reads_and_expires_what_the_other_wrote(int? sliding, int? absolute)
    {
        var options = new DistributedCacheEntryOptions
        {
            SlidingExpiration = sliding is { } s ? TimeSpan.FromMinutes(s) : null,
            AbsoluteExpirationRelativeToNow = absolute is { } a ? TimeSpan.FromMinutes(a) : null,
        };
        var expected = new[] { sliding, absolute }.Where(minutes => minutes is not null).Min();
        var db = await DatabaseAsync();
        foreach (var (writer, reader) in new[] { (Ours, Theirs), (Theirs, Ours) })
        {
            await writer.SetAsync("k", [1, 2, 3], options);
            Assert.Equal(["absexp", "data", "sldexp"], (await db.HashKeysAsync(_instance + "k")).Select(name => (string)name!).Order());
            Check(await LifeAsync("k"));
            if (expected is not null)
            {
                await db.KeyExpireAsync(_instance + "k", TimeSpan.FromMinutes(1));
            }

            Assert.Equal([1, 2, 3], await reader.GetAsync("k"));
            if (sliding is not null)
            {
                Check(await LifeAsync("k"));
            }
        }

        void Check(TimeSpan? life)
        {
            if (expected is { } minutes)
            {
                Assert.InRange(life!.Value, TimeSpan.FromMinutes(minutes - 0.2), TimeSpan.FromMinutes(minutes + 0.1));
            }
            else
            {
                Assert.Null(life);
            }
        }
    }

    [Fact]
    public async Task It_serves_as_the_second_level_of_HybridCache()
    {
        var services = new ServiceCollection().AddLogging().AddRedisHashCache(Server.Address + RedisServer.Patient, o => o.InstanceName = _instance);
        services.AddHybridCache();
        await using var first = services.BuildServiceProvider();
        await using var second = services.BuildServiceProvider();
        var made = 0;
        async Task<string> GetAsync(IServiceProvider provider) => await provider.GetRequiredService<HybridCache>().GetOrCreateAsync("k", _ => ValueTask.FromResult($"made {++made}"));
        Assert.Equal("made 1", await GetAsync(first));
        var db = await DatabaseAsync();
        await Eventually.TrueAsync(() => db.KeyExistsAsync(_instance + "k"), what: "the second level has it");
        Assert.Equal("made 1", await GetAsync(second));
    }

    [Fact]
    public async Task It_serves_the_in_box_session_and_shares_the_connection_of_ours()
    {
        var services = new ServiceCollection().AddLogging();
        services.AddRedisSession(Server.Address + RedisServer.Patient, o => o.KeyPrefix = _instance);
        services.AddRedisHashCache(Server.Address + RedisServer.Patient, o => o.InstanceName = _instance);
        await using var shared = services.BuildServiceProvider();
        Assert.Same(
            shared.GetRequiredService<RedisSessions.Redis.RedisConnection>(),
            shared.GetRequiredService<RedisHashCacheConnection>().Connection);

        var inBox = new ServiceCollection().AddLogging().AddRedisHashCache(Server.Address + RedisServer.Patient, o => o.InstanceName = _instance);
        inBox.AddSession();
        await using var provider = inBox.BuildServiceProvider();
        var store = provider.GetRequiredService<Microsoft.AspNetCore.Session.ISessionStore>();
        var session = store.Create("key", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => true, true);
        session.SetString("a", "1");
        await session.CommitAsync();
        Assert.Equal("1", store.Create("key", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => true, false).GetString("a"));
    }

    [Fact]
    public void A_bad_configuration_is_refused_with_a_sentence()
    {
        using var provider = new ServiceCollection().AddRedisHashCache("").BuildServiceProvider();
        var exception = Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IDistributedCache>());
        Assert.Contains("Write host:port", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_flushed_script_cache_is_not_noticed()
    {
        await Ours.SetAsync("k", [1], new() { SlidingExpiration = TimeSpan.FromMinutes(5) });
        var servers = (await Server.AdminAsync()).GetServers();
        foreach (var use in new Func<Task>[] { () => Ours.GetAsync("k"), () => Ours.RefreshAsync("k"), () => Task.Run(() => Ours.Get("k")), () => Ours.SetAsync("k", [2], new()), () => Task.Run(() => Ours.Set("k", [3], new())) })
        {
            foreach (var server in servers)
            {
                await server.ScriptFlushAsync();
            }

            await use();
        }

        Assert.Equal([3], await Ours.GetAsync("k"));
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory) => Memory = memory;

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Segment(memory) { RunningIndex = RunningIndex + Memory.Length };
            Next = next;
            return next;
        }
    }
}

public sealed class RedisHashCacheOnGarnet(InProcessGarnet server) : RedisHashCacheTests(server);

public sealed class RedisHashCacheOnRedis(LocalRedis server) : RedisHashCacheTests(server);

public sealed class RedisHashCacheOnCluster(LocalCluster server) : RedisHashCacheTests(server);

public sealed class RedisHashCacheInContainer(ContainerRedis server) : RedisHashCacheTests(server);

public sealed class RedisHashCacheOnGivenServer(GivenRedis server) : RedisHashCacheTests(server);
