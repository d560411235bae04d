using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// What it brings and costs that the client reads and writes on threads of its own: with as many processors as there are and with more than there are (the runtime
/// is told so, and sizes its pool by it), over one server and over a cluster, and with a bare PING in the same two ways.
/// </summary>
internal static class ThreadsRun
{
    private const int Size = 10_000;
    private const int Milliseconds = 400;
    private const int WarmUpMilliseconds = 2_000;
    private const int Rounds = 5;
    private static readonly int[] Processors = [Environment.ProcessorCount, 8, 32];
    private static readonly int[] Connections = [1, 32, 64];
    private static readonly string[] Paths = ["/read-async", "/write"];
    private static readonly (string Pool, string Own)[] Pairs = [(Contender.OursOnPool, Contender.OursDedicated), (Contender.Ping, Contender.PingDedicated)];

    public static async Task RunAsync()
    {
        using var single = await RedisProcess.StartAsServiceAsync();
        using var cluster = await RedisClusterProcesses.StartAsync();
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- threads`, {await Report.MachineAsync(single.Address)}");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Requests per second with the client's own threads to those without, 10 KB, medians of the ratios of {Rounds} rounds. Processors above {Environment.ProcessorCount} are what the");
        text.AppendLine("runtime was told (`DOTNET_PROCESSOR_COUNT`). Threads are the site's, after the load, with and without.");
        text.AppendLine();
        text.AppendLine("| processors | Redis | connections | read | write | PING for a read | PING for a write | threads |");
        text.AppendLine("|---|---|---|---|---|---|---|---|");
        foreach (var processors in Processors)
        {
            foreach (var (name, redis) in new[] { ("one server", single.Address), ("cluster of 3 + 3", cluster.Address) })
            {
                await MeasureAsync(processors, name, redis, text);
            }
        }

        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "threads", text.ToString());
    }

    private static async Task MeasureAsync(int processors, string name, string redis, StringBuilder text)
    {
        var variables = new Dictionary<string, string> { ["DOTNET_PROCESSOR_COUNT"] = processors.ToString(CultureInfo.InvariantCulture) };
        using var load = ChildProcess.Start("load");
        var sites = new Dictionary<string, RunningSite>();
        try
        {
            foreach (var contender in Pairs.SelectMany(pair => new[] { pair.Pool, pair.Own }))
            {
                sites[contender] = await RunningSite.StartAsync(load, redis, contender, Size, WarmUpMilliseconds, variables);
            }

            var samples = new List<Sample>();
            foreach (var connections in Connections)
            {
                for (var round = 1; round <= Rounds; round++)
                {
                    foreach (var path in Paths)
                    {
                        foreach (var (contender, site) in sites)
                        {
                            samples.Add(new Sample(path, Size, connections, contender, round, await site.DriveAsync(load, path, connections, Milliseconds)));
                        }
                    }
                }
            }

            var threads = $"{sites[Contender.OursDedicated].Threads} / {sites[Contender.OursOnPool].Threads}";
            foreach (var connections in Connections)
            {
                var ratios = Pairs.SelectMany(pair => Paths.Select(path => samples.Ratio((path, pair.Own), (path, pair.Pool), Size, connections)));
                text.AppendLine(CultureInfo.InvariantCulture, $"| {processors} | {name} | {connections} | {string.Join(" | ", ratios.Select(ratio => $"{ratio:0.00}"))} | {threads} |");
                Console.WriteLine($"{processors} processors, {name}, {connections} connections: {string.Join(' ', ratios.Select(ratio => $"{ratio:0.00}"))}, threads {threads}");
            }
        }
        finally
        {
            foreach (var site in sites.Values)
            {
                site.Dispose();
            }
        }
    }
}
