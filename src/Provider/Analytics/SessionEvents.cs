using System.Globalization;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Analytics;

/// <summary>The latest events of each session, in a list of its own, newest first. A session that gets a new id takes them along.</summary>
internal sealed class SessionEvents(SessionKeys keys, SessionAnalyticsOptions options)
{
    private string KeyOf(Guid id) => $"{keys.Prefix}events:{{{id}}}";

    public Task AddAsync(IDatabase database, Guid id, long at, string name, string? data = null)
    {
        var key = KeyOf(id);
        return Task.WhenAll([database.ListLeftPushAsync(key, $"{at}\n{name}\n{data}"), .. Bound(database, key)]);
    }

    /// <param name="database">The database.</param>
    /// <param name="from">The former id.</param>
    /// <param name="to">The new id.</param>
    /// <param name="after">The move that made the former id, where that is under way itself.</param>
    public async Task MoveAsync(IDatabase database, Guid from, Guid to, Task? after)
    {
        if (after is not null)
        {
            await after.ConfigureAwait(false);
        }

        var earlier = await database.ListRangeAsync(KeyOf(from)).ConfigureAwait(false);
        if (earlier.Length > 0)
        {
            var key = KeyOf(to);
            await Task.WhenAll([database.ListRightPushAsync(key, earlier), .. Bound(database, key), database.KeyDeleteAsync(KeyOf(from))]).ConfigureAwait(false);
        }
    }

    private Task[] Bound(IDatabase database, RedisKey key) =>
        [database.ListTrimAsync(key, 0, options.EventsPerSession - 1), database.KeyExpireAsync(key, options.EventRetention)];

    public async Task<SessionEvent[]> ReadAsync(IDatabase database, Guid id)
    {
        var entries = await database.ListRangeAsync(KeyOf(id)).ConfigureAwait(false);
        return Array.ConvertAll(entries, entry =>
        {
            var parts = ((string)entry!).Split('\n', 3);
            return new SessionEvent(parts[1], DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(parts[0], CultureInfo.InvariantCulture)), parts[2].Length == 0 ? null : parts[2]);
        });
    }
}
