using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Http;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Results;

/// <summary>Writes the section of RESULTS.md that this run measured, and the plot beside it; other sections stay.</summary>
internal static class Report
{
    public static async Task WriteAsync(
        IReadOnlyList<Sample> rates,
        IReadOnlyList<(string Contender, int FieldBytes, long Bytes)> memory,
        string redis,
        bool quick)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- http{(quick ? " --quick" : "")}`, {await MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine("Requests per second, medians over rounds in which contenders take turns of half a second; in brackets the median of the");
        text.AppendLine("ratios to the PING limit in the same round. The limit sends one bare PING where a store would read or write, behind the session middleware in the box,");
        text.AppendLine("which unprotects the cookie of every request; with cookies remembered it is behind ours, which is why ours can be beyond the limit. A session");
        text.AppendLine("has ten fields that add up to its size and two small ones that the page reads or writes. In memory is what a site on one server");
        text.AppendLine("gives up for any of the others; over HybridCache and FusionCache (an adapter of ours to IDistributedCache, Redis as their second level) a");
        text.AppendLine("read is from the server's own memory too, and does not see what another server changed, nor does it slide.");
        AppendTargets(text, rates);
        foreach (var connections in rates.Select(rate => rate.Connections).Distinct().Order())
        {
            foreach (var (path, title) in new[]
            {
                ("/none", "no session access"), ("/read-async", "read, LoadAsync awaited first"), ("/read-sync", "read, synchronous, in an endpoint"),
                ("/middleware-sync", "read, synchronous, in a middleware"), ("/write", "read and write one field"),
            })
            {
                AppendTable(text, rates, path, title, connections);
            }
        }

        text.AppendLine();
        text.AppendLine("### Redis memory per session of ten fields (MEMORY USAGE, bytes)");
        text.AppendLine();
        text.AppendLine("| field size | RedisSessions | Microsoft | JSON blob |");
        text.AppendLine("|---|---|---|---|");
        foreach (var size in memory.GroupBy(row => row.FieldBytes))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"| {size.Key:N0} B | {string.Join(" | ", size.Select(row => row.Bytes.ToString("N0", CultureInfo.InvariantCulture)))} |");
        }

        Console.WriteLine(text);
        var folder = Folder();
        await ResultsFile.ReplaceAsync(Path.Combine(folder, "RESULTS.md"), "http", text.ToString());
        await File.WriteAllTextAsync(Path.Combine(folder, "results.svg"), Plot.Draw(rates));
    }

    private static void AppendTargets(StringBuilder text, IReadOnlyList<Sample> rates)
    {
        text.AppendLine();
        text.AppendLine("### What we hold ourselves to");
        text.AppendLine();
        text.AppendLine("| | target | measured |");
        text.AppendLine("|---|---|---|");
        foreach (var connections in rates.Select(rate => rate.Connections).Distinct().Order())
        {
            foreach (var size in rates.Where(rate => rate.Path == "/read-async").Select(rate => rate.Size).Distinct().Order())
            {
                var goal = size > 100_000 ? "0.90" : "0.95";
                Row($"read / PING limit, {size / 1000} KB, {connections} connections", goal, rates.Ratio(("/read-async", Contender.Ours), ("/read-async", Contender.Ping), size, connections));
                Row($"write / PING limit, {size / 1000} KB, {connections} connections", goal, rates.Ratio(("/write", Contender.Ours), ("/write", Contender.Ping), size, connections));
                Row($"read / PING limit with cookies remembered, {size / 1000} KB, {connections} connections", "", rates.Ratio(("/read-async", Contender.Ours), ("/read-async", Contender.PingRemembered), size, connections));
                Row($"write / PING limit with cookies remembered, {size / 1000} KB, {connections} connections", "", rates.Ratio(("/write", Contender.Ours), ("/write", Contender.PingRemembered), size, connections));
            }

            Row($"synchronous / asynchronous read, 10 KB, {connections} connections", "0.90", rates.Ratio(("/read-sync", Contender.Ours), ("/read-async", Contender.Ours), 10_000, connections));
            Row($"synchronous in a middleware / asynchronous read, 10 KB, {connections} connections", "0.90", rates.Ratio(("/middleware-sync", Contender.Ours), ("/read-async", Contender.Ours), 10_000, connections));
            Row($"read / in memory, 10 KB, {connections} connections", "", rates.Ratio(("/read-async", Contender.Ours), ("/read-async", Contender.InMemory), 10_000, connections));
            Row($"read / Microsoft, 10 KB, {connections} connections", "2", rates.Ratio(("/read-async", Contender.Ours), ("/read-async", Contender.Microsoft), 10_000, connections));
            Row($"write / Microsoft, 10 KB, {connections} connections", "1.7", rates.Ratio(("/write", Contender.Ours), ("/write", Contender.Microsoft), 10_000, connections));
            Row($"read / Microsoft, 100 KB, {connections} connections", "4.5", rates.Ratio(("/read-async", Contender.Ours), ("/read-async", Contender.Microsoft), 100_000, connections));
            Row($"write / Microsoft, 100 KB, {connections} connections", "4.5", rates.Ratio(("/write", Contender.Ours), ("/write", Contender.Microsoft), 100_000, connections));
            foreach (var (path, name) in new[] { ("/read-async", "read"), ("/write", "write") })
            {
                Row($"{name} with the user index / without, 10 KB, {connections} connections", "0.95", rates.Ratio((path, Contender.OursWithUsers), (path, Contender.Ours), 10_000, connections));
                Row($"{name} with user index and security / without, 10 KB, {connections} connections", "0.95", rates.Ratio((path, Contender.OursWithSecurity), (path, Contender.Ours), 10_000, connections));
                Row($"{name} with encryption / without, 10 KB, {connections} connections", "0.85", rates.Ratio((path, Contender.OursWithEncryption), (path, Contender.Ours), 10_000, connections));
            }

            Row($"read without copies / Microsoft, 10 KB, {connections} connections", "1.3", rates.Ratio(("/read-async", Contender.OursWithoutCopies), ("/read-async", Contender.Microsoft), 10_000, connections));
        }

        void Row(string what, string target, double? measured)
        {
            if (measured is { } value)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"| {what} | {target} | {value:0.00} |");
            }
        }
    }

    private static void AppendTable(StringBuilder text, IReadOnlyList<Sample> rates, string path, string title, int connections)
    {
        var here = rates.Where(rate => rate.Connections == connections && rate.Path == path).ToArray();
        if (here.Length == 0)
        {
            return;
        }

        var sizes = here.Select(rate => rate.Size).Distinct().Order().ToArray();
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"### {title}, {connections} connections");
        text.AppendLine();
        text.AppendLine($"| | {string.Join(" | ", sizes.Select(size => $"{size / 1000} KB"))} |");
        text.AppendLine($"|---|{string.Concat(sizes.Select(_ => "---|"))}");
        foreach (var contender in here.Select(rate => rate.Contender).Distinct())
        {
            var cells = sizes.Select(size =>
            {
                var rate = rates.Rate(path, size, connections, contender);
                var ratio = rates.Ratio((path, contender), (path, Contender.Ping), size, connections);
                return string.Create(CultureInfo.InvariantCulture, $"{rate:N0}{(ratio is null ? "" : $" ({ratio:0.00})")}");
            });
            text.AppendLine($"| {contender} | {string.Join(" | ", cells)} |");
        }
    }

    public static async Task<string> MachineAsync(string redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis);
        var server = connection.GetServers()[0];
        return $"{Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}, "
            + $"{(RedisSessions.Testing.RedisProcess.IsInstalled ? "redis-server" : "Garnet")} {server.Version}, "
            + $"StackExchange.Redis {typeof(ConnectionMultiplexer).Assembly.GetName().Version}; site, Redis and load generator on one machine";
    }

    /// <summary>The project's folder, from wherever it was built to.</summary>
    public static string Folder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Benchmarks.csproj")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? Environment.CurrentDirectory;
    }
}
