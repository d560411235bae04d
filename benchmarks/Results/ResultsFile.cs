namespace RedisSessions.Benchmarks.Results;

/// <summary>RESULTS.md is made of sections between markers, each written by one command.</summary>
internal static class ResultsFile
{
    private const string Intro = "# Results\n\nEvery figure is a ratio between contenders in one run on one machine. Each section says the command that wrote it.\n";

    private static readonly Dictionary<string, string> Titles = new()
    {
        ["http"] = "End to end over HTTP",
        ["latency"] = "Latency against load",
        ["threads"] = "The client's threads, its own or the pool's",
        ["operations"] = "Operations (BenchmarkDotNet)",
        ["copies"] = "Memory of the local copies",
        ["users"] = "The user index against its size",
        ["analytics"] = "Analytics against the number of live sessions",
        ["sizing"] = "Sizing Redis",
        ["redis"] = "One core of Redis",
        ["staleness"] = "Notified copies: requests and staleness",
        ["cache"] = "IDistributedCache",
    };

    public static async Task ReplaceAsync(string path, string section, string body)
    {
        var text = File.Exists(path) ? await File.ReadAllTextAsync(path) : Intro;
        var (begin, end) = ($"<!-- {section} -->", $"<!-- /{section} -->");
        var content = $"{begin}\n## {Titles[section]}\n\n{body.Trim()}\n{end}";
        var from = text.IndexOf(begin, StringComparison.Ordinal);
        var to = text.IndexOf(end, StringComparison.Ordinal);
        text = from < 0 ? $"{text.TrimEnd()}\n\n{content}\n" : string.Concat(text.AsSpan(0, from), content, text.AsSpan(to + end.Length));
        await File.WriteAllTextAsync(path, text);
    }
}
