using System.Globalization;

namespace RedisSessions.Benchmarks.Http;

/// <summary>A contender's site in a process of its own, filled and warm.</summary>
internal sealed class RunningSite : IDisposable
{
    private readonly ChildProcess _process;

    private RunningSite(ChildProcess process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    /// <summary>How many threads the process has.</summary>
    public int Threads => _process.Threads;

    /// <param name="load">Who fills it, and drives it.</param>
    /// <param name="redis">The server.</param>
    /// <param name="contender">What it serves.</param>
    /// <param name="size">The bytes of a session.</param>
    /// <param name="warmUpMilliseconds">For each path: tiered compilation takes seconds of load to settle.</param>
    /// <param name="variables">Of its environment; null for none of its own.</param>
    public static async Task<RunningSite> StartAsync(
        ChildProcess load, string redis, string contender, int size, int warmUpMilliseconds, IReadOnlyDictionary<string, string>? variables = null)
    {
        var port = Testing.EmbeddedGarnet.FreePort();
        var site = new RunningSite(await ChildProcess.StartSiteAsync(contender, redis, port, variables), port);
        await site.FillAsync(load, size);
        foreach (var path in new[] { "/read-async", "/write", "/none" })
        {
            Console.WriteLine($"warming up {contender} {path}");
            await site.DriveAsync(load, path, 32, warmUpMilliseconds);
        }

        return site;
    }

    public Task FillAsync(ChildProcess load, int size) => load.AskAsync($"fill {Port} {size}");

    /// <returns>Requests per second.</returns>
    public async Task<double> DriveAsync(ChildProcess load, string path, int connections, int milliseconds)
    {
        var answer = (await load.AskAsync($"run {Port} {path} {connections} {milliseconds}")).Split(' ');
        return long.Parse(answer[0], CultureInfo.InvariantCulture) / double.Parse(answer[1], CultureInfo.InvariantCulture);
    }

    /// <returns>Requests per second, and their times.</returns>
    public async Task<LatencySample> TimeAsync(ChildProcess load, string path, int connections, int milliseconds)
    {
        var answer = (await load.AskAsync($"time {Port} {path} {connections} {milliseconds}")).Split(' ').Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        return new LatencySample(path, connections, answer[0] / answer[1], answer[2], answer[3], answer[4]);
    }

    public void Dispose() => _process.Dispose();
}
