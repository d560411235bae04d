using System.Diagnostics;
using System.Globalization;
using RedisSessions.Benchmarks.Contenders;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// The end-to-end comparison: every contender's site in a process of its own, driven from another. The machine's own speed
/// drifts by more than what is measured, so contenders take turns of half a second, and a ratio is the median of the
/// ratios within a round, never one of figures taken minutes apart.
/// </summary>
internal sealed class HttpRun(bool quick)
{
    private static readonly string[] Contenders =
        [Contender.Ping, Contender.PingRemembered, Contender.Ours, Contender.OursDedicated, Contender.OursWithoutCopies, Contender.Microsoft, Contender.JsonBlob, Contender.InMemory, Contender.Hybrid, Contender.Fusion];

    // What keeps sessions in the server's own memory, the only place or the first: no other server's change is seen there.
    private static readonly string[] OwnMemory = [Contender.InMemory, Contender.Hybrid, Contender.Fusion];

    private static readonly string[] Ours = [Contender.Ours, Contender.OursDedicated, Contender.OursWithoutCopies];

    // What add-ons cost, measured at one size beside the store without them.
    private static readonly string[] WithAddOns = [Contender.OursWithUsers, Contender.OursWithSecurity, Contender.OursWithEncryption];

    private readonly int[] _sizes = quick ? [10_000, 100_000] : [1_000, 10_000, 100_000, 1_000_000];
    private readonly int[] _connections = quick ? [64] : [32, 64];
    private readonly int _rounds = quick ? 3 : 7;
    private readonly int _milliseconds = quick ? 300 : 400;
    private readonly List<Sample> _samples = [];
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private int _turns;
    private int _allTurns;

    public async Task<IReadOnlyList<Sample>> RunAsync(string redis)
    {
        using var load = ChildProcess.Start("load");
        var sites = new Dictionary<string, RunningSite>();
        try
        {
            foreach (var contender in Contenders.Concat(WithAddOns))
            {
                sites[contender] = await RunningSite.StartAsync(load, redis, contender, 10_000, warmUpMilliseconds: quick ? 1_000 : 4_000);
            }

            _allTurns = (_sizes.Sum(size => TurnsOf(size).Sum(turn => turn.Contenders.Length)) * _connections.Length * _rounds) + Contenders.Except(Ours).Except(OwnMemory).Count();
            foreach (var size in _sizes)
            {
                foreach (var site in sites.Values)
                {
                    await site.FillAsync(load, size);
                }

                foreach (var connections in _connections)
                {
                    for (var round = 1; round <= _rounds; round++)
                    {
                        await RoundAsync(load, sites, size, connections, round);
                    }
                }
            }

            await StallAsync(load, sites);
        }
        finally
        {
            foreach (var site in sites.Values)
            {
                site.Dispose();
            }
        }

        return _samples;
    }

    private async Task RoundAsync(ChildProcess load, Dictionary<string, RunningSite> sites, int size, int connections, int round)
    {
        foreach (var (path, contenders) in TurnsOf(size))
        {
            foreach (var contender in contenders)
            {
                await SampleAsync(load, sites[contender], path, size, connections, contender, round);
            }
        }
    }

    private static IEnumerable<(string Path, string[] Contenders)> TurnsOf(int size) => size == 10_000
        ? [("/none", Contenders), ("/read-async", [.. Contenders, .. WithAddOns]), ("/write", [.. Contenders, .. WithAddOns]), ("/read-sync", Ours), ("/middleware-sync", Ours)]
        : [("/read-async", Contenders), ("/write", Contenders), ("/read-sync", Ours)];

    /// <summary>What may leave a site stuck comes last: synchronous reads that nothing preloads.</summary>
    private async Task StallAsync(ChildProcess load, Dictionary<string, RunningSite> sites)
    {
        const int Size = 10_000;
        foreach (var site in sites.Values)
        {
            await site.FillAsync(load, Size);
        }

        var connections = _connections[^1];
        foreach (var contender in Contenders.Except(Ours).Except(OwnMemory))
        {
            await SampleAsync(load, sites[contender], "/read-sync", Size, connections, contender, 1);
        }
    }

    private async Task SampleAsync(ChildProcess load, RunningSite site, string path, int size, int connections, string contender, int round)
    {
        // Long enough for a stall to be one.
        var milliseconds = path == "/read-sync" && !Ours.Contains(contender) ? 4 * _milliseconds : _milliseconds;
        var rate = await site.DriveAsync(load, path, connections, milliseconds);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{++_turns,5} of {_allTurns}  {_watch.Elapsed:mm\\:ss}  {size / 1000,5} KB  {connections} connections  round {round}  {path,-17} {contender,-34} {rate,9:N0}/s"));
        _samples.Add(new Sample(path, size, connections, contender, round, rate));
    }
}

/// <summary>One turn of one contender.</summary>
internal sealed record Sample(string Path, int Size, int Connections, string Contender, int Round, double PerSecond);

/// <summary>Medians over rounds.</summary>
internal static class Samples
{
    public static double? Rate(this IEnumerable<Sample> samples, string path, int size, int connections, string contender) =>
        Median(samples.Where(s => s.Path == path && s.Size == size && s.Connections == connections && s.Contender == contender).Select(s => s.PerSecond));

    /// <summary>The median over rounds of one figure by another of the same round.</summary>
    public static double? Ratio(this IReadOnlyList<Sample> samples, (string Path, string Contender) of, (string Path, string Contender) to, int size, int connections)
    {
        var here = samples.Where(s => s.Size == size && s.Connections == connections).ToArray();
        var references = here.Where(s => (s.Path, s.Contender) == to).ToDictionary(s => s.Round, s => s.PerSecond);
        return Median(here
            .Where(s => (s.Path, s.Contender) == of && references.GetValueOrDefault(s.Round) > 0)
            .Select(s => s.PerSecond / references[s.Round]));
    }

    private static double? Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? null
            : sorted.Length % 2 == 1 ? sorted[sorted.Length / 2]
            : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
