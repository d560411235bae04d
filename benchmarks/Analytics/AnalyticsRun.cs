using System.Diagnostics;
using System.Globalization;
using System.Text;
using RedisSessions.Analytics;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Redis;

namespace RedisSessions.Benchmarks.Analytics;

/// <summary>What the figures cost against the number of live sessions, and what tracking an event costs its request.</summary>
internal static class AnalyticsRun
{
    public static async Task RunAsync(string redis)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- analytics`, {await Report.MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine("Medians over 200 calls, one after the other.");
        text.AppendLine();
        text.AppendLine("| live sessions | PING | GetMetricsAsync | GetDailyReportAsync |");
        text.AppendLine("|---|---|---|---|");
        var services = new ServiceCollection().AddLogging(logging => logging.ClearProviders());
        services.AddRedisSession($"{redis},allowAdmin=true,syncTimeout=60000", o => o.KeyPrefix = "bulk:").AddAnalytics(o => o.QueueCapacity = 2_000_000);
        await using var provider = services.BuildServiceProvider();
        var store = provider.GetRequiredService<AnalyticsStore>();
        var api = provider.GetRequiredService<ISessionAnalytics>();
        var database = await provider.GetRequiredService<RedisConnection>().GetDatabaseAsync();
        var day = AnalyticsStore.DayOf(store.Now);
        var live = 0;
        foreach (var sessions in new[] { 1_000, 10_000, 100_000, 1_000_000 })
        {
            Console.WriteLine($"loading {sessions:N0} sessions");
            while (live < sessions)
            {
                var batch = new List<AnalyticsRecord>(1_000);
                for (; live < sessions && batch.Count < 1_000; live++)
                {
                    batch.Add(new AnalyticsRecord(RecordKind.Created, store.Now, Guid.NewGuid(), store.Now, 1_200_000, Data: "Firefox on Windows", Address: $"192.0.2.{live % 250}"));
                    batch.Add(new AnalyticsRecord(RecordKind.UserSeen, store.Now, Guid.Empty, Text: $"user{live}"));
                }

                await store.WriteAsync(batch);
            }

            var ping = await MedianAsync(() => database.PingAsync());
            var metrics = await MedianAsync(() => api.GetMetricsAsync());
            var report = await MedianAsync(() => api.GetDailyReportAsync(day));
            text.AppendLine(CultureInfo.InvariantCulture, $"| {sessions:N0} | {ping:N0} µs | {metrics:N0} µs | {report:N0} µs |");
        }

        const int Events = 500_000;
        var id = Guid.NewGuid().ToString();
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < Events; i++)
        {
            await api.TrackAsync(id, "view", "data");
        }

        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Tracking an event takes {watch.Elapsed.TotalMicroseconds / Events:0.00} µs of its request, and no round trip.");
        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "analytics", text.ToString());
    }

    private static async Task<double> MedianAsync(Func<Task> call)
    {
        var times = new double[200];
        for (var i = 0; i < times.Length; i++)
        {
            var watch = Stopwatch.StartNew();
            await call();
            times[i] = watch.Elapsed.TotalMicroseconds;
        }

        Array.Sort(times);
        return times[times.Length / 2];
    }
}
