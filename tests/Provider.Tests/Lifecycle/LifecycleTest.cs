using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Lifecycle;
using RedisSessions.Tests.Attacks;
using StackExchange.Redis;

namespace RedisSessions.Tests.Lifecycle;

/// <summary>A fleet of two whose time moves only when the test moves it, and the diary that its application keeps of ends.</summary>
public abstract class LifecycleTest : ServerTest
{
    protected static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);

    protected LifecycleTest(RedisServer server)
        : base(server) => Fleet = new Fleet { Clock = Clock };

    protected FakeTimeProvider Clock { get; } = new(DateTimeOffset.UtcNow);

    protected Diary Diary { get; } = new();

    protected async Task<(Site First, Site Second)> StartTwoAsync(
        Action<SessionLifecycleOptions>? options = null, Action<RedisSessionBuilder>? addOns = null, Action<WebApplication>? map = null) =>
        (await StartOneAsync(options, addOns, map), await StartOneAsync(options, addOns, map));

    protected Task<Site> StartOneAsync(
        Action<SessionLifecycleOptions>? options = null, Action<RedisSessionBuilder>? addOns = null, Action<WebApplication>? map = null, string? redis = null) => StartAsync(
            app =>
            {
                CookieSite.Map(app);
                map?.Invoke(app);
            },
            redis: redis,
            services: services =>
            {
                CookieSite.AddServices(services);
                services.AddSingleton(Diary);
            },
            addOns: builder =>
            {
                builder.AddLifecycle<DiaryLifecycle>(options);
                addOns?.Invoke(builder);
            },
            afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    protected static Task LookAsync(Site site) => site.Services.GetRequiredService<LifecycleWatcher>().LookAsync(CancellationToken.None);

    /// <summary>Waits until so many ends were told; and then nothing makes it more.</summary>
    protected async Task<IReadOnlyList<Entry>> ToldAsync(int count, params Site[] sites)
    {
        await Eventually.TrueAsync(
            async () =>
            {
                foreach (var site in sites)
                {
                    await LookAsync(site);
                }

                return Diary.Entries.Count >= count;
            },
            what: $"{count} ends are told");
        await NotedAsync(await DatabaseAsync(), Fleet, Diary);
        await NothingMoreAsync(count, sites);
        return Diary.Entries;
    }

    /// <summary>Until it is noted that they were told, a clock that leaps is a server that stalls.</summary>
    internal static Task NotedAsync(IDatabase database, Fleet fleet, Diary diary) => Eventually.TrueAsync(
        async () =>
        {
            foreach (var entry in diary.Entries)
            {
                Assert.True(SessionLife.TryParse(entry.Session.EventId, out var life));
                if (await database.KeyExistsAsync($"{fleet.Prefix}watch:{{{life.Shard}}}:{life}"))
                {
                    return false;
                }
            }

            return true;
        },
        what: "it is noted that they were told");

    protected async Task NothingMoreAsync(int count, params Site[] sites)
    {
        for (var i = 0; i < 2; i++)
        {
            await Task.WhenAll(sites.Select(LookAsync));
            Clock.Advance(TimeSpan.FromMinutes(2));
        }

        await Task.WhenAll(sites.Select(LookAsync));
        Assert.Equal(count, Diary.Entries.Count);
    }

    /// <summary>What Redis does when a session's time is over, whatever the test's clock says.</summary>
    protected async Task ExpireAsync(string id) => Assert.True(await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id)));

    protected async Task<List<RedisKey>> KeysAsync(string pattern)
    {
        var keys = new List<RedisKey>();
        foreach (var master in await Server.MastersAsync())
        {
            keys.AddRange(master.Keys(pattern: Fleet.Prefix + pattern));
        }

        return keys;
    }
}

/// <summary>What the application was told.</summary>
public sealed class Diary
{
    private readonly ConcurrentQueue<Entry> _entries = new();

    public IReadOnlyList<Entry> Entries => [.. _entries];

    /// <summary>Runs in place of success, before anything is written.</summary>
    public Func<Entry, CancellationToken, Task>? Before { get; set; }

    public async Task AddAsync(Entry entry, CancellationToken cancellationToken)
    {
        if (Before is { } before)
        {
            await before(entry, cancellationToken);
        }

        _entries.Enqueue(entry);
    }
}

public sealed record Entry(SessionEndReason Reason, string? UserId, EndedSessionMetadata Session);

internal sealed class DiaryLifecycle(Diary diary) : ISessionLifecycle
{
    public Task EndedAsync(SessionEndReason reason, string? userId, EndedSessionMetadata metadata, CancellationToken cancellationToken) =>
        diary.AddAsync(new Entry(reason, userId, metadata), cancellationToken);
}
