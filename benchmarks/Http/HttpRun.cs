using System.Globalization;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// The end-to-end comparison: every contender's site in a process of its own, driven from another, contenders in turn over
/// several rounds, medians and ratios at the end.
/// </summary>
internal sealed class HttpRun(bool quick)
{
    private static readonly string[] Contenders = [Contender.Ping, Contender.Ours, Contender.OursWithoutCopies, Contender.Microsoft, Contender.JsonBlob];

    private readonly int[] _sizes = quick ? [10_000, 100_000] : [1_000, 10_000, 100_000, 1_000_000];
    private readonly int[] _connections = quick ? [64] : [32, 64];
    private readonly int _rounds = quick ? 2 : 3;
    private readonly int _milliseconds = quick ? 500 : 1_200;

    public async Task<IReadOnlyList<Measurement>> RunAsync(string redis)
    {
        var samples = new Dictionary<(string Path, int Size, int Connections, string Contender), List<double>>();
        using var load = ChildProcess.Start("load");
        var sites = new Dictionary<string, RunningSite>();
        try
        {
            foreach (var contender in Contenders.Append(Contender.OursDedicated))
            {
                // Tiered compilation takes seconds of load to settle; the sites then stay for the whole run.
                sites[contender] = await StartAsync(load, redis, contender, warmUpMilliseconds: quick ? 2_000 : 4_000);
            }

            foreach (var size in _sizes)
            {
                for (var round = 1; round <= _rounds; round++)
                {
                    foreach (var contender in sites.Keys.ToArray())
                    {
                        await MeasureAsync(load, redis, sites, contender, size, round, samples);
                    }
                }
            }
        }
        finally
        {
            foreach (var site in sites.Values)
            {
                site.Process.Dispose();
            }
        }

        return [.. samples.Select(sample => new Measurement(sample.Key.Path, sample.Key.Size, sample.Key.Connections, sample.Key.Contender, Median(sample.Value)))];
    }

    private static async Task<RunningSite> StartAsync(ChildProcess load, string redis, string contender, int warmUpMilliseconds)
    {
        var port = EmbeddedGarnet.FreePort();
        var site = new RunningSite(await ChildProcess.StartSiteAsync(contender, redis, port), port);
        await load.AskAsync($"fill {port} 10000");
        foreach (var path in new[] { "/read-async", "/write", "/none" })
        {
            Console.WriteLine($"warming up {contender} {path}");
            await load.AskAsync($"run {port} {path} 32 {warmUpMilliseconds}");
        }

        return site;
    }

    private async Task MeasureAsync(
        ChildProcess load,
        string redis,
        Dictionary<string, RunningSite> sites,
        string contender,
        int size,
        int round,
        Dictionary<(string, int, int, string), List<double>> samples)
    {
        await load.AskAsync($"fill {sites[contender].Port} {size}");
        foreach (var connections in _connections)
        {
            foreach (var path in PathsOf(contender, size))
            {
                var answer = (await load.AskAsync($"run {sites[contender].Port} {path} {connections} {_milliseconds}")).Split(' ');
                var rate = long.Parse(answer[0], CultureInfo.InvariantCulture) / double.Parse(answer[1], CultureInfo.InvariantCulture);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{size / 1000,5} KB  round {round}  {connections} connections  {path,-17} {contender,-34} {rate,9:N0}/s"));
                if (!samples.TryGetValue((path, size, connections, contender), out var list))
                {
                    samples[(path, size, connections, contender)] = list = [];
                }

                list.Add(rate);
                if (rate < 50)
                {
                    // Stalled: what is stuck in it would spoil the next figure.
                    sites[contender].Process.Dispose();
                    sites[contender] = await StartAsync(load, redis, contender, warmUpMilliseconds: 700);
                    await load.AskAsync($"fill {sites[contender].Port} {size}");
                }
            }
        }
    }

    private static IEnumerable<string> PathsOf(string contender, int size)
    {
        if (contender == Contender.OursDedicated)
        {
            // What it is for, and what it costs.
            return size == 10_000 ? ["/read-async", "/read-sync", "/write", "/middleware-sync"] : [];
        }

        // What stalls comes last, so that its restart does not cost the others their warm-up.
        string[] paths = ["/read-async", "/write", "/read-sync"];
        if (size == 10_000)
        {
            paths = ["/none", .. paths, "/middleware-sync"];
        }

        return paths;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values.Count % 2 == 1 ? values[values.Count / 2] : (values[(values.Count / 2) - 1] + values[values.Count / 2]) / 2;
    }

    private sealed record RunningSite(ChildProcess Process, int Port);
}

internal sealed record Measurement(string Path, int Size, int Connections, string Contender, double PerSecond);
