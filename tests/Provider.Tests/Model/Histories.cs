using System.Collections.Concurrent;
using System.Globalization;
using CsCheck;

namespace RedisSessions.Tests.Model;

/// <summary>
/// Random histories that are the same in every run, by number: one that differs is still there when somebody looks for the cause. Others
/// by the environment variable MODEL_SEED; one alone, as often as there would be others, by its number in MODEL_HISTORY.
/// </summary>
internal static class Histories
{
    // Of one defect there are many.
    private const int Enough = 20;

    private static uint Seed =>
        Environment.GetEnvironmentVariable("MODEL_SEED") is { Length: > 0 } seed ? uint.Parse(seed, CultureInfo.InvariantCulture) : 1;

    private static IEnumerable<int> NumbersUpTo(int count) =>
        Environment.GetEnvironmentVariable("MODEL_HISTORY") is { Length: > 0 } number ? Enumerable.Repeat(int.Parse(number, CultureInfo.InvariantCulture), count) : Enumerable.Range(1, count);

    /// <summary>Those that differ from their model, and how.</summary>
    public static async Task<IReadOnlyList<Differing<T>>> DifferingAsync<T>(
        Gen<T> histories, int count, int atOnce, Func<T, Task<string?>> differenceOf, int enough = Enough)
    {
        var differing = new ConcurrentBag<Differing<T>>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = atOnce, CancellationToken = TestContext.Current.CancellationToken };
        await Parallel.ForEachAsync(NumbersUpTo(count), options, async (number, _) =>
        {
            if (differing.Count >= enough)
            {
                return;
            }

            var history = histories.Generate(new PCG(Seed, (ulong)number), null, out var _);
            if (await differenceOf(history) is { } difference)
            {
                differing.Add(new(history, difference, number));
            }
        });
        return [.. differing];
    }
}

internal sealed record Differing<T>(T History, string Difference, int Number);
