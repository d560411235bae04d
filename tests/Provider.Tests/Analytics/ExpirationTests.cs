using StackExchange.Redis;

namespace RedisSessions.Tests.Analytics;

/// <summary>Expiries that Redis itself tells of, as they happen; no sweep runs here before it is called.</summary>
public abstract class ExpirationTests(RedisServer server) : AnalyticsTest(server)
{
    private const int Sessions = 40;

    private Task<Site> StartHostAsync() => StartAsync(Pages.Map, addOns: builder => builder.AddAnalytics(o => o.SweepInterval = TimeSpan.FromDays(10)));

    [Fact]
    public async Task An_expiry_is_counted_once_when_it_happens_however_many_servers_hear_of_it()
    {
        var admin = await Server.AdminAsync();
        var masters = await Server.MastersAsync();
        foreach (var master in masters)
        {
            await master.ConfigSetAsync("notify-keyspace-events", "Ex");
        }

        var hosts = new[] { await StartHostAsync(), await StartHostAsync() };
        var database = admin.GetDatabase();

        // The subscriptions are made in the background, one at every master: until they are there, what expires is left to the sweep.
        foreach (var master in masters)
        {
            await Eventually.TrueAsync(
                async () => await master.SubscriptionSubscriberCountAsync(RedisChannel.KeyEvent(KeyNotificationType.Expired, 0)) >= hosts.Length,
                what: $"all servers listen to {master.EndPoint}");
        }

        var created = 0;
        var ids = new List<string>();
        for (var i = 0; i < Sessions; i++)
        {
            ids.Add(await CreateAsync());
        }

        await FlushAllAsync();
        Clock.Advance(TimeSpan.FromMinutes(10));
        foreach (var id in ids)
        {
            await ExpireAsync(id);
        }

        await Eventually.TrueAsync(
            async () =>
            {
                // A server that holds many keys is long in finding by itself which are over; asked for one it knows, and tells.
                await Task.WhenAll(ids.Select(id => database.KeyExistsAsync(KeyOf(id))));
                await FlushAllAsync();
                return await ExpiredAsync() >= Sessions;
            },
            what: "all are counted");
        var report = await Analytics(hosts[1]).GetDailyReportAsync(Today);
        Assert.Equal(TimeSpan.FromMinutes(10), report.AverageDuration);

        // What nobody heard of is found, and nothing is counted twice.
        Clock.Advance(TimeSpan.FromHours(1));
        await Task.WhenAll(hosts.Select(SweepAsync));
        await FlushAllAsync();
        Assert.Equal(created, await ExpiredAsync());
        Assert.Equal(0, (await Analytics(hosts[0]).GetMetricsAsync()).TotalSessions);

        async Task<string> CreateAsync()
        {
            var browser = hosts[created++ % 2].NewBrowser();
            await browser.GetAsync("/set/a/1");
            return await browser.GetAsync("/id");
        }

        // Not at once: what is over by the time the command runs is deleted by Redis, without an expiry.
        Task ExpireAsync(string id) => database.KeyExpireAsync(KeyOf(id), TimeSpan.FromMilliseconds(100));

        async Task FlushAllAsync()
        {
            foreach (var host in hosts)
            {
                await FlushAsync(host);
            }
        }

        async Task<long> ExpiredAsync() => (await Analytics(hosts[0]).GetDailyReportAsync(Today)).Expired;
    }
}

public sealed class ExpirationOnRedis(LocalRedis server) : ExpirationTests(server);

public sealed class ExpirationInContainer(ContainerRedis server) : ExpirationTests(server);

public sealed class ExpirationOnCluster(LocalCluster server) : ExpirationTests(server);
