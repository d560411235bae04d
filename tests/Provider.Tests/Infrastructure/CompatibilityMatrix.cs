using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

[assembly: AssemblyFixture(typeof(CompatibilityMatrix))]

namespace RedisSessions.Tests.Infrastructure;

/// <summary>
/// What passed over which kind of server, by feature, as a table of the run: written where REDIS_SESSIONS_MATRIX says, and nowhere without it. A feature is a folder of tests.
/// </summary>
public sealed class CompatibilityMatrix : IDisposable
{
    private static readonly ConcurrentDictionary<(string Engine, string Feature), (int Passed, int Skipped, int Failed)> Results = new();

    /// <summary>To be called at the end of each test over a server.</summary>
    public static void Note(Type test, RedisServer server)
    {
        var feature = test.Namespace!.Split('.')[^1];
        var (passed, skipped, failed) = TestContext.Current.TestState?.Result switch
        {
            TestResult.Passed => (1, 0, 0),
            TestResult.Skipped => (0, 1, 0),
            _ => (0, 0, 1),
        };
        Results.AddOrUpdate(
            (server.Described, feature),
            (passed, skipped, failed),
            (_, sum) => (sum.Passed + passed, sum.Skipped + skipped, sum.Failed + failed));
    }

    public void Dispose()
    {
        if (Environment.GetEnvironmentVariable("REDIS_SESSIONS_MATRIX") is not { Length: > 0 } file)
        {
            return;
        }

        var features = Results.Keys.Select(key => key.Feature).Distinct().Order(StringComparer.Ordinal).ToArray();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Compatibility\n\nTests that passed, by kind of server and feature (a folder of tests), in one run of `dotnet test` on {DateTime.UtcNow:yyyy-MM-dd}, which wrote this\n");
        text.Append("(`REDIS_SESSIONS_MATRIX=docs/compatibility.md`). In brackets those that the server cannot do, and are skipped there with a reason. A dash: not run there.\n\n");
        text.Append(CultureInfo.InvariantCulture, $"| server | {string.Join(" | ", features)} |\n|---|{string.Concat(features.Select(_ => "---|"))}\n");
        foreach (var engine in Results.Keys.Select(key => key.Engine).Distinct().Order(StringComparer.Ordinal))
        {
            var cells = features.Select(feature => Results.TryGetValue((engine, feature), out var result)
                ? $"{result.Passed}{(result.Skipped > 0 ? $" ({result.Skipped})" : "")}{(result.Failed > 0 ? $", **{result.Failed} failed**" : "")}"
                : "–");
            text.Append(CultureInfo.InvariantCulture, $"| {engine} | {string.Join(" | ", cells)} |\n");
        }

        File.WriteAllText(file, text.ToString());
    }
}
