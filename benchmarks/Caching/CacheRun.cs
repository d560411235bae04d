using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Caching.Distributed;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Caching;

/// <summary>IDistributedCache against Microsoft's: sliding get and set, 16 callers at once, contenders in turn.</summary>
internal static class CacheRun
{
    private const string SlidingGet = "sliding get";
    private const string Get = "get, absolute expiry";
    private const string Set = "set";
    private const int Callers = 16;
    private const int Rounds = 7;
    private static readonly TimeSpan Span = TimeSpan.FromMilliseconds(700);

    public static async Task RunAsync(string redis)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- cache`, {await Report.MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine("Operations per second, medians of seven rounds, 16 callers; bytes allocated per operation; commands that reach");
        text.AppendLine("Redis, counted by a proxy, and how often a caller waits for it, told by a proxy that delays every reply.");
        text.AppendLine();
        text.AppendLine("| operation | size | ours | Microsoft | ratio | ours allocates | Microsoft allocates | ours sends | Microsoft sends |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|");
        foreach (var size in new[] { 100, 4_000, 10_000 })
        {
            foreach (var operation in new[] { SlidingGet, Get, Set })
            {
                await MeasureAsync(redis, size, operation, text);
            }
        }

        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "cache", text.ToString());
    }

    private static async Task MeasureAsync(string redis, int size, string operation, StringBuilder text)
    {
        await using var ours = new ServiceCollection().AddRedisHashCache(redis, o => o.InstanceName = "ours:").BuildServiceProvider();
        await using var microsoft = new ServiceCollection().AddLogging().AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (redis, "theirs:")).BuildServiceProvider();
        var contenders = new[] { ours.GetRequiredService<IDistributedCache>(), microsoft.GetRequiredService<IDistributedCache>() };
        var rates = new List<double>[] { [], [] };
        var allocated = new long[2];
        for (var round = -2; round < Rounds; round++)
        {
            for (var i = 0; i < contenders.Length; i++)
            {
                var (rate, bytes) = await DriveAsync(contenders[i], size, operation);
                if (round >= 0)
                {
                    rates[i].Add(rate);
                    allocated[i] = bytes;
                }
            }
        }

        rates[0].Sort();
        rates[1].Sort();
        var (a, b) = (rates[0][Rounds / 2], rates[1][Rounds / 2]);
        text.AppendLine(CultureInfo.InvariantCulture, $"| {operation} | {size:N0} B | {a:N0} | {b:N0} | {a / b:0.00} | {allocated[0]:N0} B | {allocated[1]:N0} B | {await SentAsync(redis, size, operation, ours: true)} | {await SentAsync(redis, size, operation, ours: false)} |");
    }

    private static DistributedCacheEntryOptions OptionsOf(string operation) => new()
    {
        SlidingExpiration = operation == Get ? null : TimeSpan.FromMinutes(5),
        AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1),
    };

    private static async Task<(double PerSecond, long BytesEach)> DriveAsync(IDistributedCache cache, int size, string operation)
    {
        var value = new byte[size];
        var options = OptionsOf(operation);
        for (var i = 0; i < Callers; i++)
        {
            await cache.SetAsync($"k{i}", value, options);
        }

        long total = 0;
        var before = GC.GetTotalAllocatedBytes(precise: true);
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            long done = 0;
            while (watch.Elapsed < Span)
            {
                if (operation == Set)
                {
                    await cache.SetAsync($"k{caller}", value, options);
                }
                else
                {
                    await cache.GetAsync($"k{caller}");
                }

                done++;
            }

            Interlocked.Add(ref total, done);
        })));
        return (total / watch.Elapsed.TotalSeconds, (GC.GetTotalAllocatedBytes(precise: true) - before) / total);
    }

    /// <summary>The commands, and the trips that a caller waits for: how often the client sends again only after a reply.</summary>
    private static async Task<string> SentAsync(string redis, int size, string operation, bool ours)
    {
        var delay = TimeSpan.FromMilliseconds(20);
        using var proxy = new RedisProxy(redis, delay);
        var services = new ServiceCollection().AddLogging();
        await using var provider = (ours
            ? services.AddRedisHashCache(proxy.Address, o => o.InstanceName = "ours:")
            : services.AddStackExchangeRedisCache(o => (o.Configuration, o.InstanceName) = (proxy.Address, "theirs:"))).BuildServiceProvider();
        var cache = provider.GetRequiredService<IDistributedCache>();
        var options = OptionsOf(operation);
        var value = new byte[size];
        await cache.SetAsync("k", value, options);
        await cache.GetAsync("k");
        const int Times = 5;
        var before = proxy.Snapshot();
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < Times; i++)
        {
            await (operation == Set ? cache.SetAsync("k", value, options) : cache.GetAsync("k"));
        }

        var trips = Math.Round(watch.Elapsed / Times / delay);
        var commands = (proxy.Snapshot() - before).Commands;
        return $"{string.Join(' ', commands.Take(commands.Count / Times))}: {trips} {(trips == 1 ? "trip" : "trips")}";
    }
}
