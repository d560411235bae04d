using System.Diagnostics;
using Microsoft.AspNetCore.Session;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Benchmarks.Staleness;

internal enum ChangeKind
{
    Commit,
    Revocation,
}

/// <summary>Two servers with a connection each. One changes a session; a thread of the other looks whether its copy may still be used.</summary>
internal static class StalenessRig
{
    private const int Loaders = 16;

    // With a copy that is not used because nothing is proved there is nothing to measure.
    private static readonly TimeSpan MaxLag = TimeSpan.FromSeconds(10);

    /// <returns>Milliseconds, sorted.</returns>
    public static async Task<double[]> MeasureAsync(string redis, ChangeKind kind, int count, bool underLoad)
    {
        var prefix = $"staleness-{Guid.NewGuid():N}:";
        await using var here = await StartAsync(redis, prefix);
        await using var there = await StartAsync(redis, prefix);
        using var stop = new CancellationTokenSource();
        var load = underLoad ? Enumerable.Range(0, Loaders).Select(i => Task.Run(() => LoadAsync(i % 2 == 0 ? here : there, stop.Token))).ToArray() : [];
        var copies = there.GetRequiredService<SessionCopies>();
        var keys = there.GetRequiredService<SessionKeys>();
        var times = new List<double>(count);
        for (var i = 0; times.Count < count; i++)
        {
            var created = await here.GetRequiredService<ISessionRepository>().CreateAsync([new("a", new byte[1_000])]);
            var key = keys.Session(Guid.Parse(created.Id));
            await Open(there, created.SecretKey).LoadAsync();
            if (!copies.TryGetCurrent(key, out var before))
            {
                // A message came in between.
                await Open(there, created.SecretKey).LoadAsync();
                if (!copies.TryGetCurrent(key, out before))
                {
                    continue;
                }
            }

            var gone = Task.Factory.StartNew(
                () =>
                {
                    while (copies.TryGetCurrent(key, out var copy) && ReferenceEquals(copy, before))
                    {
                        Thread.Sleep(0);
                    }

                    return Stopwatch.GetTimestamp();
                },
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default);
            await ChangeAsync(here, created, kind);
            var acknowledged = Stopwatch.GetTimestamp();
            times.Add(Math.Max(0, (await gone - acknowledged) * 1000.0 / Stopwatch.Frequency));
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
        times.Sort();
        return [.. times];
    }

    private static async Task ChangeAsync(IServiceProvider server, CreatedSession created, ChangeKind kind)
    {
        if (kind == ChangeKind.Revocation)
        {
            await server.GetRequiredService<ISessionRepository>().DestroyAsync(created.Id);
            return;
        }

        var session = Open(server, created.SecretKey);
        await session.LoadAsync();
        session.SetInt32("count", 1);
        await session.CommitAsync();
    }

    private static async Task LoadAsync(IServiceProvider server, CancellationToken stop)
    {
        var created = await server.GetRequiredService<ISessionRepository>().CreateAsync([new("a", new byte[10_000])], cancellationToken: CancellationToken.None);
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            var session = Open(server, created.SecretKey);
            await session.LoadAsync(CancellationToken.None);
            session.SetInt32("count", i);
            await session.CommitAsync(CancellationToken.None);
        }
    }

    private static ISession Open(IServiceProvider server, string secret) =>
        server.GetRequiredService<ISessionStore>().Create(secret, TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(1), () => true, isNewSessionKey: false);

    private static async Task<ServiceProvider> StartAsync(string redis, string prefix)
    {
        var provider = new ServiceCollection()
            .AddLogging(logging => logging.ClearProviders())
            .AddRedisSession(redis, o => (o.KeyPrefix, o.LocalCache.Mode, o.LocalCache.MaxLag) = (prefix, LocalCacheMode.Notified, MaxLag)).Services
            .BuildServiceProvider();
        foreach (var service in provider.GetServices<IHostedService>())
        {
            await service.StartAsync(CancellationToken.None);
        }

        var feed = provider.GetRequiredService<RedisFeed>();
        while (feed.Epoch == 0)
        {
            await Task.Delay(5);
        }

        return provider;
    }
}
