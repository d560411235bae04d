using System.Globalization;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Micro;

/// <summary>What the local copies really take, against their limit, after 200,000 sessions of 2 KB.</summary>
internal static class CopiesRun
{
    private const int Sessions = 200_000;

    public static async Task RunAsync()
    {
        await using var provider = new ServiceCollection()
            .AddLogging(logging => logging.ClearProviders())
            .AddRedisSession("localhost:6379").Services
            .BuildServiceProvider();
        var copies = provider.GetRequiredService<SessionCopies>();
        var keys = provider.GetRequiredService<SessionKeys>();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        long highest = 0;
        long highestEstimate = 0;
        for (var i = 0; i < Sessions; i++)
        {
            var entries = new HashEntry[12];
            for (var field = 0; field < 10; field++)
            {
                entries[field] = new HashEntry($"field-{field}", new byte[200]);
            }

            entries[10] = new HashEntry("@v", i + 1);
            entries[11] = new HashEntry("@c", "1795556299016");
            copies.Set(keys.Session(Guid.NewGuid()), SessionSnapshot.Parse(entries), nextSlide: 0, TimeSpan.FromMinutes(20), default);
            if (i % 10_000 == 9_999)
            {
                highest = Math.Max(highest, GC.GetTotalMemory(forceFullCollection: true) - before);
                highestEstimate = Math.Max(highestEstimate, copies.Size);
            }
        }

        var limit = new LocalCacheOptions().SizeLimit;
        var text = string.Create(CultureInfo.InvariantCulture, $"""
            {DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- copies`

            {Sessions:N0} sessions of ten fields of 200 bytes, one after the other: limit {limit:N0} bytes, estimate at most
            {highestEstimate:N0}, managed heap after full collections at most {highest:N0} ({(double)highest / limit:0.00} of the limit).
            """);
        Console.WriteLine(text);
        GC.KeepAlive(copies);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "copies", text);
    }
}
