using System.Collections.Concurrent;

namespace RedisSessions.Sessions;

/// <summary>
/// What was worked out lately, for what comes with nearly every request. Nothing older than a minute is found, used or not, and it is bounded: it
/// holds what was added in this half minute and in the one before, and where that is much, of these the latest.
/// </summary>
internal sealed class Recent<TKey, TValue>(TimeProvider clock, IEqualityComparer<TKey>? comparer = null)
    where TKey : notnull
    where TValue : class
{
    /// <summary>As many of the latest are found; never more than twice as many.</summary>
    public const int Capacity = 16_384;

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    private readonly long _began = clock.GetTimestamp();
    private Entries _entries = new(period: 0, former: null, comparer);

    public TValue? Find(TKey key) => Current().Find(key);

    public void Add(TKey key, TValue value) => Current().Add(key, value);

    private Entries Current()
    {
        var entries = Volatile.Read(ref _entries);
        var period = clock.GetElapsedTime(_began).Ticks / Period.Ticks;
        if (period == entries.Period && !entries.IsFull)
        {
            return entries;
        }

        // Who comes second takes what the first made.
        var next = new Entries(period, period - entries.Period <= 1 ? entries.Known : null, comparer);
        var present = Interlocked.CompareExchange(ref _entries, next, entries);
        return ReferenceEquals(present, entries) ? next : present;
    }

    private sealed class Entries(long period, ConcurrentDictionary<TKey, TValue>? former, IEqualityComparer<TKey>? comparer)
    {
        private int _count;

        public ConcurrentDictionary<TKey, TValue> Known { get; } = new(comparer);

        public long Period { get; } = period;

        public bool IsFull => Volatile.Read(ref _count) >= Capacity;

        public TValue? Find(TKey key) => Known.TryGetValue(key, out var known) || former?.TryGetValue(key, out known) == true ? known : null;

        public void Add(TKey key, TValue value)
        {
            if (Known.TryAdd(key, value))
            {
                // Its own count, for the dictionary's takes every lock.
                Interlocked.Increment(ref _count);
            }
        }
    }
}
