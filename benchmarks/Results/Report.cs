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
        IReadOnlyList<Measurement> rates,
        IReadOnlyList<(string Contender, int FieldBytes, long Bytes)> memory,
        string redis,
        bool quick)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- http{(quick ? " --quick" : "")}`, {await MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine("Requests per second, medians; in brackets the ratio to the PING limit, which sends one bare PING where a store would");
        text.AppendLine("read or write. A session has ten fields that add up to its size and two small ones that the page reads or writes.");
        foreach (var connections in rates.Select(rate => rate.Connections).Distinct().Order())
        {
            foreach (var (path, title) in new[]
            {
                ("/none", "no session access"), ("/read-async", "read, LoadAsync awaited first"), ("/read-sync", "read, synchronous, in an endpoint"),
                ("/middleware-sync", "read, synchronous, in a middleware"), ("/write", "read and write one field"),
            })
            {
                AppendTable(text, [.. rates.Where(rate => rate.Connections == connections && rate.Path == path)], title, connections);
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

    private static void AppendTable(StringBuilder text, Measurement[] rates, string title, int connections)
    {
        if (rates.Length == 0)
        {
            return;
        }

        var sizes = rates.Select(rate => rate.Size).Distinct().Order().ToArray();
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"### {title}, {connections} connections");
        text.AppendLine();
        text.AppendLine($"| | {string.Join(" | ", sizes.Select(size => $"{size / 1000} KB"))} |");
        text.AppendLine($"|---|{string.Concat(sizes.Select(_ => "---|"))}");
        foreach (var contender in rates.Select(rate => rate.Contender).Distinct())
        {
            var cells = sizes.Select(size =>
            {
                var limit = rates.FirstOrDefault(rate => rate.Size == size && rate.Contender == Contender.Ping)?.PerSecond;
                return rates.FirstOrDefault(rate => rate.Size == size && rate.Contender == contender) is { } rate
                    ? string.Create(CultureInfo.InvariantCulture, $"{rate.PerSecond:N0}{(limit > 0 ? $" ({rate.PerSecond / limit.Value:0.00})" : "")}")
                    : "";
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
