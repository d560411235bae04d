namespace RedisSessions.Tests.Model;

/// <summary>
/// Takes steps out of a failing history, and makes those that stay plainer, for as long as it still fails: what is left is
/// what matters. CsCheck itself only looks for smaller random ones.
/// </summary>
internal static class Smallest
{
    public static Task<(Step[] History, string Difference)> OfAsync(Step[] history, string difference, Func<Step[], Task<string?>> take) =>
        OfAsync(history, difference, take, Plainer);

    public static async Task<(T[] History, string Difference)> OfAsync<T>(
        T[] history, string difference, Func<T[], Task<string?>> take, Func<T, IEnumerable<T>> plainer)
    {
        bool isSmaller;
        do
        {
            isSmaller = false;
            foreach (var candidate in Smaller(history, plainer))
            {
                if (await take(candidate) is { } still)
                {
                    (history, difference, isSmaller) = (candidate, still, true);
                    break;
                }
            }
        }
        while (isSmaller);

        return (history, difference);
    }

    private static IEnumerable<T[]> Smaller<T>(T[] history, Func<T, IEnumerable<T>> plainer)
    {
        for (var size = Math.Max(1, history.Length / 2); size > 0; size /= 2)
        {
            for (var at = history.Length - size; at >= 0; at--)
            {
                yield return [.. history[..at], .. history[(at + size)..]];
            }
        }

        for (var at = 0; at < history.Length; at++)
        {
            foreach (var step in plainer(history[at]))
            {
                yield return [.. history[..at], step, .. history[(at + 1)..]];
            }
        }
    }

    private static IEnumerable<Step> Plainer(Step step)
    {
        Step[] all =
        [
            step with { LostReply = 0 },
            step with { Act = step.Act == Act.Begin ? Act.End : step.Act, Server = 0, Browser = 0, CookieAge = 0, Blocks = false },
            step with { CookieAge = 0 },
            step with { Blocks = false },
            step with { Browser = 0 },
            step with { Server = 0 },
            step with { Number = 0 },
        ];
        return all.Where(plainer => plainer != step);
    }
}
