using System.Net;
using Microsoft.Extensions.Logging;
using RedisSessions.Analytics;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Analytics;

/// <summary>Figures that equal what happened, whichever server it happened on.</summary>
public abstract class AnalyticsTests(RedisServer server) : AnalyticsTest(server)
{
    protected Task<Site> StartHostAsync(Action<SessionAnalyticsOptions>? options = null, string? redis = null) => StartAsync(
        app =>
        {
            SignInSite.Map(app);
            app.MapGet("/track/{name}", (HttpContext context, string name) => context.Session.Track(name, $"data of {name}"));
        },
        redis: redis,
        services: services => services.AddAuthorization(),
        addOns: builder => builder.AddUserIndex().AddSecurity(o => (o.MaxCreationsPerMinute, o.UserAgentAction) = (0, BindingAction.Destroy)).AddAnalytics(options),
        afterSession: app => app.Use((context, next) =>
        {
            if (context.Request.Headers["X-User"].ToString() is { Length: > 0 } user)
            {
                context.User = SignInSite.PrincipalOf(user);
            }

            // As a dual-stack listener has it.
            context.Connection.RemoteIpAddress = IPAddress.Parse("192.0.2.1").MapToIPv6();
            return next(context);
        }),
        logLevel: LogLevel.Error);

    protected async Task RunDayAsync(int sessions, int users)
    {
        const string Firefox = "Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0";
        const string Chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/129.0.0.0 Safari/537.36";
        // Hours pass in no time here, and what a server's timer would do meanwhile is done below, at its moment.
        void Configure(SessionAnalyticsOptions o) => (o.QueueCapacity, o.SweepInterval) = (10 * sessions, TimeSpan.FromDays(10));
        var hosts = new[] { await StartHostAsync(Configure), await StartHostAsync(Configure), await StartHostAsync(Configure) };
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = 8 };
        var browsers = new Browser[sessions];
        await Parallel.ForEachAsync(Enumerable.Range(0, sessions), parallel, async (i, _) => browsers[i] = await SignInAsync(hosts[i % 3], i));
        foreach (var host in hosts)
        {
            await FlushAsync(host);
        }

        // One server is killed before it has written a few more. What it had queued is lost, and its gauge says how much: of
        // each a creation, a user, and two events.
        var lost = new Browser[sessions / 50];
        using (var queue = new InstrumentReader(hosts[2].Services, "redis_sessions.analytics.queue"))
        {
            await Parallel.ForEachAsync(Enumerable.Range(0, lost.Length), parallel, async (i, _) => lost[i] = await SignInAsync(hosts[2], i));
            Assert.Equal(4 * lost.Length, queue.Read());
        }

        await hosts[2].KillAsync();
        hosts[2] = await StartHostAsync(Configure);

        // Noon: a tenth signs out, a tenth is revoked, a tenth is stolen and so destroyed; a tenth expires unseen. Those whose
        // creation was lost sign out as well.
        Clock.Advance(TimeSpan.FromHours(4) - TimeSpan.FromSeconds(1));
        var tenth = sessions / 10;
        var api = hosts[0].Services.GetRequiredService<IUserSessions>();
        await Parallel.ForEachAsync(Enumerable.Range(0, 4 * tenth), parallel, async (i, _) =>
        {
            var browser = browsers[i];
            hosts[(i + 1) % 3].TakeOver(browser);
            switch (i / tenth)
            {
                case 0:
                    await browser.GetAsync("/destroy");
                    break;
                case 1:
                    await api.RevokeAsync($"user{i % users}", await browser.GetAsync("/id"));
                    break;
                case 2:
                    browser.Headers["User-Agent"] = "curl/8";
                    await browser.GetAsync("/none");
                    break;
                default:
                    // Its use is noted while nobody waits for that.
                    var key = KeyOf(await browser.GetAsync("/id"));
                    var database = await DatabaseAsync();
                    await Eventually.TrueAsync(async () => await database.HashGetAsync(key, "@h") == Clock.GetUtcNow().ToUnixTimeMilliseconds());
                    await database.KeyDeleteAsync(key);
                    break;
            }
        });
        await Parallel.ForEachAsync(Enumerable.Range(0, lost.Length), parallel, async (i, _) =>
        {
            hosts[i % 3].TakeOver(lost[i]);
            await lost[i].GetAsync("/destroy");
        });

        // Another is replaced; it flushes as it stops, and loses nothing. All three then look for what has expired, at once.
        await hosts[1].DisposeAsync();
        hosts[1] = await StartHostAsync(Configure);
        await FlushAsync(hosts[0]);
        await FlushAsync(hosts[2]);
        Clock.Advance(TimeSpan.FromMinutes(30));
        await Task.WhenAll(hosts.Select(SweepAsync));

        var report = await Analytics(hosts[1]).GetDailyReportAsync(Today);
        Assert.Equal((sessions, tenth + lost.Length, tenth, tenth, tenth), (report.Created, report.SignedOut, report.Revoked, report.Rejected, report.Expired));
        Assert.InRange(report.UniqueUsers, users * 0.98, users * 1.02);
        Assert.Equal(report.CreatedChange, sessions);
        Assert.Equal(sessions, report.PeakConcurrentByHour[8]);
        Assert.Equal(sessions - (4 * tenth), report.PeakConcurrentByHour[12]);
        Assert.Equal([new("Firefox on Windows", sessions / 5 * 3), new("Chrome on Linux", sessions / 5 * 2)], report.TopUserAgents);
        Assert.Equal([new("192.0.2.1", sessions)], report.TopAddresses);

        // All were used at noon; those that expired lived on for the idle timeout.
        var noon = TimeSpan.FromHours(4) - TimeSpan.FromSeconds(1);
        var average = noon + (TimeSpan.FromMinutes(20) * tenth / ((4 * tenth) + lost.Length));
        Assert.InRange(report.AverageDuration, average - TimeSpan.FromMilliseconds(1), average);
        var events = await Analytics(hosts[1]).GetEventCountsAsync(Today);
        Assert.Equal((sessions, sessions), (events["created"], events["signed in"]));
        Assert.Equal((tenth + lost.Length, tenth, tenth, tenth), (events["signed out"], events["revoked"], events["rejected"], events["expired"]));

        var now = await Analytics(hosts[0]).GetMetricsAsync();
        Assert.Equal(sessions - (4 * tenth), now.TotalSessions);
        Assert.InRange(now.SessionsPerUser, 0.97 * sessions / users, 1.03 * sessions / users);
        var next = await Analytics(hosts[0]).GetDailyReportAsync(Today.AddDays(1));
        Assert.Equal((0, -sessions), (next.Created, next.CreatedChange));
        Assert.Equal([0, sessions, 0], (await Analytics(hosts[0]).GetRangeAsync(Today.AddDays(-1), Today.AddDays(1))).Select(day => day.Created));

        async Task<Browser> SignInAsync(Site host, int i)
        {
            var browser = host.NewBrowser();
            browser.Headers["X-User"] = $"user{i % users}";
            browser.Headers["User-Agent"] = i % 5 < 3 ? Firefox : Chrome;
            await browser.GetAsync("/set/a/1");
            return browser;
        }
    }

    [Fact]
    public Task The_report_of_a_scripted_day_equals_the_script() => RunDayAsync(sessions: 1_000, users: 200);

    [Fact]
    public async Task Events_are_kept_newest_first_counted_by_name_and_bounded()
    {
        var site = await StartHostAsync(o => (o.EventsPerSession, o.MaxEventNamesPerDay) = (3, 4));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        foreach (var name in new[] { "view", "add", "view", "pay" })
        {
            Clock.Advance(TimeSpan.FromSeconds(0.5));
            await browser.GetAsync($"/track/{name}");
        }

        await FlushAsync(site);
        var events = await Analytics(site).GetEventsAsync(id);
        Assert.Equal(["pay", "view", "add"], events.Select(e => e.Name));
        Assert.Equal("data of pay", events[0].Data);
        Assert.Equal(Morning.AddSeconds(2), events[0].At);
        Assert.Equal(
            [new("add", 1), new("created", 1), new("pay", 1), new("view", 2)],
            (await Analytics(site).GetEventCountsAsync(Today)).OrderBy(pair => pair.Key, StringComparer.Ordinal));

        await Analytics(site).TrackAsync(id, "one too many", null);
        await FlushAsync(site);
        Assert.Equal(1, (await Analytics(site).GetEventCountsAsync(Today))["(other)"]);
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync($"{Fleet.Prefix}events:{{{id}}}"))!.Value, TimeSpan.FromHours(23), TimeSpan.FromDays(1));
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync($"{Fleet.Prefix}stats:20261124"))!.Value, TimeSpan.FromDays(34), TimeSpan.FromDays(35));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Analytics(site).TrackAsync(id, "", null));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Analytics(site).TrackAsync(id, new string('n', 65), null));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Analytics(site).TrackAsync(id, "n", new string('d', 1_025)));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Analytics(site).TrackAsync("not an id", "n", null));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Analytics(site).GetRangeAsync(Today, Today.AddDays(-1)));
    }

    [Fact]
    public async Task A_session_that_got_a_new_id_is_still_one_session_and_one_in_use_is_not_taken_for_expired()
    {
        var site = await StartHostAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var formerId = await browser.GetAsync("/id");
        await browser.GetAsync("/track/view");
        await browser.GetAsync("/regenerate");
        await browser.GetAsync("/regenerate");
        var id = await browser.GetAsync("/id");
        await FlushAsync(site);
        Assert.Equal(1, (await Analytics(site).GetMetricsAsync()).TotalSessions);
        Assert.Equal(["regenerated", "regenerated", "view", "created"], (await Analytics(site).GetEventsAsync(id)).Select(e => e.Name));
        Assert.Empty(await Analytics(site).GetEventsAsync(formerId));

        // Used since it was entered, on a server whose record was lost: its hash is there, whatever the entry says.
        Clock.Advance(TimeSpan.FromMinutes(25));
        await SweepAsync(site);
        Assert.Equal(1, (await Analytics(site).GetMetricsAsync()).TotalSessions);
        Assert.Equal(0, (await Analytics(site).GetDailyReportAsync(Today)).Expired);

        await browser.GetAsync("/destroy");
        await FlushAsync(site);
        Assert.Equal("signed out", (await Analytics(site).GetEventsAsync(id))[0].Name);
    }

    [Fact]
    public async Task An_end_that_is_written_before_the_creation_is_counted_and_one_written_twice_is_counted_once()
    {
        var (first, second) = (await StartHostAsync(), await StartHostAsync());
        var browser = first.NewBrowser();
        browser.Headers["X-User"] = "ann";
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        Clock.Advance(TimeSpan.FromSeconds(0.25));
        await second.Services.GetRequiredService<IUserSessions>().RevokeAsync("ann", id);
        await FlushAsync(second);
        Assert.Equal(0, (await Analytics(first).GetDailyReportAsync(Today)).Revoked);

        await FlushAsync(first);
        await SweepAsync(first);
        var report = await Analytics(first).GetDailyReportAsync(Today);
        Assert.Equal((1, 1, 0), (report.Created, report.Revoked, report.Expired));
        Assert.Equal(TimeSpan.FromSeconds(0.25), report.AverageDuration);
        Assert.Equal(0, (await Analytics(first).GetMetricsAsync()).TotalSessions);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_browser_that_comes_back_after_its_session_expired_begins_another(bool swept)
    {
        var site = await StartHostAsync(o => o.SweepInterval = TimeSpan.FromDays(10));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await FlushAsync(site);
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id));
        Clock.Advance(TimeSpan.FromMinutes(22));
        if (swept)
        {
            await SweepAsync(site);
        }

        Assert.Equal(0, (await Analytics(site).GetMetricsAsync()).TotalSessions);

        // Its cookie is still good, so the new session has the old one's id.
        await browser.GetAsync("/set/a/2");
        Assert.Equal(id, await browser.GetAsync("/id"));
        await FlushAsync(site);
        Assert.Equal(1, (await Analytics(site).GetMetricsAsync()).TotalSessions);
        Clock.Advance(TimeSpan.FromSeconds(0.5));
        await browser.GetAsync("/destroy");
        await FlushAsync(site);
        var report = await Analytics(site).GetDailyReportAsync(Today);
        Assert.Equal((2, 1, 1), (report.Created, report.Expired, report.SignedOut));
        Assert.InRange(report.AverageDuration, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(10.1));
        Assert.Equal(0, (await Analytics(site).GetMetricsAsync()).TotalSessions);
    }

    [Fact]
    public async Task News_of_an_expiry_that_come_late_do_not_end_the_session_that_has_the_id_now()
    {
        var (first, second) = (await StartHostAsync(), await StartHostAsync());
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/id");
        await FlushAsync(first);
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(id));
        second.Services.GetRequiredService<AnalyticsWriter>().Add(new AnalyticsRecord(RecordKind.Ended, Clock.GetUtcNow().ToUnixTimeMilliseconds(), Guid.Parse(id), Text: EndReasons.Expired));
        Clock.Advance(TimeSpan.FromSeconds(0.5));
        await browser.GetAsync("/set/a/2");
        await FlushAsync(first);
        await FlushAsync(second);
        Assert.Equal(1, (await Analytics(first).GetMetricsAsync()).TotalSessions);
        Assert.Equal(1, (await Analytics(first).GetDailyReportAsync(Today)).Expired);
    }

    [Fact]
    public async Task A_server_whose_clock_is_hours_ahead_leaves_nothing_that_a_sweep_cannot_clear()
    {
        var site = await StartHostAsync(o => o.SweepInterval = TimeSpan.FromDays(10));
        var now = Clock.GetUtcNow().ToUnixTimeMilliseconds();
        var created = now + (long)TimeSpan.FromHours(2).TotalMilliseconds;
        site.Services.GetRequiredService<AnalyticsWriter>().Add(new AnalyticsRecord(RecordKind.Used, now, Guid.NewGuid(), created, 1_200_000));
        await FlushAsync(site);
        for (var minutes = 0; minutes < 150; minutes += 25)
        {
            Clock.Advance(TimeSpan.FromMinutes(25));
            await SweepAsync(site).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }

        Assert.Equal(1, (await Analytics(site).GetDailyReportAsync(Today)).Expired);
        Assert.Equal(0, (await Analytics(site).GetMetricsAsync()).TotalSessions);
    }

    [Fact]
    public async Task What_does_not_fit_into_the_queue_is_dropped_and_counted()
    {
        var site = await StartHostAsync(o => o.QueueCapacity = 10);
        using var dropped = new InstrumentReader(site.Services, "redis_sessions.analytics.dropped");
        using var queue = new InstrumentReader(site.Services, "redis_sessions.analytics.queue");
        var id = Guid.NewGuid().ToString();
        for (var i = 0; i < 25; i++)
        {
            await Analytics(site).TrackAsync(id, "tick");
        }

        Assert.Equal(15, dropped.Read());
        Assert.Equal(10, queue.Read());
        await FlushAsync(site);
        Assert.Equal(0, queue.Read());
        Assert.Equal(10, (await Analytics(site).GetEventCountsAsync(Today))["tick"]);
    }
}

[Collection(Alone.Name)]
public sealed class AnalyticsOnGarnet(InProcessGarnet server) : AnalyticsTests(server)
{
    [Fact]
    public Task The_report_of_a_long_day_equals_the_script() => RunDayAsync(sessions: 50_000, users: 10_000);
}

public sealed class AnalyticsOnRedis(LocalRedis server) : AnalyticsTests(server);

public sealed class AnalyticsOnCluster(LocalCluster server) : AnalyticsTests(server);
