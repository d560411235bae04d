namespace RedisSessions.Tests.Attacks;

/// <summary>Finding 24: a session that an administrator ended through <see cref="ISessionRepository"/> has ended for everybody.</summary>
public sealed class RepositoryTests(InProcessGarnet server) : AttackTest(server)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);

    private Task<Site> StartWithAllAsync() => StartAttackedAsync(
        addOns: builder => builder.AddUserIndex().AddSecurity().AddAnalytics(o => o.FlushInterval = TimeSpan.FromMilliseconds(20)));

    [Fact]
    public async Task Destroying_a_session_by_its_id_takes_it_out_of_its_users_index()
    {
        var site = await StartWithAllAsync();
        Assert.True(await site.Sessions.DestroyAsync(await site.NewBrowser().GetAsync("/login/ada")));
        await Eventually.TrueAsync(async () => await Users(site).CountAsync("ada") == 0, Soon, "the entry is gone");
    }

    [Fact]
    public async Task Destroying_a_session_by_its_id_is_a_security_event_with_its_user()
    {
        var site = await StartWithAllAsync();
        var id = await site.NewBrowser().GetAsync("/login/ada");
        Events.Clear();
        await site.Sessions.DestroyAsync(id);
        await Eventually.TrueAsync(() => Events.All.Any(e => e.SessionId == id && e.UserId == "ada"), Soon, "it is reported");
    }

    [Fact]
    public async Task Destroying_a_session_by_its_id_is_counted_as_an_end()
    {
        var site = await StartWithAllAsync();
        var analytics = site.Services.GetRequiredService<ISessionAnalytics>();
        var today = DateOnly.FromDateTime(DateTime.UtcNow);
        var id = await site.NewBrowser().GetAsync("/login/ada");
        await Eventually.TrueAsync(async () => (await analytics.GetDailyReportAsync(today)).Created == 1, Soon, "its creation is counted");
        await site.Sessions.DestroyAsync(id);
        await Eventually.TrueAsync(
            async () => await analytics.GetDailyReportAsync(today) is var report && report.SignedOut + report.Revoked + report.Expired + report.Rejected == 1,
            Soon,
            "its end is counted");
        Assert.Equal(0, (await analytics.GetMetricsAsync()).TotalSessions);
    }

    /// <summary>Safe without a line of the application's.</summary>
    [Fact]
    public async Task Over_https_the_session_cookie_is_Secure_and_HttpOnly_with_AddSecurity()
    {
        var site = await StartAttackedAsync();
        using var client = new HttpClient(site.Server.CreateHandler()) { BaseAddress = new Uri("https://localhost") };
        using var response = await client.GetAsync(new Uri("/set/a/1", UriKind.Relative));
        var cookie = Assert.Single(response.Headers.GetValues("Set-Cookie"));
        Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>What the application says about its cookie, it gets.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_application_that_wants_a_cookie_over_http_gets_it(bool saidFirst)
    {
        static void Ask(IServiceCollection services) => services.AddSession(o => o.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
        var site = await StartAttackedAsync(
            services: services =>
            {
                CookieSite.AddServices(services);
                if (saidFirst)
                {
                    Ask(services);
                }
            },
            addOns: builder =>
            {
                builder.AddUserIndex().AddSecurity();
                if (!saidFirst)
                {
                    Ask(builder.Services);
                }
            });
        using var client = new HttpClient(site.Server.CreateHandler()) { BaseAddress = new Uri("http://localhost") };
        using var response = await client.GetAsync(new Uri("/set/a/1", UriKind.Relative));
        Assert.DoesNotContain("; secure", Assert.Single(response.Headers.GetValues("Set-Cookie")), StringComparison.OrdinalIgnoreCase);
    }
}
