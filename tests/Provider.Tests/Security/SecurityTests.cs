using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Security;

/// <summary>Attacks, each of which must fail to get in. docs/security.md names them by requirement.</summary>
public abstract class SecurityTests(RedisServer server) : ServerTest(server)
{
    private const string Firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
    private const string NewerFirefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0";
    private const string Chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";

    private readonly Sink _events = new();

    protected Task<Site> StartSecureAsync(Action<SessionSecurityOptions>? options = null, Action<WebApplication>? map = null, Action<RedisSessionBuilder>? more = null, LogLevel logLevel = LogLevel.Trace) => StartAsync(
        app =>
        {
            SignInSite.Map(app);
            app.MapGet("/validate", async (HttpContext context, ISessionSecurity security) => (await security.ValidateAsync(context)).ToString());
            map?.Invoke(app);
        },
        services: services =>
        {
            SignInSite.AddServices(services);
            services.AddSingleton<ISessionSecurityEvents>(_events);
        },
        addOns: builder =>
        {
            builder.AddUserIndex().AddSecurity(options);
            more?.Invoke(builder);
        },
        beforeSession: app => app.Use((context, next) =>
        {
            if (context.Request.Headers["X-Test-Address"].ToString() is { Length: > 0 } address)
            {
                context.Connection.RemoteIpAddress = IPAddress.Parse(address);
            }

            return next(context);
        }),
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization(),
        logLevel: logLevel);

    protected static Browser From(Site site, string address, string agent = Firefox)
    {
        var browser = site.NewBrowser();
        browser.Headers["X-Test-Address"] = address;
        browser.Headers["User-Agent"] = agent;
        return browser;
    }

    private static Browser Stolen(Browser victim, string address, string agent)
    {
        var thief = victim.Copy();
        thief.Headers["X-Test-Address"] = address;
        thief.Headers["User-Agent"] = agent;
        return thief;
    }

    [Fact]
    public async Task A_stolen_cookie_in_another_browser_sees_an_empty_session_and_the_owner_notices_nothing()
    {
        var site = await StartSecureAsync();
        var victim = From(site, "192.0.2.1");
        await victim.GetAsync("/login/ada");
        await victim.GetAsync("/set/cart/tea");
        var thief = Stolen(victim, "192.0.2.1", Chrome);
        Assert.Equal("", await thief.GetAsync("/get/cart"));
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Equal("ada", await victim.GetAsync("/whoami"));
        Assert.Equal("tea", await victim.GetAsync("/get/cart"));
        var rejected = _events.All.First(e => e.Kind == SessionSecurityEventKind.Rejected);
        Assert.Equal(("ada", "user agent"), (rejected.UserId, rejected.Detail));

        // What the thief sets begins a session of the thief's own.
        var another = Stolen(victim, "192.0.2.1", Chrome);
        await another.GetAsync("/set/mine/1");
        Assert.Equal("mine", await another.GetAsync("/keys"));
        Assert.Equal("cart", await victim.GetAsync("/keys"));
    }

    [Fact]
    public async Task A_browser_update_signs_nobody_out_by_family_but_does_by_exact_comparison()
    {
        foreach (var (binding, expected) in new[] { (UserAgentBinding.Family, "1"), (UserAgentBinding.Exact, ""), (UserAgentBinding.Off, "1") })
        {
            var site = await StartSecureAsync(o => o.UserAgent = binding);
            var browser = From(site, "192.0.2.1");
            await browser.GetAsync("/set/a/1");
            browser.Headers["User-Agent"] = NewerFirefox;
            Assert.Equal(expected, await browser.GetAsync("/get/a"));
        }
    }

    [Theory]
    [InlineData(AddressBinding.Off, "198.51.100.1", true)]
    [InlineData(AddressBinding.Network, "192.0.2.99", true)]
    [InlineData(AddressBinding.Network, "192.0.3.1", false)]
    [InlineData(AddressBinding.Network, "::ffff:192.0.2.7", true)]
    [InlineData(AddressBinding.Exact, "192.0.2.2", false)]
    [InlineData(AddressBinding.Exact, "192.0.2.1", true)]
    public async Task A_session_is_bound_to_its_address_or_network(AddressBinding binding, string other, bool same)
    {
        var site = await StartSecureAsync(o => o.Address = binding);
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/set/a/1");
        var moved = Stolen(browser, other, Firefox);
        moved.Headers["X-Forwarded-For"] = "192.0.2.1";
        Assert.Equal(same ? "1" : "", await moved.GetAsync("/get/a"));
        Assert.Equal("1", await browser.GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_session_is_bound_to_an_ipv6_network_of_64_bits()
    {
        var site = await StartSecureAsync(o => o.Address = AddressBinding.Network);
        var browser = From(site, "2001:db8:1:2::1");
        await browser.GetAsync("/set/a/1");
        Assert.Equal("1", await Stolen(browser, "2001:db8:1:2:ffff::9", Firefox).GetAsync("/get/a"));
        Assert.Equal("", await Stolen(browser, "2001:db8:1:3::1", Firefox).GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_fingerprint_mismatch_can_destroy_the_session_for_both()
    {
        var site = await StartSecureAsync(o => (o.Fingerprint, o.FingerprintAction, o.UserAgent) = (true, BindingAction.Destroy, UserAgentBinding.Off));
        var victim = From(site, "192.0.2.1");
        victim.Headers["Accept-Language"] = "de";
        var id = await victim.GetAsync("/login/ada");
        victim.Headers["Accept"] = "image/png";
        Assert.Equal("ada", await victim.GetAsync("/whoami"));
        var thief = Stolen(victim, "192.0.2.1", Firefox);
        thief.Headers["Accept-Language"] = "fr";
        Assert.Equal("", await thief.GetAsync("/whoami"));
        await Eventually.TrueAsync(async () => !await site.Sessions.ExistsAsync(id));
        Assert.Equal("", await victim.GetAsync("/whoami"));
        Assert.Contains(_events.All, e => e.Kind == SessionSecurityEventKind.DestroyedByValidation && e.SessionId == id);
    }

    /// <summary>Whichever trait is looked at.</summary>
    [Theory]
    [InlineData("address")]
    [InlineData("user agent")]
    [InlineData("fingerprint")]
    public async Task A_session_from_before_is_bound_by_its_next_change_and_never_anew(string trait)
    {
        var before = await StartAsync(SignInSite.Map, services: SignInSite.AddServices);
        var owner = From(before, "192.0.2.1");
        await owner.GetAsync("/set/a/1");
        var site = await StartSecureAsync(o =>
        {
            o.Address = trait == "address" ? AddressBinding.Exact : AddressBinding.Off;
            o.UserAgent = trait == "user agent" ? UserAgentBinding.Family : UserAgentBinding.Off;
            o.Fingerprint = trait == "fingerprint";
            (o.AddressAction, o.UserAgentAction, o.FingerprintAction) = (BindingAction.Log, BindingAction.Log, BindingAction.Log);
        });
        site.TakeOver(owner);
        var stranger = Stolen(owner, "198.51.100.1", Chrome);
        Assert.Equal("1", await stranger.GetAsync("/get/a"));
        Assert.Empty(Mismatches());
        await owner.GetAsync("/set/b/2");
        if (trait != "address")
        {
            // A digest, of 128 bits.
            Assert.Matches("^[0-9A-F]{32}$", await (await DatabaseAsync()).HashGetAsync(KeyOf(await owner.GetAsync("/id")), trait == "fingerprint" ? "@bf" : "@bu"));
        }

        await stranger.GetAsync("/set/c/3");
        Assert.Equal([trait], Mismatches());
        Assert.Equal("3", await owner.GetAsync("/get/c"));
        Assert.Equal([trait], Mismatches());
        Assert.Equal("3", await stranger.GetAsync("/get/c"));
        Assert.Equal([trait, trait], Mismatches());

        // Under another id it is the browser's that has learnt that.
        await stranger.GetAsync("/regenerate");
        Assert.Equal([trait, trait, trait], Mismatches());
        Assert.Equal("3", await stranger.GetAsync("/get/c"));
        Assert.Equal([trait, trait, trait], Mismatches());

        string?[] Mismatches() => [.. _events.All.Where(e => e.Kind == SessionSecurityEventKind.Mismatch).Select(e => e.Detail)];
    }

    /// <summary>Whatever two headers say, none of it passes for a third.</summary>
    [Fact]
    public async Task A_fingerprint_tells_headers_apart()
    {
        var site = await StartSecureAsync(o => (o.Fingerprint, o.UserAgent) = (true, UserAgentBinding.Off));
        var owner = From(site, "192.0.2.1");
        (owner.Headers["Accept-Language"], owner.Headers["Accept-Encoding"]) = ("deAccept-Encoding:br", "gzip");
        await owner.GetAsync("/set/a/1");
        Assert.Equal("1", await owner.GetAsync("/get/a"));
        var other = Stolen(owner, "192.0.2.1", Firefox);
        (other.Headers["Accept-Language"], other.Headers["Accept-Encoding"]) = ("de", "brAccept-Encoding:gzip");
        Assert.Equal("", await other.GetAsync("/get/a"));
    }

    [Fact]
    public async Task A_mismatch_may_only_be_reported_or_be_overruled()
    {
        var site = await StartSecureAsync(o => o.UserAgentAction = BindingAction.Log);
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/set/a/1");
        var other = Stolen(browser, "192.0.2.1", Chrome);
        Assert.Equal("1", await other.GetAsync("/get/a"));
        Assert.Contains(_events.All, e => e.Kind == SessionSecurityEventKind.Mismatch);

        var asked = 0;
        var lenient = await StartSecureAsync(o => o.OnMismatch = mismatch =>
        {
            asked++;
            return mismatch.Context.Request.Headers["X-Test-Address"] == "192.0.2.77" ? null : mismatch.Action;
        });
        lenient.TakeOver(other);
        Assert.Equal("", await other.GetAsync("/get/a"));
        var trusted = Stolen(browser, "192.0.2.77", Chrome);
        lenient.TakeOver(trusted);
        Assert.Equal("1", await trusted.GetAsync("/get/a"));
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task Validation_answers_explicitly_and_as_middleware_with_401_or_a_redirect()
    {
        var site = await StartSecureAsync();
        var browser = From(site, "192.0.2.1");
        Assert.Contains("IsValid = True", await browser.GetAsync("/validate"), StringComparison.Ordinal);
        await browser.GetAsync("/set/a/1");
        Assert.Contains("IsValid = True", await browser.GetAsync("/validate"), StringComparison.Ordinal);
        Assert.Contains("Reason = user agent", await Stolen(browser, "192.0.2.1", Chrome).GetAsync("/validate"), StringComparison.Ordinal);

        foreach (var (redirect, status) in new[] { (null, HttpStatusCode.Unauthorized), ("/sorry", HttpStatusCode.Redirect) })
        {
            var strict = await StartAsync(
                app =>
                {
                    Infrastructure.Pages.Map(app);
                    app.MapGet("/sorry", () => "sorry");
                },
                addOns: builder => builder.AddSecurity(),
                afterSession: app => app.UseSessionValidation(redirect));
            var thief = Stolen(browser, "192.0.2.1", Chrome);
            strict.TakeOver(thief);
            using var response = await thief.SendAsync(HttpMethod.Get, "/get/a");
            Assert.Equal(status, response.StatusCode);
            var owner = browser.Copy();
            owner.Headers["User-Agent"] = Firefox;
            strict.TakeOver(owner);
            Assert.Equal("1", await owner.GetAsync("/get/a"));
        }
    }

    [Fact]
    public async Task Timeouts_may_differ_by_user_and_the_shorter_wins()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSecureAsync(o => o.TimeoutsOf = user => user == "admin" ? new UserTimeouts(TimeSpan.FromMinutes(5), TimeSpan.FromHours(1)) : new UserTimeouts(TimeSpan.FromDays(9), null));
        var admin = From(site, "192.0.2.1");
        var id = await admin.GetAsync("/login/admin");
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(id))!.Value, TimeSpan.FromMinutes(5.2), TimeSpan.FromMinutes(5.25));
        clock.Advance(TimeSpan.FromMinutes(61));
        Assert.Equal("", await admin.GetAsync("/whoami"));

        var ada = From(site, "192.0.2.1");
        var adas = await ada.GetAsync("/login/ada");
        Assert.InRange((await site.Sessions.GetTimeToLiveAsync(adas))!.Value, TimeSpan.FromMinutes(20.9), TimeSpan.FromMinutes(21));
    }

    [Fact]
    public async Task A_sensitive_page_asks_for_a_recent_sign_in()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSecureAsync(map: app => app.MapGet("/transfer", [RequireRecentSignIn(5)] () => "sent"));
        var browser = From(site, "192.0.2.1");
        using (var anonymous = await browser.SendAsync(HttpMethod.Get, "/transfer"))
        {
            Assert.Equal(HttpStatusCode.Redirect, anonymous.StatusCode);
        }

        await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        clock.Advance(TimeSpan.FromMinutes(6));
        using (var late = await browser.SendAsync(HttpMethod.Get, "/transfer"))
        {
            Assert.StartsWith("/Account/Login", late.Headers.Location!.PathAndQuery, StringComparison.Ordinal);
        }

        await browser.GetAsync("/login/ada");
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_password_change_gives_a_new_id_and_ends_other_sessions_by_option(bool endOthers)
    {
        var site = await StartSecureAsync(
            o => o.EndOtherSessionsOnCredentialChange = endOthers,
            app => app.MapGet("/password", async (HttpContext context, ISessionSecurity security) => $"{await security.CredentialsChangedAsync(context)}"));
        var here = From(site, "192.0.2.1");
        var there = From(site, "192.0.2.2");
        var id = await here.GetAsync("/login/ada");
        await there.GetAsync("/login/ada");
        Assert.Equal(endOthers ? "1" : "0", await here.GetAsync("/password"));
        Assert.NotEqual(id, await here.GetAsync("/id"));
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        Assert.Equal(endOthers ? "" : "ada", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Bounds_on_fields_are_refused_at_Set_by_name_and_nothing_is_half_written()
    {
        var site = await StartSecureAsync(o => (o.MaxFieldCount, o.MaxFieldSize, o.MaxSessionSize) = (3, 100, 250), app => app.MapGet("/fill/{key}/{bytes:int}", (HttpContext context, string key, int bytes) =>
        {
            try
            {
                context.Session.Set(key, new byte[bytes]);
                return "set";
            }
            catch (InvalidOperationException exception)
            {
                return exception.Message;
            }
        }));
        var browser = From(site, "192.0.2.1");
        Assert.Equal("set", await browser.GetAsync("/fill/a/100"));
        Assert.Contains("MaxFieldSize", await browser.GetAsync("/fill/a/101"), StringComparison.Ordinal);
        Assert.Equal("set", await browser.GetAsync("/fill/b/100"));
        Assert.Contains("MaxSessionSize", await browser.GetAsync("/fill/c/50"), StringComparison.Ordinal);
        Assert.Equal("set", await browser.GetAsync("/fill/c/10"));
        Assert.Contains("MaxFieldCount", await browser.GetAsync("/fill/d/1"), StringComparison.Ordinal);
        Assert.Equal("set", await browser.GetAsync("/fill/a/50"));
        Assert.Equal("a,b,c", await browser.GetAsync("/keys"));
        Assert.Equal(3, _events.All.Count(e => e.Kind == SessionSecurityEventKind.LimitReached));
    }

    [Fact]
    public async Task A_robot_without_cookies_cannot_fill_redis()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartSecureAsync(o => o.MaxCreationsPerMinute = 5, app => app.MapGet("/memory", (HttpContext context) =>
        {
            context.Session.SetString("a", "works");
            return context.Session.GetString("a");
        }));
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("works", await From(site, $"192.0.2.{i}").GetAsync("/memory"));
        }

        Assert.Equal(5, await SessionsAsync());
        Assert.Single(_events.All, e => e.Kind == SessionSecurityEventKind.LimitReached);
        await From(site, "198.51.100.1").GetAsync("/memory");
        Assert.Equal(6, await SessionsAsync());
        clock.Advance(TimeSpan.FromMinutes(1));
        await From(site, "192.0.2.1").GetAsync("/memory");
        Assert.Equal(7, await SessionsAsync());

        async Task<int> SessionsAsync()
        {
            var admin = await Server.AdminAsync();
            return await Task.FromResult(admin.GetServers()[0].Keys(pattern: $"{Fleet.Prefix}{{*").Count());
        }
    }

    [Fact]
    public async Task Suspicious_activity_is_found_with_its_reasons_and_sessions()
    {
        var site = await StartSecureAsync(o => (o.SuspiciousNetworks, o.SuspiciousBrowsers, o.SuspiciousSignIns) = (2, 1, 3));
        var security = site.Services.GetRequiredService<ISessionSecurity>();
        await From(site, "192.0.2.1").GetAsync("/login/ada");
        Assert.False((await security.DetectSuspiciousActivityAsync("ada")).IsSuspicious);
        await From(site, "198.51.100.1", Chrome).GetAsync("/login/ada");
        await From(site, "203.0.113.1").GetAsync("/login/ada");
        await From(site, "203.0.113.2").GetAsync("/login/ada");
        var found = await security.DetectSuspiciousActivityAsync("ada");
        Assert.Equal(
            [SuspiciousReason.TooManyNetworks, SuspiciousReason.TooManyBrowsers, SuspiciousReason.TooManySignIns, SuspiciousReason.ImpossiblePair],
            found.Findings.Select(finding => finding.Reason));
        Assert.Equal(4, found.Findings[0].SessionIds.Count);
        Assert.Equal(2, found.Findings[3].SessionIds.Count);
        Assert.Equal(4, _events.All.Count(e => e.Kind == SessionSecurityEventKind.Suspicious && e.UserId == "ada"));
    }

    [Fact]
    public async Task Regenerations_and_revocations_are_events_and_the_default_sink_logs_them()
    {
        var site = await StartSecureAsync();
        var browser = From(site, "192.0.2.1");
        await browser.GetAsync("/set/a/1");
        var id = await browser.GetAsync("/login/ada");
        await site.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id);
        Assert.Contains(_events.All, e => e.Kind == SessionSecurityEventKind.Regenerated && e.SessionId == id);
        Assert.Contains(_events.All, e => e.Kind == SessionSecurityEventKind.Revoked && e.SessionId == id && e.UserId == "ada");
        Assert.Contains(site.Log.Ours, entry => entry is { Id.Id: 125, Id.Name: "SecurityRegenerated" });
        Assert.Contains(site.Log.Ours, entry => entry is { Id.Id: 126, Id.Name: "SecurityRevoked", Level: LogLevel.Information });
    }

    [Fact]
    public async Task Old_cookies_are_worth_nothing_after_regeneration_sign_out_revocation_and_expiry()
    {
        var site = await StartSecureAsync();
        foreach (var end in new[] { "/regenerate", "/logout", "revoke", "expire" })
        {
            var browser = From(site, "192.0.2.1");
            var id = await browser.GetAsync("/login/ada");
            await browser.GetAsync("/set/cart/tea");
            var replay = Stolen(browser, "192.0.2.1", Firefox);
            switch (end)
            {
                case "revoke":
                    await site.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id);
                    break;
                case "expire":
                    await (await DatabaseAsync()).KeyExpireAsync(KeyOf(id), TimeSpan.FromMilliseconds(1));
                    await Eventually.TrueAsync(async () => !await site.Sessions.ExistsAsync(id));
                    break;
                default:
                    await browser.GetAsync(end);
                    break;
            }

            Assert.Equal("", await replay.GetAsync("/whoami"));
            Assert.Equal("", await replay.GetAsync("/get/cart"));
        }
    }

    [Fact]
    public async Task A_planted_session_does_not_survive_sign_in()
    {
        var site = await StartSecureAsync();
        var attacker = From(site, "192.0.2.66");
        await attacker.GetAsync("/set/planted/1");
        var victim = Stolen(attacker, "192.0.2.1", Firefox);
        await victim.GetAsync("/login/ada");
        await victim.GetAsync("/set/secret/diary");
        Assert.Equal("", await attacker.GetAsync("/whoami"));
        Assert.Equal("", await attacker.GetAsync("/get/secret"));
    }

    private sealed class Sink : ISessionSecurityEvents
    {
        private readonly ConcurrentQueue<SessionSecurityEvent> _all = new();

        public IReadOnlyList<SessionSecurityEvent> All => [.. _all];

        public void Report(SessionSecurityEvent securityEvent)
        {
            _all.Enqueue(securityEvent);
            throw new InvalidOperationException("A sink that throws harms nobody.");
        }
    }
}

public sealed class SecurityOnGarnet(InProcessGarnet server) : SecurityTests(server)
{
    // What Data Protection refuses reaches no server, so one kind is enough.
    [Fact]
    public async Task A_hundred_thousand_hostile_cookies_and_field_names_cause_no_error_and_no_key()
    {
        // The log of so many requests would be all that this test is about.
        var site = await StartSecureAsync(logLevel: LogLevel.Critical);
        var valid = From(site, "192.0.2.1");
        await valid.GetAsync("/set/a/1");
        var cookie = Uri.UnescapeDataString(valid.Cookies[Browser.SessionCookie]);
        var keys = (await Server.AdminAsync()).GetServers()[0].Keys(pattern: $"{Fleet.Prefix}*").Count();
        var random = new Random(20261124);
        await Parallel.ForEachAsync(Enumerable.Range(0, 100_000), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, _) =>
        {
            var browser = site.NewBrowser();
            lock (random)
            {
                browser.SetCookie(Browser.SessionCookie, Uri.EscapeDataString(Mutated(cookie, random)));
            }

            using var response = await browser.SendAsync(HttpMethod.Get, i % 2 == 0 ? "/keys" : $"/get/{Uri.EscapeDataString($"k{i}\u0001@")}");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        });
        Assert.Equal(keys, (await Server.AdminAsync()).GetServers()[0].Keys(pattern: $"{Fleet.Prefix}*").Count());

        static string Mutated(string cookie, Random random)
        {
            var characters = cookie.ToCharArray();
            for (var i = random.Next(1, 6); i > 0; i--)
            {
                characters[random.Next(characters.Length)] = (char)random.Next(33, 127);
            }

            return new string(characters, 0, random.Next(characters.Length));
        }
    }
}

public sealed class SecurityOnRedis(LocalRedis server) : SecurityTests(server);
