namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 24: what <see cref="ISessionRepository.DestroyAsync"/> ends is an end for security events and statistics, once.</summary>
public abstract class EndedByIdTests(RedisServer server) : AttackTest(server)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);

    private Task<Site> StartWithAllAsync() => StartAttackedAsync(
        addOns: builder => builder.AddUserIndex().AddSecurity().AddAnalytics(o => o.FlushInterval = TimeSpan.FromMilliseconds(20)));

    [Fact]
    public async Task It_is_one_security_event_with_the_user_and_one_end_in_the_statistics()
    {
        var site = await StartWithAllAsync();
        var analytics = site.Services.GetRequiredService<ISessionAnalytics>();
        var today = DateOnly.FromDateTime(DateTime.UtcNow);
        var id = await site.NewBrowser().GetAsync("/login/ada");
        await Eventually.TrueAsync(async () => (await analytics.GetDailyReportAsync(today)).Created == 1, Soon, "its creation is counted");
        Events.Clear();
        var ended = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => site.Sessions.DestroyAsync(id)));
        Assert.Single(ended, true);
        Assert.Equal((id, "ada"), (Assert.Single(Events.All).SessionId, Events.All[0].UserId));
        Assert.Equal(SessionSecurityEventKind.Revoked, Events.All[0].Kind);
        await Eventually.TrueAsync(async () => (await analytics.GetDailyReportAsync(today)).Revoked == 1, Soon, "its end is counted");
        Assert.Equal(0, (await analytics.GetMetricsAsync()).TotalSessions);
    }

    [Fact]
    public async Task A_session_of_nobody_and_a_key_that_is_no_session_end_as_well()
    {
        var site = await StartWithAllAsync();
        var created = await site.Sessions.CreateAsync();
        Assert.True(await site.Sessions.DestroyAsync(created.Id));
        Assert.Null(Assert.Single(Events.All).UserId);
        Assert.False(await site.Sessions.DestroyAsync(created.Id));
        await (await DatabaseAsync()).StringSetAsync(KeyOf(created.Id), "no session");
        Assert.True(await site.Sessions.DestroyAsync(created.Id));
        Assert.False(await site.Sessions.ExistsAsync(created.Id));
    }
}

public sealed class EndedByIdOnGarnet(InProcessGarnet server) : EndedByIdTests(server);

public sealed class EndedByIdOnRedis(LocalRedis server) : EndedByIdTests(server);
