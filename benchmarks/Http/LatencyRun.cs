using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Results;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// How long a request takes, against how many there are: from one connection, which sends one request after the other, to as many as keep the machine busy.
/// </summary>
internal static class LatencyRun
{
    private const int Size = 10_000;
    private const int Milliseconds = 1_000;
    private const int WarmUpMilliseconds = 2_500;
    private const int Rounds = 3;
    private static readonly int[] Connections = [1, 2, 4, 8, 16, 32, 64];
    private static readonly string[] Paths = ["/read-async", "/write"];
    private static readonly string[] Contenders = [Contender.Ping, Contender.Ours, Contender.OursDedicated, Contender.Microsoft, Contender.JsonBlob];

    public static async Task RunAsync(string redis)
    {
        using var load = ChildProcess.Start("load");
        var sites = new Dictionary<string, RunningSite>();
        var samples = new List<LatencySample>();
        try
        {
            foreach (var contender in Contenders)
            {
                sites[contender] = await RunningSite.StartAsync(load, redis, contender, Size, WarmUpMilliseconds);
            }

            foreach (var path in Paths)
            {
                foreach (var connections in Connections)
                {
                    for (var round = 1; round <= Rounds; round++)
                    {
                        foreach (var (contender, site) in sites)
                        {
                            var sample = await site.TimeAsync(load, path, connections, Milliseconds) with { Contender = contender };
                            samples.Add(sample);
                            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path,-12} {connections,3} connections  round {round}  {contender,-34} {sample.PerSecond,9:N0}/s  {sample.P50:N0} {sample.P99:N0} {sample.P999:N0} µs"));
                        }
                    }
                }
            }
        }
        finally
        {
            foreach (var site in sites.Values)
            {
                site.Dispose();
            }
        }

        var points = samples
            .GroupBy(sample => (sample.Path, sample.Contender, sample.Connections))
            .Select(group => new LatencySample(group.Key.Path, group.Key.Connections, Median(group, s => s.PerSecond), Median(group, s => s.P50), Median(group, s => s.P99), Median(group, s => s.P999)) { Contender = group.Key.Contender })
            .ToArray();
        await WriteAsync(redis, points);
    }

    private static double Median(IEnumerable<LatencySample> samples, Func<LatencySample, double> of) => samples.Select(of).Order().ElementAt(Rounds / 2);

    private static async Task WriteAsync(string redis, LatencySample[] points)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- latency`, {await Report.MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Sessions of 10 KB, each connection sends one request after the other, medians of {Rounds} rounds of a second. At half load: where there are half as many requests");
        text.AppendLine("as the PING limit answers at most, between the two measured loads around it. [latency.svg](latency.svg) shows all of it.");
        text.AppendLine();
        text.AppendLine("| | p50 at half load | p99 at half load | p99 to PING's | p99.9 at half load |");
        text.AppendLine("|---|---|---|---|---|");
        foreach (var path in Paths)
        {
            var here = points.Where(point => point.Path == path).ToArray();
            var half = here.Where(point => point.Contender == Contender.Ping).Max(point => point.PerSecond) / 2;
            var limit = At(here, Contender.Ping, half, point => point.P99);
            foreach (var contender in Contenders)
            {
                var (p50, p99, p999) = (At(here, contender, half, point => point.P50), At(here, contender, half, point => point.P99), At(here, contender, half, point => point.P999));
                text.AppendLine(p99 is null
                    ? string.Create(CultureInfo.InvariantCulture, $"| {NameOf(path)}, {contender} | does not reach {half:N0} requests/s | | | |")
                    : string.Create(CultureInfo.InvariantCulture, $"| {NameOf(path)}, {contender} | {p50:N0} µs | {p99:N0} µs | {p99 / limit:0.00} | {p999:N0} µs |"));
            }
        }

        text.AppendLine();
        text.AppendLine($"| requests/s: p50, p99, p99.9 in µs | {string.Join(" | ", Connections.Select(connections => $"{connections}"))} |");
        text.AppendLine($"|---|{string.Concat(Connections.Select(_ => "---|"))}");
        foreach (var group in points.GroupBy(point => (point.Path, point.Contender)))
        {
            var cells = group.OrderBy(point => point.Connections).Select(point => string.Create(CultureInfo.InvariantCulture, $"{point.PerSecond:N0}: {point.P50:N0}, {point.P99:N0}, {point.P999:N0}"));
            text.AppendLine($"| {NameOf(group.Key.Path)}, {group.Key.Contender} | {string.Join(" | ", cells)} |");
        }

        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "latency", text.ToString());
        await File.WriteAllTextAsync(Path.Combine(Report.Folder(), "latency.svg"), LatencyPlot.Draw(points));
    }

    private static string NameOf(string path) => path == "/write" ? "write" : "read";

    /// <returns>The time at a rate, on the line between the loads around it; null where it is not reached.</returns>
    private static double? At(LatencySample[] points, string contender, double rate, Func<LatencySample, double> of)
    {
        var line = points.Where(point => point.Contender == contender).OrderBy(point => point.PerSecond).ToArray();
        var above = Array.FindIndex(line, point => point.PerSecond >= rate);
        if (above <= 0)
        {
            return above == 0 ? of(line[0]) : null;
        }

        var (low, high) = (line[above - 1], line[above]);
        return of(low) + ((of(high) - of(low)) * (rate - low.PerSecond) / (high.PerSecond - low.PerSecond));
    }
}

/// <summary>Requests per second, and the times below which half, 99 % and 99.9 % of them took, in microseconds.</summary>
internal sealed record LatencySample(string Path, int Connections, double PerSecond, double P50, double P99, double P999)
{
    public string Contender { get; init; } = "";
}
