using System.Buffers;
using Microsoft.Extensions.Caching.Distributed;

namespace RedisSessions.Tests.Caching;

/// <summary>What the cache sends, and when it is done with the caller's memory.</summary>
public sealed class RedisHashCacheWireTests : IDisposable
{
    private static readonly DistributedCacheEntryOptions Sliding = new() { SlidingExpiration = TimeSpan.FromMinutes(5) };
    private readonly RedisProxy _proxy;
    private readonly ServiceProvider _services;

    public RedisHashCacheWireTests(InProcessGarnet garnet)
    {
        _proxy = new RedisProxy(garnet.Address);
        _services = new ServiceCollection()
            .AddRedisHashCache(_proxy.Address + RedisServer.Patient, o => o.InstanceName = $"c{Guid.NewGuid():N}:")
            .BuildServiceProvider();
    }

    private IDistributedCache Cache => _services.GetRequiredService<IDistributedCache>();

    [Fact]
    public async Task A_small_value_is_one_command_whatever_is_done_and_a_large_one_goes_around_the_script()
    {
        // The first use of each script sends its source as well.
        await RunAsync(new byte[10]);
        Assert.Equal(["EVALSHA", "EVALSHA", "EVALSHA", "UNLINK"], await RunAsync(new byte[10]));
        Assert.Equal(["MULTI", "HMSET", "PEXPIRE", "EXEC", "HGET", "EVALSHA", "EVALSHA", "UNLINK"], Normal(await RunAsync(new byte[10_000])));

        async Task<IReadOnlyList<string>> RunAsync(byte[] value)
        {
            var before = _proxy.Snapshot();
            await Cache.SetAsync("k", value, Sliding);
            Assert.Equal(value, await Cache.GetAsync("k"));
            await Cache.RefreshAsync("k");
            await Cache.RemoveAsync("k");
            return (_proxy.Snapshot() - before).Commands;
        }

        // The client says it in whole seconds where it can.
        static IEnumerable<string> Normal(IEnumerable<string> commands) => commands.Select(command => command == "EXPIRE" ? "PEXPIRE" : command);
    }

    [Fact]
    public async Task An_entry_that_does_not_slide_is_read_by_a_plain_command()
    {
        foreach (var size in new[] { 10, 10_000 })
        {
            await Cache.SetAsync("k", new byte[size], new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(5) });
            var before = _proxy.Snapshot();
            Assert.Equal(size, (await Cache.GetAsync("k"))!.Length);
            Assert.True(await ((IBufferDistributedCache)Cache).TryGetAsync("k", new ArrayBufferWriter<byte>()));
            Assert.Equal(["HMGET", "HGET", "HGET"], (_proxy.Snapshot() - before).Commands);
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(10_000)]
    public async Task A_set_that_is_cancelled_on_its_way_ends_only_when_the_memory_is_the_callers_again(int size)
    {
        await Cache.SetAsync("k", new byte[size], Sliding);
        var (reached, go) = (new TaskCompletionSource(), new TaskCompletionSource());
        _proxy.BeforeCommand = _ =>
        {
            reached.TrySetResult();
            return go.Task;
        };
        using var cancel = new CancellationTokenSource();
        var value = Enumerable.Repeat((byte)7, size).ToArray();
        var setting = ((IBufferDistributedCache)Cache).SetAsync("k", new ReadOnlySequence<byte>(value), Sliding, cancel.Token).AsTask();
        await reached.Task;
        await cancel.CancelAsync();
        Assert.False(setting.IsCompleted);
        go.SetResult();
        await setting;
        Array.Clear(value);
        Assert.Equal(7, (await Cache.GetAsync("k"))![^1]);
    }

    public void Dispose()
    {
        _services.Dispose();
        _proxy.Dispose();
    }
}
