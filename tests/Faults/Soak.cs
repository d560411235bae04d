using System.Diagnostics;
using StackExchange.Redis;

namespace RedisSessions.Faults;

/// <summary>
/// Much of everything for a long time, on one Redis that restarts and whose connections are cut now and then: sessions that begin and end, and are used in between. Memory, handles and
/// threads must not grow, and no key may be left.
/// </summary>
public static class Soak
{
    private static readonly string[] Kept = ["--appendonly", "yes", "--appendfsync", "always"];

    /// <returns>Whether nothing grew, nothing was lost, and nothing is left.</returns>
    public static async Task<bool> RunAsync(TimeSpan time, FaultOptions options)
    {
        var fault = new Fault("soak", "soak", Engine.Single, _ => Task.CompletedTask, Kept, Proxied: true);
        await using var target = await Target.StartAsync(fault);
        var protection = new Microsoft.AspNetCore.DataProtection.EphemeralDataProtectionProvider();
        var (requests, failed, lost) = (0, 0, 0);
        var watch = Stopwatch.StartNew();
        var samples = new List<(long Memory, int Handles, int Threads)>();
        await using (var one = await FleetHost.StartAsync(options.Stack, target.Address, FaultRun.Prefix, options, protection))
        await using (var two = await FleetHost.StartAsync(options.Stack, target.Address, FaultRun.Prefix, options, protection))
        {
            HttpMessageHandler[] hosts = [one.NewHandler(), two.NewHandler()];
            var nextFault = TimeSpan.FromSeconds(5);
            while (watch.Elapsed < time)
            {
                var browsers = Enumerable.Range(0, options.Sessions).Select(i => new FleetBrowser(hosts, $"user{i % 8}")).ToArray();
                await Task.WhenAll(browsers.Select(Load.BeginAsync));
                var load = new Load(browsers, options);
                using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(Math.Min(10, time.TotalSeconds / 6)));
                var running = load.RunAsync(stop.Token);
                if (watch.Elapsed > nextFault)
                {
                    nextFault = watch.Elapsed + TimeSpan.FromSeconds(Math.Min(30, time.TotalSeconds / 4));
                    target.Proxy!.Cut();
                    target.Single!.Stop();
                    await target.Single.StartAgainAsync();
                }

                await running;
                (requests, failed, lost) = (requests + load.Answers.Count, failed + load.Answers.Count(answer => !answer.Ok), lost + load.Lost);
                foreach (var browser in browsers)
                {
                    await browser.GetAsync(0, "/end");
                }

                GC.Collect();
                GC.WaitForPendingFinalizers();
                using var process = Process.GetCurrentProcess();
                samples.Add((GC.GetTotalMemory(forceFullCollection: true), process.HandleCount, process.Threads.Count));
                Console.WriteLine(FormattableString.Invariant($"{watch.Elapsed:mm\\:ss} requests {requests:N0}, failed {failed}, lost {lost}, memory {samples[^1].Memory >> 20} MB, handles {samples[^1].Handles}, threads {samples[^1].Threads}"));
            }
        }

        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{target.Single!.Address},allowAdmin=true");
        var (sessions, lasting) = (0, 0);
        await foreach (var key in admin.GetServers()[0].KeysAsync(pattern: FaultRun.Prefix + "*"))
        {
            sessions += ((string)key!).StartsWith(FaultRun.Prefix + "{", StringComparison.Ordinal) ? 1 : 0;
            lasting += await admin.GetDatabase().KeyTimeToLiveAsync(key) is null && await admin.GetDatabase().KeyExistsAsync(key) ? 1 : 0;
        }

        // The first rounds warm up.
        var early = samples.Skip(samples.Count / 4).Take(Math.Max(1, samples.Count / 4)).ToList();
        var late = samples.TakeLast(Math.Max(1, samples.Count / 4)).ToList();
        var flat = late.Average(sample => sample.Memory) < (early.Average(sample => sample.Memory) * 1.2) + (8 << 20)
            && late.Average(sample => sample.Handles) < (early.Average(sample => sample.Handles) * 1.2) + 10
            && late.Average(sample => sample.Threads) < early.Average(sample => sample.Threads) + 10;
        Console.WriteLine($"{(flat ? "flat" : "NOT FLAT")}, {sessions} sessions left, {lasting} keys without a TTL, {failed} failed, {lost} lost");
        return flat && sessions == 0 && lasting == 0 && failed == 0 && lost == 0;
    }
}
