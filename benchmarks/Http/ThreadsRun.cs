using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// What decides the default of <see cref="RedisSessionOptions.UseDedicatedThreads"/>: the same site with and without, in turns, on fewer cores, as many,
/// and told that there are more (the thread pool, the collector and the sockets go by that number), and over a cluster, which has two threads a
/// node.
/// </summary>
internal static class ThreadsRun
{
    private const int Rounds = 9;
    private const int Size = 10_000;
    private const int Milliseconds = 350;
    private static readonly string[] Paths = ["/read-async", "/write", "/middleware-sync"];

    public static async Task RunAsync()
    {
        using var redis = await RedisProcess.StartAsServiceAsync();
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- threads`, {await Report.MachineAsync(redis.Address)}");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Requests per second with `UseDedicatedThreads` by those without, medians of the ratios of {Rounds} rounds in which both take turns; in brackets");
        text.AppendLine("both rates. 10 KB. \"Told n\" is DOTNET_PROCESSOR_COUNT: a machine that is wider in all but its cores.");
        text.AppendLine();
        text.AppendLine("| the site's machine | connections | read | read and write one field | synchronous read in middleware |");
        text.AppendLine("|---|---|---|---|---|");
        await MeasureAsync(text, redis.Address, "1 core of its own", 64, pinned: "0");
        await MeasureAsync(text, redis.Address, "2 cores", 64);
        await MeasureAsync(text, redis.Address, "2 cores", 8);
        await MeasureAsync(text, redis.Address, "2 cores, told 8", 64, processors: 8);
        await MeasureAsync(text, redis.Address, "2 cores, told 32", 64, processors: 32);
        using var cluster = await RedisClusterProcesses.StartAsync();
        await MeasureAsync(text, cluster.Address, "2 cores, cluster of three masters", 64);
        await MeasureAsync(text, cluster.Address, "2 cores, told 32, cluster", 64, processors: 32);
        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "threads", text.ToString());
    }

    private static async Task MeasureAsync(StringBuilder text, string redis, string machine, int connections, string? pinned = null, int? processors = null)
    {
        using var load = ChildProcess.Start("load");
        var sites = new List<(string Contender, ChildProcess Process, int Port)>();
        var samples = new List<Sample>();
        try
        {
            foreach (var contender in new[] { Contender.Ours, Contender.OursDedicated })
            {
                var port = EmbeddedGarnet.FreePort();
                sites.Add((contender, await ChildProcess.StartSiteAsync(contender, redis, port, pinned, processors), port));
                await load.AskAsync($"fill {port} {Size}");
                foreach (var path in Paths)
                {
                    await load.AskAsync($"run {port} {path} {connections} 1500");
                }
            }

            for (var round = 0; round < Rounds; round++)
            {
                foreach (var path in Paths)
                {
                    // Who comes first has the machine as the other left it.
                    foreach (var (contender, _, port) in round % 2 == 0 ? sites : Enumerable.Reverse(sites))
                    {
                        var answer = (await load.AskAsync($"run {port} {path} {connections} {Milliseconds}")).Split(' ');
                        samples.Add(new Sample(path, Size, connections, contender, round, long.Parse(answer[0], CultureInfo.InvariantCulture) / double.Parse(answer[1], CultureInfo.InvariantCulture)));
                    }
                }
            }
        }
        finally
        {
            foreach (var site in sites)
            {
                site.Process.Dispose();
            }
        }

        var cells = Paths.Select(path => string.Create(CultureInfo.InvariantCulture,
            $"{samples.Ratio((path, Contender.OursDedicated), (path, Contender.Ours), Size, connections):0.00} ({samples.Rate(path, Size, connections, Contender.OursDedicated):N0} / {samples.Rate(path, Size, connections, Contender.Ours):N0})"));
        var row = $"| {machine} | {connections} | {string.Join(" | ", cells)} |";
        Console.WriteLine(row);
        text.AppendLine(row);
    }
}
