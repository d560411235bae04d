using System.Threading.Channels;

namespace RedisSessions.Lifecycle;

/// <summary>Says to this server's watcher that there is something to look at now; one that is said while another waits is the same.</summary>
internal sealed class WatchSignals
{
    private readonly Channel<bool>[] _shards =
        [.. Enumerable.Range(0, SessionLife.Shards).Select(static _ => Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite }))];

    public void Signal(int shard) => _shards[shard].Writer.TryWrite(true);

    public IAsyncEnumerable<bool> OfAsync(int shard, CancellationToken cancellationToken) => _shards[shard].Reader.ReadAllAsync(cancellationToken);
}
