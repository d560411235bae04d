namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 23: what is reported is what happened, and nobody can drown it.</summary>
public sealed class SuspiciousActivityTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);

    private static DateOnly Today => DateOnly.FromDateTime(DateTime.UtcNow);

    /// <summary>The cookies were stolen from the owner's machine, browser included; only the network differs.</summary>
    [Fact]
    public async Task One_session_in_use_from_two_networks_at_once_is_an_impossible_pair()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var owner = From(site, "192.0.2.1");
        var id = await owner.GetAsync("/login/ada");
        await owner.GetAsync("/none");
        var thief = owner.Copy();
        (thief.Headers["User-Agent"], thief.Headers["X-Test-Address"]) = (Firefox, "198.51.100.1");
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("ada", await thief.GetAsync("/whoami"));
        clock.Advance(TimeSpan.FromSeconds(2));
        await owner.GetAsync("/none");
        var security = site.Services.GetRequiredService<ISessionSecurity>();
        await Eventually.TrueAsync(
            async () => (await security.DetectSuspiciousActivityAsync("ada")).Findings
                .Any(finding => finding.Reason == SuspiciousReason.ImpossiblePair && finding.SessionIds.Contains(id)),
            Soon,
            "the pair is found");
    }

    /// <summary>A phone that leaves the house changes its network once, and an hour later is no thief.</summary>
    [Fact]
    public async Task A_session_that_moved_long_ago_is_not_suspicious()
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var owner = From(site, "192.0.2.1");
        await owner.GetAsync("/login/ada");
        clock.Advance(TimeSpan.FromMinutes(10));
        owner.Headers["X-Test-Address"] = "198.51.100.1";
        await owner.GetAsync("/none");
        Assert.False((await site.Services.GetRequiredService<ISessionSecurity>().DetectSuspiciousActivityAsync("ada")).IsSuspicious);
    }

    /// <summary>By default ten seconds apart is two at once no more; and for an hour it is news.</summary>
    [Theory]
    [InlineData(9_999, 3_600_000, true)]
    [InlineData(10_000, 0, false)]
    [InlineData(9_999, 3_600_001, false)]
    public async Task A_pair_is_two_networks_within_the_window_and_is_told_of_for_as_long_as_sign_ins(int apart, int later, bool expected)
    {
        var clock = StopClock();
        var site = await StartAttackedAsync();
        var owner = From(site, "192.0.2.1");
        await owner.GetAsync("/remember/ada/1");
        clock.Advance(TimeSpan.FromMilliseconds(apart));
        owner.Headers["X-Test-Address"] = "198.51.100.1";
        await owner.GetAsync("/none");
        clock.Advance(TimeSpan.FromMilliseconds(later));
        var found = await site.Services.GetRequiredService<ISessionSecurity>().DetectSuspiciousActivityAsync("ada");
        Assert.Equal(expected, found.IsSuspicious);
    }

    /// <summary>Two sessions that were used just now.</summary>
    [Theory]
    [InlineData("198.51.100.1", 10, true)]
    [InlineData("192.0.2.2", 10, false)]
    [InlineData("", 10, false)]
    [InlineData("198.51.100.1", 0, false)]
    public async Task Two_sessions_at_once_are_an_impossible_pair_in_two_networks(string other, int window, bool expected)
    {
        StopClock();
        var site = await StartAttackedAsync(security: o => o.ImpossiblePairWindow = TimeSpan.FromSeconds(window));
        foreach (var address in new[] { "192.0.2.1", other })
        {
            // Longer than its life, so that it was used now, as far as can be told.
            Assert.NotNull(await site.Sessions.ExtendAsync(await From(site, address).GetAsync("/login/ada"), TimeSpan.FromHours(1)));
        }

        var found = await site.Services.GetRequiredService<ISessionSecurity>().DetectSuspiciousActivityAsync("ada");
        Assert.Equal(expected ? [SuspiciousReason.ImpossiblePair] : [], found.Findings.Select(finding => finding.Reason));
    }

    /// <summary>As many as an option says are not suspicious, and one more is.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public async Task What_is_suspicious_is_more_than_the_options_say(int fewer, bool expected)
    {
        var clock = StopClock(atSecond: true);
        var site = await StartAttackedAsync(security: o =>
            (o.SuspiciousNetworks, o.SuspiciousBrowsers, o.SuspiciousSignIns, o.ImpossiblePairWindow) = (1 + fewer, 1 + fewer, 1 + fewer, TimeSpan.Zero));
        await From(site, "192.0.2.1").GetAsync("/remember/ada/1");
        await From(site, "198.51.100.1", Chrome).GetAsync("/remember/ada/1");
        var security = site.Services.GetRequiredService<ISessionSecurity>();
        SuspiciousReason[] all = [SuspiciousReason.TooManyNetworks, SuspiciousReason.TooManyBrowsers, SuspiciousReason.TooManySignIns];
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(expected ? all : [], await ReasonsAsync());
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(expected ? all[..2] : [], await ReasonsAsync());

        async Task<IEnumerable<SuspiciousReason>> ReasonsAsync() =>
            (await security.DetectSuspiciousActivityAsync("ada")).Findings.Select(finding => finding.Reason);
    }

    private Task<Site> StartAnalyticsAsync() => StartAttackedAsync(
        addOns: builder => builder.AddUserIndex().AddSecurity().AddAnalytics(o => o.FlushInterval = TimeSpan.FromMilliseconds(20)));

    [Theory]
    [InlineData("created")]
    [InlineData("signed in")]
    [InlineData("signed out")]
    [InlineData("regenerated")]
    [InlineData("revoked")]
    [InlineData("rejected")]
    [InlineData("expired")]
    [InlineData("(other)")]
    public async Task An_applications_event_cannot_pass_for_one_of_the_librarys(string name)
    {
        var site = await StartAnalyticsAsync();
        var analytics = site.Services.GetRequiredService<ISessionAnalytics>();
        var id = NewSecret();
        try
        {
            await analytics.TrackAsync(id, name);
        }
        catch (ArgumentException)
        {
            // Refused by name: as good.
            return;
        }

        await analytics.TrackAsync(id, "marker");
        await Eventually.TrueAsync(async () => (await analytics.GetEventCountsAsync(Today)).ContainsKey("marker"), Soon, "the events are written");
        Assert.DoesNotContain(name, (await analytics.GetEventCountsAsync(Today)).Keys);
        Assert.DoesNotContain(await analytics.GetEventsAsync(id), e => e.Name == name);
    }

    [Fact]
    public async Task Five_hundred_junk_names_do_not_hide_what_really_happened()
    {
        var site = await StartAnalyticsAsync();
        var analytics = site.Services.GetRequiredService<ISessionAnalytics>();
        var id = NewSecret();
        for (var i = 0; i < 500; i++)
        {
            await analytics.TrackAsync(id, $"junk {i}");
        }

        await Eventually.TrueAsync(async () => (await analytics.GetEventCountsAsync(Today)).Values.Sum() >= 500, Soon, "the junk is written");
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/logout");
        await Eventually.TrueAsync(async () => (await analytics.GetEventCountsAsync(Today)).Values.Sum() >= 503, Soon, "the sign-in and the sign-out are written");
        var counts = await analytics.GetEventCountsAsync(Today);
        Assert.Equal(1, counts.GetValueOrDefault("created"));
        Assert.Equal(1, counts.GetValueOrDefault("signed in"));
        Assert.Equal(1, counts.GetValueOrDefault("signed out"));
    }
}
