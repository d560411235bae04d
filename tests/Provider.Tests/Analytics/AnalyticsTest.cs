using Microsoft.Extensions.Time.Testing;
using RedisSessions.Analytics;

namespace RedisSessions.Tests.Analytics;

/// <summary>A fleet whose day begins at eight, and what its hosts' timers would do at their moments.</summary>
public abstract class AnalyticsTest : ServerTest
{
    protected static readonly DateTimeOffset Morning = new(2026, 11, 24, 8, 0, 0, TimeSpan.Zero);
    protected static readonly DateOnly Today = new(2026, 11, 24);

    protected AnalyticsTest(RedisServer server)
        : base(server) => Fleet = new Fleet { Clock = Clock };

    protected FakeTimeProvider Clock { get; } = new(Morning);

    protected static ISessionAnalytics Analytics(Site site) => site.Services.GetRequiredService<ISessionAnalytics>();

    protected static Task FlushAsync(Site site) => site.Services.GetRequiredService<AnalyticsWriter>().FlushAsync();

    protected static Task SweepAsync(Site site) => site.Services.GetRequiredService<AnalyticsStore>().SweepAsync(CancellationToken.None);
}
