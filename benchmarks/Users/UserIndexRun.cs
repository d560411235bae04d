using System.Diagnostics;
using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Redis;
using RedisSessions.Users;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Users;

/// <summary>What list, revoke and active users cost against the number of sessions in Redis.</summary>
internal static class UserIndexRun
{
    private const int SessionsPerUser = 10;
    private const int Repetitions = 200;

    public static async Task RunAsync(string redis)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- users`, {await Report.MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine("Medians over 200 calls, one after the other; the PING round trip in the same run is the limit. Ten sessions a user.");
        text.AppendLine();
        text.AppendLine("| sessions | users | PING | count | list (10) | revoke one | 500 active users |");
        text.AppendLine("|---|---|---|---|---|---|---|");
        foreach (var sessions in new[] { 1_000, 10_000, 100_000, 1_000_000 })
        {
            await MeasureAsync(redis, sessions, text);
        }

        await MeasureOneUserAsync(redis, text);
        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "users", text.ToString());
    }

    private static async Task MeasureAsync(string redis, int sessions, StringBuilder text)
    {
        await using var rig = await Rig.StartAsync(redis);
        Console.WriteLine($"loading {sessions:N0} sessions");
        var users = sessions / SessionsPerUser;
        var oneOfEach = new List<(string User, string Id)>();
        for (var user = 0; user < users; user++)
        {
            var ids = await rig.AddUserAsync($"user{user}", SessionsPerUser);
            if (oneOfEach.Count < Repetitions && user % Math.Max(1, users / Repetitions) == 0)
            {
                oneOfEach.Add(($"user{user}", ids[0]));
            }
        }

        await rig.FlushAsync();
        var api = rig.Api;
        var ping = await MedianAsync(_ => rig.Database.PingAsync());
        var count = await MedianAsync(i => api.CountAsync($"user{i * 7919 % users}"));
        var list = await MedianAsync(i => api.ListAsync($"user{i * 7919 % users}"));
        var active = await MedianAsync(async _ =>
        {
            var left = 500;
            await foreach (var user in api.GetActiveUsersAsync(DateTimeOffset.UtcNow.AddDays(-1)))
            {
                if (--left == 0)
                {
                    break;
                }
            }
        });
        var revoke = await MedianAsync(i => i < oneOfEach.Count ? api.RevokeAsync(oneOfEach[i].User, oneOfEach[i].Id) : Task.CompletedTask, Math.Min(Repetitions, oneOfEach.Count));
        text.AppendLine(CultureInfo.InvariantCulture, $"| {sessions:N0} | {users:N0} | {ping:N0} µs | {count:N0} µs | {list:N0} µs | {revoke:N0} µs | {active:N0} µs |");
    }

    private static async Task MeasureOneUserAsync(string redis, StringBuilder text)
    {
        await using var rig = await Rig.StartAsync(redis);
        await rig.AddUserAsync("busy", 10_000);
        await rig.FlushAsync();
        var longest = 0.0;
        var met = 0;
        for (var round = 0; round < 2; round++)
        {
            (longest, met) = (0, 0);
            for (var skip = 0; skip < 10_000; skip += 100)
            {
                var watch = Stopwatch.StartNew();
                met += (await rig.Api.ListAsync("busy", skip, 100)).Count;
                longest = Math.Max(longest, watch.Elapsed.TotalMilliseconds);
            }
        }

        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"One user with 10,000 sessions, listed in pages of 100: {met:N0} met, the slowest page took {longest:0.0} ms.");
    }

    private static async Task<double> MedianAsync(Func<int, Task> call, int repetitions = Repetitions)
    {
        var times = new double[repetitions];
        for (var i = 0; i < repetitions; i++)
        {
            var watch = Stopwatch.StartNew();
            await call(i);
            times[i] = watch.Elapsed.TotalMicroseconds;
        }

        Array.Sort(times);
        return times[repetitions / 2];
    }

    /// <summary>The index with a loader that writes what requests would, in large pipelined batches.</summary>
    private sealed class Rig(ServiceProvider provider, IDatabase database) : IAsyncDisposable
    {
        private readonly List<Task> _pending = [];

        public IUserSessions Api => provider.GetRequiredService<IUserSessions>();

        public IDatabase Database => database;

        public static async Task<Rig> StartAsync(string redis)
        {
            var prefix = $"bulk-{Guid.NewGuid():N}:";
            var services = new ServiceCollection().AddLogging(logging => logging.ClearProviders());
            services.AddRedisSession($"{redis},allowAdmin=true,syncTimeout=60000", o => o.KeyPrefix = prefix).AddUserIndex();
            var provider = services.BuildServiceProvider();
            var database = await provider.GetRequiredService<RedisConnection>().GetDatabaseAsync();
            await database.ExecuteAsync("FLUSHALL");
            return new Rig(provider, database);
        }

        public async Task<string[]> AddUserAsync(string user, int sessions)
        {
            var index = provider.GetRequiredService<UserIndex>();
            var now = index.Now;
            var ids = new string[sessions];
            var entries = new SortedSetEntry[sessions];
            for (var i = 0; i < sessions; i++)
            {
                ids[i] = Guid.NewGuid().ToString();
                entries[i] = new SortedSetEntry(ids[i], now + 1_260_000);
                var key = index.SessionKey(ids[i]);
                _pending.Add(database.HashSetAsync(key,
                [
                    new("@v", 1), new("@c", now), new("@u", user), new("@s", now), new("@sa", "192.0.2.1"), new("@sb", "Mozilla/5.0"),
                    new("@na", "192.0.2.1"), new("@nb", "Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0"), new("name", user),
                ]));
                _pending.Add(database.KeyExpireAsync(key, TimeSpan.FromMinutes(20)));
                if (_pending.Count >= 5_000)
                {
                    await FlushAsync();
                }
            }

            _pending.Add(database.SortedSetAddAsync(index.UserKey(user), entries));
            _pending.Add(database.KeyExpireAsync(index.UserKey(user), TimeSpan.FromMinutes(21)));
            _pending.Add(index.NoteActivityAsync(user, TimeSpan.FromMinutes(20)));
            return ids;
        }

        public async Task FlushAsync()
        {
            await Task.WhenAll(_pending);
            _pending.Clear();
        }

        public async ValueTask DisposeAsync()
        {
            await database.ExecuteAsync("FLUSHALL");
            await provider.DisposeAsync();
        }
    }
}
