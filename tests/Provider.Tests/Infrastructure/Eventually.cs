using System.Diagnostics;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Waits for a condition. The limit only bounds a failing test; no test's meaning depends on it.</summary>
public static class Eventually
{
    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan? limit = null, string? what = null)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > (limit ?? TimeSpan.FromSeconds(30)))
            {
                Assert.Fail($"Waited in vain{(what is null ? "" : $" until {what}")}.");
            }

            await Task.Delay(5);
        }
    }

    public static Task TrueAsync(Func<bool> condition, TimeSpan? limit = null, string? what = null) =>
        TrueAsync(() => Task.FromResult(condition()), limit, what);
}
