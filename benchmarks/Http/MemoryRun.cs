using Microsoft.AspNetCore.Session;
using RedisSessions.Benchmarks.Contenders;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Http;

/// <summary>What one session of ten fields takes in Redis (MEMORY USAGE), by layout.</summary>
internal static class MemoryRun
{
    public static async Task<IReadOnlyList<(string Contender, int FieldBytes, long Bytes)>> RunAsync(string redis)
    {
        var results = new List<(string, int, long)>();
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis},allowAdmin=true");
        foreach (var bytes in new[] { 20, 100, 1_000, 10_000 })
        {
            foreach (var contender in new[] { Contender.Ours, Contender.Microsoft, Contender.JsonBlob })
            {
                var prefix = $"memory-{Guid.NewGuid():N}:";
                await using var provider = Contender.Add(new ServiceCollection().AddLogging(), contender, redis, prefix).BuildServiceProvider();
                var session = provider.GetRequiredService<ISessionStore>()
                    .Create(Guid.NewGuid().ToString(), TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(1), () => true, true);
                for (var i = 0; i < 10; i++)
                {
                    session.Set($"field-{i}", new byte[bytes]);
                }

                await session.CommitAsync();
                var key = admin.GetServers()[0].Keys(pattern: prefix + "*").Single();
                var usage = await admin.GetDatabase().ExecuteAsync("MEMORY", "USAGE", key, "SAMPLES", "0");
                results.Add((contender, bytes, (long)usage));
            }
        }

        return results;
    }
}
