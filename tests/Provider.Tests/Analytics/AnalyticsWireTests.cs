using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Analytics;
using StackExchange.Redis;

namespace RedisSessions.Tests.Analytics;

/// <summary>What analytics costs a request, and what becomes of its records while Redis is away.</summary>
public sealed class AnalyticsWireTests(InProcessGarnet server) : ServerTest(server)
{
    [Fact]
    public async Task Tracking_costs_a_request_no_round_trip()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapGet("/track", (HttpContext context) => context.Session.Track("view"));
            },
            redis: proxy.Address,
            addOns: builder => builder.AddAnalytics(o => (o.FlushInterval, o.SweepInterval) = (TimeSpan.FromHours(1), TimeSpan.FromHours(1))));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/track");
        var before = proxy.Snapshot();
        await browser.GetAsync("/track");
        Assert.Equal(["HGET"], (proxy.Snapshot() - before).Commands);
    }

    [Fact]
    public async Task What_redis_does_not_take_is_dropped_counted_and_logged_and_nothing_throws()
    {
        RedisServer.SkipUnlessInstalled();
        using var redis = await RedisProcess.StartAsync();
        var site = await StartAsync(Pages.Map, redis: redis.Address, addOns: builder => builder.AddAnalytics());
        var analytics = site.Services.GetRequiredService<ISessionAnalytics>();
        await site.Sessions.CreateAsync();
        redis.Stop();
        await analytics.TrackAsync(Guid.NewGuid().ToString(), "lost");
        await site.Services.GetRequiredService<AnalyticsWriter>().FlushAsync();
        await Eventually.TrueAsync(() => site.Log.Ours.Any(entry => entry.Id.Name == "AnalyticsDropped"));
    }

    [Fact]
    public async Task A_connection_that_cannot_be_made_for_whatever_reason_does_not_end_the_application()
    {
        var clock = new FakeTimeProvider();
        var tries = 0;
        Fleet = new Fleet { Clock = clock };
        var site = await StartAsync(
            Pages.Map,
            options: o => (o.Configuration, o.ConnectionMultiplexerFactory) = (null, Fail),
            addOns: builder => builder.AddUserIndex().AddAnalytics());
        await site.Services.GetRequiredService<ISessionAnalytics>().TrackAsync(Guid.NewGuid().ToString(), "lost");
        await Eventually.TrueAsync(
            () =>
            {
                clock.Advance(TimeSpan.FromMinutes(5));
                return Volatile.Read(ref tries) > 6 && site.Log.Ours.Any(entry => entry.Id.Name == "AnalyticsDropped");
            },
            what: "the background services have tried again and again");
        Assert.False(site.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested);

        Task<IConnectionMultiplexer> Fail()
        {
            Interlocked.Increment(ref tries);
            throw new InvalidOperationException("no certificate");
        }
    }
}
