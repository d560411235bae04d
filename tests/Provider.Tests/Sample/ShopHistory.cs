using System.Globalization;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sample;

/// <summary>
/// Two weeks in which the shop had visitors, as docs/keys.md says that figures are kept: pages with charts are tested, and pictured, with
/// something in the charts.
/// </summary>
internal static class ShopHistory
{
    // How full the shop is at which hour of a day, in sessions at once.
    private static readonly int[] Hours = [3, 2, 1, 1, 1, 2, 4, 9, 16, 22, 27, 31, 34, 30, 26, 25, 27, 33, 39, 44, 41, 30, 17, 8];

    private static readonly (string Name, int Share)[] Devices =
        [("Chrome on Windows", 31), ("Safari on iPhone", 24), ("Chrome on Android", 19), ("Safari on macOS", 11), ("Edge on Windows", 9), ("Firefox on Linux", 6)];

    private static readonly (string Name, int Share)[] Addresses =
        [("198.51.100.23", 9), ("203.0.113.77", 7), ("192.0.2.14", 6), ("2001:db8:41:7::2", 5), ("198.51.100.140", 3)];

    private static readonly (string Name, int Share)[] Events =
        [("created", 100), ("added to cart", 174), ("signed in", 46), ("regenerated", 46), ("signed out", 21), ("expired", 62), ("revoked", 3)];

    public static async Task WriteAsync(string redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis);
        var now = DateTimeOffset.UtcNow;
        await Task.WhenAll(Enumerable.Range(0, 14).Select(ago => WriteDayAsync(connection.GetDatabase(), now.AddDays(-ago), ago, hours: ago == 0 ? now.Hour : 24)));
    }

    private static Task WriteDayAsync(IDatabase database, DateTimeOffset day, int ago, int hours)
    {
        // More of them each week, fewer at the weekend, never quite the same.
        var busy = (100 - (ago * 3)) * (day.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday ? 60 : 100) * (90 + (ago * 7 % 23)) / 10_000;
        var created = 240 * busy / 100 * Hours.Take(hours).Sum() / Hours.Sum();
        var key = $"session:stats:{day.ToString("yyyyMMdd", CultureInfo.InvariantCulture)}";
        var ended = Of(86);
        var counters = new List<HashEntry>
        {
            new("created", created), new("ended:signed out", Of(21)), new("ended:expired", Of(62)), new("ended:revoked", Of(3)),
            new("duration", ended * (long)TimeSpan.FromSeconds(1_140).TotalMilliseconds),
        };
        counters.AddRange(Hours.Take(hours).Select((most, hour) => new HashEntry($"peak:{hour}", Math.Max(1, most * busy / 100))));
        return Task.WhenAll(
            database.HashSetAsync(key, [.. counters]),
            database.HashSetAsync($"{key}:events", [.. Events.Select(e => new HashEntry(e.Name, Of(e.Share)))]),
            database.SortedSetAddAsync($"{key}:agents", [.. Devices.Select(device => new SortedSetEntry(device.Name, Of(device.Share)))]),
            database.SortedSetAddAsync($"{key}:addresses", [.. Addresses.Select(address => new SortedSetEntry(address.Name, Of(address.Share)))]),
            database.HyperLogLogAddAsync($"{key}:users", [.. Enumerable.Range(0, 1 + Of(44)).Select(user => (RedisValue)$"user {user + (ago * 3)}")]));

        int Of(int percent) => created * percent / 100;
    }
}
