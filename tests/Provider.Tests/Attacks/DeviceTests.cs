using Microsoft.Net.Http.Headers;

namespace RedisSessions.Tests.Attacks;

/// <summary>A user is told of a sign-in on a device that is new, once; and nobody makes a new one pass for a known one.</summary>
public abstract class DeviceTests(RedisServer server) : AttackTest(server)
{
    private const string Cookie = ".RedisSessions.Device";

    // More than a sign-in sends.
    private const int MostCommands = 14;

    private Task<Site> StartRememberingAsync(Action<UserIndexOptions>? users = null, string? redis = null, Action<IServiceCollection>? services = null) => StartAttackedAsync(
        o =>
        {
            o.RememberDevices = true;
            users?.Invoke(o);
        },
        redis: redis,
        services: services);

    private SessionSecurityEvent[] NewDevices(string? user = null) =>
        [.. Events.All.Where(e => e.Kind == SessionSecurityEventKind.NewDevice && (user is null || e.UserId == user))];

    private async Task<SessionSecurityEvent> SignInOnNewAsync(Browser browser, string user = "ada")
    {
        Events.Clear();
        var id = await browser.GetAsync($"/login/{user}");
        var told = Assert.Single(NewDevices());
        Assert.Equal((id, user), (told.SessionId, told.UserId));
        return told;
    }

    private async Task SignInOnKnownAsync(Browser browser, string user = "ada")
    {
        Events.Clear();
        await browser.GetAsync($"/login/{user}");
        Assert.Empty(NewDevices());
        Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.SignedIn);
    }

    private static async Task<UserSession> TheSessionAsync(Site site, Browser browser, string user = "ada")
    {
        var id = await browser.GetAsync("/id");
        return Assert.Single(await Users(site).ListAsync(user), session => session.Id == id);
    }

    private string DevicesKey(string user) => $"{Fleet.Prefix}user:{{{user}}}:devices";

    [Fact]
    public async Task A_device_is_told_once_and_known_again_across_sign_ins_servers_and_sign_outs()
    {
        var (first, second) = (await StartRememberingAsync(), await StartRememberingAsync());
        var (office, home) = (From(first, "203.0.113.7"), From(first, "198.51.100.4", Chrome));
        var told = await SignInOnNewAsync(office);
        Assert.Equal(("Firefox on Windows", true), (told.Detail, told.IsFirstDevice));
        Assert.Equal(told.DeviceId, (await TheSessionAsync(first, office)).DeviceId);
        var other = await SignInOnNewAsync(home);
        Assert.Equal(("Chrome on Linux", false), (other.Detail, other.IsFirstDevice));
        Assert.NotEqual(told.DeviceId, other.DeviceId);

        second.TakeOver(office);
        await SignInOnKnownAsync(office);
        await office.GetAsync("/logout");
        await SignInOnKnownAsync(office);
        await Users(first).RevokeAllAsync("ada");
        await SignInOnKnownAsync(office);
        Assert.Equal(told.DeviceId, (await TheSessionAsync(second, office)).DeviceId);

        // From elsewhere, with another version: the same device.
        office.Headers["X-Test-Address"] = "192.0.2.99";
        await SignInOnKnownAsync(office);
    }

    [Fact]
    public async Task The_session_keeps_its_device_under_a_new_id_and_another_ticket_and_the_next_user_does_not()
    {
        var site = await StartRememberingAsync();
        var browser = From(site, "203.0.113.7");
        var device = (await SignInOnNewAsync(browser)).DeviceId;
        foreach (var page in new[] { "/regenerate", "/refresh" })
        {
            await browser.GetAsync(page);
            Assert.Equal(device, (await TheSessionAsync(site, browser)).DeviceId);
        }

        Assert.NotEqual(device, (await SignInOnNewAsync(browser, "grace")).DeviceId);
        Assert.NotEqual(device, (await TheSessionAsync(site, browser, "grace")).DeviceId);
    }

    [Fact]
    public async Task It_is_off_by_default()
    {
        var site = await StartAttackedAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Empty(NewDevices());
        Assert.DoesNotContain(Cookie, browser.Cookies.Keys);
        Assert.Null((await TheSessionAsync(site, browser)).DeviceId);
        Assert.False(await (await DatabaseAsync()).KeyExistsAsync(DevicesKey("ada")));
        Assert.False(await Users(site).NameDeviceAsync("ada", Guid.NewGuid().ToString(), "mine"));
    }

    /// <summary>Of a name's prefix browsers do not mind the case.</summary>
    [Theory]
    [InlineData("__Host-session")]
    [InlineData("__HOST-session")]
    public async Task The_cookie_goes_out_with_sign_ins_alone_hidden_from_scripts_and_where_the_sessions_goes(string session)
    {
        var clock = StopClock();
        var site = await StartRememberingAsync(services: services =>
        {
            CookieSite.AddServices(services);
            services.Configure<SessionOptions>(o => (o.Cookie.Name, o.Cookie.SameSite) = (session, Microsoft.AspNetCore.Http.SameSiteMode.Strict));
        });
        var browser = site.NewBrowser();
        Assert.Null(await SentAsync("/set/a/1"));
        var sent = (await SentAsync("/login/ada"))!;
        Assert.True(sent.HttpOnly);
        Assert.True(sent.Secure);
        Assert.Equal((Microsoft.Net.Http.Headers.SameSiteMode.Strict, "/"), (sent.SameSite, sent.Path.Value));
        Assert.InRange(sent.Expires!.Value - clock.GetUtcNow(), TimeSpan.FromDays(399), TimeSpan.FromDays(400));
        foreach (var page in new[] { "/whoami", "/refresh", "/regenerate", "/logout", "/set/a/1" })
        {
            Assert.Null(await SentAsync(page));
        }

        async Task<SetCookieHeaderValue?> SentAsync(string page)
        {
            using var response = await browser.SendAsync(HttpMethod.Get, page);
            return response.Headers.TryGetValues(HeaderNames.SetCookie, out var values)
                ? SetCookieHeaderValue.ParseList([.. values]).SingleOrDefault(cookie => cookie.Name == "__Host-RedisSessions.Device")
                : null;
        }
    }

    [Fact]
    public async Task A_forged_or_foreign_cookie_is_a_new_device_and_no_error()
    {
        var site = await StartRememberingAsync();
        var known = From(site, "203.0.113.7");
        var device = (await SignInOnNewAsync(known)).DeviceId;
        var genuine = known.Cookies[Cookie];
        var foreign = new Fleet().Protection.CreateProtector("RedisSessions.Devices.v1");
        string[] cookies =
        [
            "", "x", "%00", device!, new string('A', 3_000), genuine[..^2], genuine + "AA", Flip(genuine), known.Cookies[Browser.SessionCookie],
            Microsoft.AspNetCore.WebUtilities.WebEncoders.Base64UrlEncode(foreign.Protect(new byte[112])),
            Microsoft.AspNetCore.WebUtilities.WebEncoders.Base64UrlEncode(Fleet.Protection.CreateProtector("RedisSessions.Devices.v1").Protect(new byte[112])),
            Microsoft.AspNetCore.WebUtilities.WebEncoders.Base64UrlEncode(Fleet.Protection.CreateProtector("RedisSessions.Devices.v1").Protect([1, 2, 3])),
        ];
        for (var i = 0; i < cookies.Length; i++)
        {
            var forger = From(site, $"198.51.100.{i + 1}");
            forger.SetCookie(Cookie, cookies[i]);
            var told = await SignInOnNewAsync(forger);
            Assert.NotEqual(device, told.DeviceId);
            Assert.False(told.IsFirstDevice);
        }

        await SignInOnKnownAsync(known);

        static string Flip(string cookie) => cookie[..40] + (cookie[40] == 'A' ? 'B' : 'A') + cookie[41..];
    }

    [Fact]
    public async Task One_users_cookie_is_no_device_of_anothers_and_tells_nothing_of_whose_it_is()
    {
        var site = await StartRememberingAsync();
        var ada = From(site, "203.0.113.7");
        await SignInOnNewAsync(ada);

        // Eve puts her own cookie into Ada's browser, and has Ada's password later.
        var eve = From(site, "198.51.100.4", Chrome);
        await SignInOnNewAsync(eve, "eve");
        var planted = eve.Cookies[Cookie];
        var victim = From(site, "203.0.113.8");
        victim.SetCookie(Cookie, planted);
        await SignInOnNewAsync(victim);
        eve.SetCookie(Cookie, planted);
        await SignInOnNewAsync(eve, "ada");

        // A shared computer: everybody's device, and as long as ever.
        var shared = From(site, "192.0.2.1");
        var lengths = new HashSet<int>();
        foreach (var user in new[] { "ada", "bob", "eve" })
        {
            await SignInOnNewAsync(shared, user);
            lengths.Add(shared.Cookies[Cookie].Length);
        }

        foreach (var user in new[] { "ada", "bob", "eve" })
        {
            await SignInOnKnownAsync(shared, user);
            lengths.Add(shared.Cookies[Cookie].Length);
        }

        Assert.Single(lengths);
        Assert.InRange(lengths.Single(), 112, 400);
    }

    [Fact]
    public async Task A_browser_is_the_device_of_its_latest_users_and_one_of_long_ago_is_a_new_one()
    {
        var clock = StopClock();
        var site = await StartRememberingAsync(o => o.DeviceLifetime = TimeSpan.FromDays(30));
        var browser = From(site, "203.0.113.7");
        for (var i = 0; i < 5; i++)
        {
            browser.Headers["X-Test-Address"] = $"203.0.113.{i}";
            await SignInOnNewAsync(browser, $"user{i}");
        }

        await SignInOnKnownAsync(browser, "user1");
        browser.Headers["X-Test-Address"] = "203.0.113.99";
        Assert.False((await SignInOnNewAsync(browser, "user0")).IsFirstDevice);

        // Each sign-in is a month more.
        clock.Advance(TimeSpan.FromDays(20));
        await SignInOnKnownAsync(browser, "user0");
        clock.Advance(TimeSpan.FromDays(20));
        await SignInOnKnownAsync(browser, "user0");
        clock.Advance(TimeSpan.FromDays(31));
        browser.Headers["X-Test-Address"] = "203.0.113.98";
        Assert.True((await SignInOnNewAsync(browser, "user0")).IsFirstDevice);
    }

    [Fact]
    public async Task However_often_one_user_signs_in_another_is_known_in_that_browser()
    {
        var site = await StartRememberingAsync();
        var browser = From(site, "203.0.113.7");
        await SignInOnNewAsync(browser, "grace");
        browser.Headers["X-Test-Address"] = "203.0.113.8";
        await SignInOnNewAsync(browser);
        for (var i = 0; i < 4; i++)
        {
            await SignInOnKnownAsync(browser);
        }

        await SignInOnKnownAsync(browser, "grace");
    }

    /// <summary>To the second, in the browser as in Redis.</summary>
    [Fact]
    public async Task A_device_is_known_for_its_lifetime()
    {
        var clock = StopClock(atSecond: true);
        var site = await StartRememberingAsync(o => o.DeviceLifetime = TimeSpan.FromDays(1));
        var browser = From(site, "203.0.113.7");
        var device = await SignInOnNewAsync(browser);
        clock.Advance(TimeSpan.FromDays(1));
        browser.Headers["X-Test-Address"] = "203.0.113.8";
        await SignInOnKnownAsync(browser);
        clock.Advance(TimeSpan.FromDays(1) + TimeSpan.FromSeconds(1));
        browser.Headers["X-Test-Address"] = "203.0.113.9";
        Assert.NotEqual(device.DeviceId, (await SignInOnNewAsync(browser)).DeviceId);
        Assert.Equal(1, await (await DatabaseAsync()).SortedSetLengthAsync(DevicesKey("ada")));
    }

    [Fact]
    public async Task A_stolen_device_cookie_signs_nobody_in()
    {
        var site = await StartRememberingAsync();
        var ada = From(site, "203.0.113.7");
        await SignInOnNewAsync(ada);
        var thief = From(site, "198.51.100.4");
        thief.SetCookie(Cookie, ada.Cookies[Cookie]);
        Assert.Equal("", await thief.GetAsync("/whoami"));
        Assert.Equal("", await thief.GetAsync("/owner"));
        thief.SetCookie(RedisSessions.Tests.Users.SignInSite.AuthCookie, ada.Cookies[RedisSessions.Tests.Users.SignInSite.AuthCookie]);
        Assert.Equal("", await thief.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Parallel_sign_ins_from_one_browser_are_one_new_device_and_another_browser_at_that_moment_is_another()
    {
        var (first, second) = (await StartRememberingAsync(), await StartRememberingAsync());
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => From(i % 2 == 0 ? first : second, "203.0.113.7").GetAsync("/login/ada")));
        Assert.True(Assert.Single(NewDevices()).IsFirstDevice);
        var moment = Assert.Single(await KeysAsync("*:device:*"));
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync(moment))!.Value, TimeSpan.FromSeconds(5.1), TimeSpan.FromSeconds(10));
        Assert.Equal(8, Events.All.Count(e => e.Kind == SessionSecurityEventKind.SignedIn));
        Events.Clear();
        await Task.WhenAll(From(first, "203.0.113.7", Chrome).GetAsync("/login/ada"), From(second, "203.0.113.8").GetAsync("/login/ada"));
        Assert.Equal(2, NewDevices().Length);
        await SignInOnNewAsync(From(first, "203.0.113.7"), "grace");
    }

    [Fact]
    public async Task Devices_and_their_names_are_bounded_and_the_oldest_go()
    {
        var clock = StopClock();
        var site = await StartRememberingAsync(o => o.MaxDevicesPerUser = 3);
        var browsers = Enumerable.Range(0, 8).Select(i => From(site, $"203.0.113.{i}")).ToArray();
        var ids = new List<string>();
        foreach (var browser in browsers)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            var told = await SignInOnNewAsync(browser);
            ids.Add(told.DeviceId!);
            Assert.True(await Users(site).NameDeviceAsync("ada", told.DeviceId!, $"device {ids.Count}"));
        }

        var db = await DatabaseAsync();
        Assert.Equal(ids[5..].Order(), (await db.SortedSetRangeByRankAsync(DevicesKey("ada"))).Select(id => (string)id!).Order());
        Assert.Equal(3, await db.HashLengthAsync($"{DevicesKey("ada")}:names"));
        Assert.False(await Users(site).NameDeviceAsync("ada", ids[0], "again"));
        clock.Advance(TimeSpan.FromSeconds(1));
        await SignInOnKnownAsync(browsers[7]);
        Assert.Equal(3, await db.SortedSetLengthAsync(DevicesKey("ada")));
        browsers[0].Headers["X-Test-Address"] = "198.51.100.1";
        await SignInOnNewAsync(browsers[0]);
        foreach (var key in new[] { DevicesKey("ada"), $"{DevicesKey("ada")}:names" })
        {
            Assert.InRange((await db.KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromDays(399), TimeSpan.FromDays(400));
        }

        clock.Advance(TimeSpan.FromDays(401));
        browsers[1].Headers["X-Test-Address"] = "198.51.100.2";
        await SignInOnNewAsync(browsers[1]);
        Assert.Equal(1, await db.SortedSetLengthAsync(DevicesKey("ada")));
        Assert.Equal(0, await db.HashLengthAsync($"{DevicesKey("ada")}:names"));
    }

    /// <summary>Of several in one millisecond it is the last, and where fewer may be remembered than there are, all that are too many go at once.</summary>
    [Fact]
    public async Task The_device_at_hand_is_never_the_one_that_goes()
    {
        StopClock();
        var (one, many, db) = (await StartRememberingAsync(o => o.MaxDevicesPerUser = 1), await StartRememberingAsync(), await DatabaseAsync());
        for (var i = 0; i < 8; i++)
        {
            var device = (await SignInOnNewAsync(From(one, $"203.0.113.{i}"))).DeviceId;
            Assert.Equal(device, Assert.Single(await db.SortedSetRangeByRankAsync(DevicesKey("ada"))));
        }

        for (var i = 0; i < 5; i++)
        {
            await SignInOnNewAsync(From(many, $"198.51.100.{i}"));
        }

        Assert.Equal(6, await db.SortedSetLengthAsync(DevicesKey("ada")));
        var last = (await SignInOnNewAsync(From(one, "198.51.100.99"))).DeviceId;
        Assert.Equal(last, Assert.Single(await db.SortedSetRangeByRankAsync(DevicesKey("ada"))));
    }

    /// <summary>With its first name, which nobody's sign-in follows perhaps, and with every sign-in.</summary>
    [Fact]
    public async Task Names_live_as_long_as_the_devices()
    {
        var (site, db) = (await StartRememberingAsync(), await DatabaseAsync());
        var browser = From(site, "203.0.113.7");
        var device = (await SignInOnNewAsync(browser)).DeviceId!;
        var names = $"{DevicesKey("ada")}:names";
        await Users(site).NameDeviceAsync("ada", device, "mine");
        Assert.InRange((await db.KeyTimeToLiveAsync(names))!.Value, TimeSpan.FromDays(399), TimeSpan.FromDays(400));
        await db.KeyExpireAsync(names, TimeSpan.FromDays(1));
        await SignInOnKnownAsync(browser);
        Assert.InRange((await db.KeyTimeToLiveAsync(names))!.Value, TimeSpan.FromDays(399), TimeSpan.FromDays(400));
    }

    [Fact]
    public async Task A_name_stays_with_its_device_until_the_user_is_forgotten()
    {
        var site = await StartRememberingAsync();
        var (browser, elsewhere) = (From(site, "203.0.113.7"), From(site, "203.0.113.8", Chrome));
        var device = (await SignInOnNewAsync(browser)).DeviceId!;
        await SignInOnNewAsync(elsewhere);
        Assert.True(await Users(site).NameDeviceAsync("ada", device.ToUpperInvariant(), "Ada's \U0001F469\u200D\U0001F4BB at work"));
        foreach (var page in new[] { "/none", "/logout", "/login/ada", "/regenerate", "revoke", "/login/ada" })
        {
            if (page == "revoke")
            {
                await Users(site).RevokeAllAsync("ada");
            }
            else
            {
                await browser.GetAsync(page);
            }
        }

        var session = await TheSessionAsync(site, browser);
        Assert.Equal((device, "Ada's \U0001F469\u200D\U0001F4BB at work", "Firefox on Windows"), (session.DeviceId, session.GivenDeviceName, session.DeviceName));
        await elsewhere.GetAsync("/login/ada");
        Assert.Null((await TheSessionAsync(site, elsewhere)).GivenDeviceName);
        Assert.True(await Users(site).NameDeviceAsync("ada", device, null));
        Assert.Null((await TheSessionAsync(site, browser)).GivenDeviceName);
        Assert.True(await Users(site).NameDeviceAsync("ada", device, "x"));
        Assert.False(await Users(site).NameDeviceAsync("grace", device, "y"));
        Assert.False(await Users(site).NameDeviceAsync("ada", "no id", "y"));

        Assert.Equal(2, await Users(site).ForgetUserAsync("ada", new SessionRevocation(By: "root")));
        Assert.All(Events.All.Where(e => e.Kind == SessionSecurityEventKind.Revoked).TakeLast(2), e => Assert.Equal("root", e.By));
        Assert.Equal("", await browser.GetAsync("/whoami"));
        var db = await DatabaseAsync();
        Assert.False(await db.KeyExistsAsync(DevicesKey("ada")));
        Assert.False(await db.KeyExistsAsync($"{DevicesKey("ada")}:names"));
        Assert.False(await Users(site).NameDeviceAsync("ada", device, "z"));
        await foreach (var user in Users(site).GetActiveUsersAsync(DateTimeOffset.UnixEpoch))
        {
            Assert.NotEqual("ada", user.UserId);
        }

        browser.Headers["X-Test-Address"] = "203.0.113.9";
        Assert.True((await SignInOnNewAsync(browser)).IsFirstDevice);
        Assert.Null((await TheSessionAsync(site, browser)).GivenDeviceName);
    }

    [Fact]
    public async Task A_name_that_is_not_what_it_looks_like_is_refused()
    {
        var site = await StartRememberingAsync();
        var device = (await SignInOnNewAsync(From(site, "203.0.113.7"))).DeviceId!;
        string[] names =
        [
            "", " ", " mine", "mine\u00A0", "a\nb", "a\0b", "a\u0085b", "a\u2028b", "a\u2029b", "a\u202Ab", "a\u202Eb", "a\u2066b", "a\u2069b", "a\uD800b", "\U0001F4BB\nb", "mine\uD800", "mine\uDC00",
            new string('x', 65),
        ];
        foreach (var name in names)
        {
            var exception = await Assert.ThrowsAsync<ArgumentException>(() => Users(site).NameDeviceAsync("ada", device, name));
            Assert.Equal("name", exception.ParamName);
        }

        foreach (var name in new[] { "x", new string('x', 64), "a b", "\u05E9\u05DC\u05D5\u05DD", "\U0001F4BB" })
        {
            Assert.True(await Users(site).NameDeviceAsync("ada", device, name));
            Assert.Equal(name, Assert.Single(await Users(site).ListAsync("ada")).GivenDeviceName);
        }
    }

    /// <summary>Whichever reply is lost: the sign-in is not refused for it, the user is told, and the browser comes to be known.</summary>
    [Fact]
    public async Task A_lost_reply_refuses_no_sign_in_and_hides_no_new_device()
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartRememberingAsync();
        var lossy = await StartRememberingAsync(redis: proxy.Address);
        for (var reply = 1; reply <= MostCommands; reply++)
        {
            await lossy.NewBrowser().GetAsync("/login/warm");
            await lossy.Sessions.ExistsAsync(NewSecret());
            var (user, browser) = ($"user{reply}", From(lossy, "203.0.113.7"));
            proxy.LoseReply(reply);
            Assert.Equal(System.Net.HttpStatusCode.OK, (await browser.TryAsync($"/login/{user}")).Status);
            proxy.LoseReply(0);
            healthy.TakeOver(browser);
            Assert.Equal(user, await browser.GetAsync("/whoami"));
            Assert.True(NewDevices(user).Length > 0, $"Nobody was told, with reply {reply} lost.");

            // Better twice than never.
            browser.Headers["X-Test-Address"] = "203.0.113.8";
            await browser.GetAsync($"/login/{user}");
            Assert.InRange(NewDevices(user).Length, 1, 2);
            browser.Headers["X-Test-Address"] = "203.0.113.9";
            await SignInOnKnownAsync(browser, user);
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    await lossy.Sessions.ExistsAsync(NewSecret());
                    return true;
                }
                catch (Exception exception) when (exception is StackExchange.Redis.RedisException or TimeoutException)
                {
                    return false;
                }
            });
        }
    }

    /// <summary>Where Redis was not there to be asked, the browser's word counts.</summary>
    [Fact]
    public async Task A_known_device_that_could_not_be_noted_is_not_told_as_a_new_one()
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartRememberingAsync();
        var broken = await StartRememberingAsync(redis: proxy.Address, services: AddSlowServices);
        await broken.NewBrowser().GetAsync("/login/warm");
        var browser = From(healthy, "203.0.113.7");
        await SignInOnNewAsync(browser);
        broken.TakeOver(browser);
        Events.Clear();
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        proxy.BeforeReply = bytes => bytes.Span.IndexOf("Known"u8) >= 0 ? open.Task : Task.CompletedTask;
        Assert.Equal(System.Net.HttpStatusCode.OK, await StatusAsync(browser, "/login/ada"));
        open.SetResult();
        Assert.Empty(NewDevices());
        Assert.Single(broken.Log.Ours, entry => entry.Id.Name == "DeviceNotNoted");
    }

    [Fact]
    public async Task A_sign_in_while_redis_is_away_is_not_refused_and_the_device_is_told_when_it_is_bound()
    {
        using var proxy = new RedisProxy(Server.Address);
        var slow = await StartRememberingAsync(redis: proxy.Address, services: AddSlowServices);
        var healthy = await StartRememberingAsync();
        await slow.NewBrowser().GetAsync("/login/warm");
        Events.Clear();
        var browser = From(slow, "203.0.113.7");
        var gate = new Gate(proxy);
        Assert.Equal(System.Net.HttpStatusCode.OK, await StatusAsync(browser, "/login/ada"));
        Assert.Empty(NewDevices());
        proxy.BeforeCommand = null;
        gate.Open();
        healthy.TakeOver(browser);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        var told = Assert.Single(NewDevices());
        Assert.Equal("ada", told.UserId);
        Assert.Equal(told.DeviceId, (await TheSessionAsync(healthy, browser)).DeviceId);
        await SignInOnKnownAsync(browser);
    }

    /// <summary>A sign-in in place of the session that a revocation spares is no less on a device.</summary>
    [Fact]
    public async Task What_is_under_way_and_spared_by_a_revocation_is_on_its_device()
    {
        using var proxy = new RedisProxy(Server.Address);
        var (healthy, slow, db) = (await StartRememberingAsync(), await StartRememberingAsync(redis: proxy.Address), await DatabaseAsync());
        await slow.NewBrowser().GetAsync("/login/warm");
        var spared = 0;
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var (user, browser) = ($"user{passes}", From(healthy, "203.0.113.7"));
            var id = await browser.GetAsync($"/login/{user}");
            await db.KeyDeleteAsync(DevicesKey(user));
            slow.TakeOver(browser);
            var gate = new Gate(proxy, passes);
            var request = StatusAsync(browser, $"/login/{user}");
            await Task.WhenAny(gate.Reached, request);
            await Users(healthy).RevokeAllAsync(user, id);
            proxy.BeforeCommand = null;
            gate.Open();
            await request;
            healthy.TakeOver(browser);
            if (await browser.GetAsync("/whoami") == user)
            {
                spared++;
                Assert.True(await db.KeyExistsAsync(DevicesKey(user)), $"Held before command {passes + 1}, the device is not there.");
            }
        }

        Assert.InRange(spared, 1, MostCommands);
    }

    /// <summary>A sign-in that is under way brings back nothing of a user who is forgotten meanwhile.</summary>
    [Fact]
    public async Task What_is_under_way_while_a_user_is_forgotten_leaves_no_device()
    {
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartRememberingAsync();
        var slow = await StartRememberingAsync(redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");
        await slow.Sessions.ExistsAsync(NewSecret());
        var db = await DatabaseAsync();
        for (var passes = 0; passes < MostCommands; passes++)
        {
            var (user, browser) = ($"user{passes}", From(slow, "203.0.113.7"));
            var gate = new Gate(proxy, passes);
            var request = StatusAsync(browser, $"/login/{user}");
            await Task.WhenAny(gate.Reached, request);
            await Users(healthy).ForgetUserAsync(user);
            proxy.BeforeCommand = null;
            gate.Open();
            await request;
            Assert.False(await db.KeyExistsAsync(DevicesKey(user)), $"Held before command {passes + 1}, the device is there.");
            healthy.TakeOver(browser);
            Assert.Equal("", await browser.GetAsync("/whoami"));
        }
    }
}

public sealed class DevicesOnGarnet(InProcessGarnet server) : DeviceTests(server);

public sealed class DevicesOnRedis(LocalRedis server) : DeviceTests(server);
