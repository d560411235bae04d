using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Http;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Staleness;

/// <summary>What notified copies gain in requests, and for how long after a change elsewhere they still show what was before it.</summary>
internal static class StalenessRun
{
    private const int Size = 10_000;
    private const int Rounds = 9;
    private const int Milliseconds = 400;

    private static readonly string[] Contenders = [Contender.InMemory, Contender.OursNotified, Contender.Ours, Contender.Ping];

    public static async Task RunAsync(string redis)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- staleness`, {await Report.MachineAsync(redis)}");
        var rates = await MeasureRequestsAsync(redis);
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"### Requests that read a session of {Size / 1000} KB (`LoadAsync`, one value)");
        text.AppendLine();
        text.AppendLine("Medians over rounds in which contenders take turns: requests/s, and the ratio to the in-memory session (Microsoft's session over `AddDistributedMemoryCache`) and to a bare PING in the same round.");
        text.AppendLine();
        text.AppendLine("| | 32 connections | by in-memory | by PING | 64 connections | by in-memory | by PING |");
        text.AppendLine("|---|---|---|---|---|---|---|");
        foreach (var contender in Contenders)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {contender} |");
            foreach (var connections in new[] { 32, 64 })
            {
                text.Append(CultureInfo.InvariantCulture, $" {rates.Rate("/read-async", Size, connections, contender):N0} | {Ratio(contender, Contender.InMemory, connections):0.00} | {Ratio(contender, Contender.Ping, connections):0.00} |");
            }

            text.AppendLine();
        }

        double? Ratio(string of, string to, int connections) => rates.Ratio(("/read-async", of), ("/read-async", to), Size, connections);

        text.AppendLine();
        text.AppendLine("### Staleness");
        text.AppendLine();
        text.AppendLine("From the moment at which one server has its change acknowledged to the moment at which another no longer uses the copy of before, in milliseconds; 0 where that one knew first. "
            + "With load: both servers at once commit and load other sessions as fast as they can.");
        text.AppendLine();
        text.AppendLine("| change | load | changes | median | 99.9 % | worst |");
        text.AppendLine("|---|---|---|---|---|---|");
        foreach (var (kind, count) in new[] { (ChangeKind.Commit, 10_000), (ChangeKind.Revocation, 5_000) })
        {
            foreach (var underLoad in new[] { false, true })
            {
                Console.WriteLine($"staleness of {kind}, {(underLoad ? "with load" : "idle")}");
                var times = await StalenessRig.MeasureAsync(redis, kind, count, underLoad);
                text.AppendLine(CultureInfo.InvariantCulture, $"| {(kind == ChangeKind.Commit ? "commit" : "revocation")} | {(underLoad ? "with" : "without")} | {times.Length:N0} | {times[times.Length / 2]:0.000} | {times[(int)(times.Length * 0.999)]:0.000} | {times[^1]:0.000} |");
            }
        }

        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "staleness", text.ToString());
    }

    private static async Task<IReadOnlyList<Sample>> MeasureRequestsAsync(string redis)
    {
        using var load = ChildProcess.Start("load");
        var sites = new Dictionary<string, (ChildProcess Process, int Port)>();
        var samples = new List<Sample>();
        try
        {
            foreach (var contender in Contenders)
            {
                var port = EmbeddedGarnet.FreePort();
                sites[contender] = (await ChildProcess.StartSiteAsync(contender, redis, port), port);
                await load.AskAsync($"fill {port} {Size}");
                Console.WriteLine($"warming up {contender}");
                await load.AskAsync($"run {port} /read-async 32 4000");
            }

            foreach (var connections in new[] { 32, 64 })
            {
                for (var round = 1; round <= Rounds; round++)
                {
                    foreach (var (contender, site) in sites)
                    {
                        var answer = (await load.AskAsync($"run {site.Port} /read-async {connections} {Milliseconds}")).Split(' ');
                        var rate = long.Parse(answer[0], CultureInfo.InvariantCulture) / double.Parse(answer[1], CultureInfo.InvariantCulture);
                        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{connections} connections  round {round}  {contender,-34} {rate,9:N0}/s"));
                        samples.Add(new Sample("/read-async", Size, connections, contender, round, rate));
                    }
                }
            }
        }
        finally
        {
            foreach (var (process, _) in sites.Values)
            {
                process.Dispose();
            }
        }

        return samples;
    }
}
