using System.Net;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using RedisSessions.BackChannelLogout;
using StackExchange.Redis;

namespace RedisSessions.Tests.Attacks;

/// <summary>A provider's logout token ends what it names, and nothing that is not such a token, of this provider, for this client, ends anything.</summary>
public sealed class BackChannelLogoutTests(InProcessGarnet server) : AttackTest(server)
{
    private const string Issuer = "https://idp.example";
    private const string Client = "shop";
    private const string LogoutEvent = "http://schemas.openid.net/event/backchannel-logout";
    private const string Path = "/signout-oidc-backchannel";
    private static readonly RsaSecurityKey Key = NewKey("k1");

    private static RsaSecurityKey NewKey(string id) => new(RSA.Create(2048)) { KeyId = id };

    private Task<Site> StartFederatedAsync(Action<BackChannelLogoutOptions>? options = null, string? redis = null, IConfigurationManager<OpenIdConnectConfiguration>? manager = null, Action<WebApplication>? map = null,
        Action<ProviderSessionsOptions>? provider = null) => StartAsync(
        app =>
        {
            CookieSite.Map(app);
            map?.Invoke(app);
            app.MapGet("/idp/{sub}/{sid}", (HttpContext context, string sub, string sid) => context.SignInAsync(PrincipalOf(Issuer, sub, sid)));
            app.MapGet("/iss/{sub}/{sid}", (HttpContext context, string sub, string sid) => context.SignInAsync(
                new ClaimsPrincipal(new ClaimsIdentity([new("iss", Issuer), new("sub", sub), new("sid", sid), new("name", sub)], "oidc", "name", "role"))));
            app.MapGet("/other-idp/{sub}/{sid}", (HttpContext context, string sub, string sid) => context.SignInAsync(PrincipalOf("https://other.example", sub, sid)));
            app.MapBackChannelLogout(Path, o =>
            {
                (o.ClientId, o.ConfigurationManager) = (Client, manager ?? ManagerOf(Key));
                options?.Invoke(o);
            });
        },
        redis: redis,
        services: CookieSite.AddServices,
        addOns: builder => builder.AddProviderSessions(provider).AddSecurity(),
        afterSession: app => app.UseAuthentication().UseRouting().UseAuthorization());

    private static StaticConfigurationManager<OpenIdConnectConfiguration> ManagerOf(SecurityKey key) => new(ConfigurationOf(key));

    private static OpenIdConnectConfiguration ConfigurationOf(SecurityKey key)
    {
        var configuration = new OpenIdConnectConfiguration { Issuer = Issuer };
        configuration.SigningKeys.Add(key);
        return configuration;
    }

    private static ClaimsPrincipal PrincipalOf(string issuer, string sub, string sid) => new(new ClaimsIdentity(
        [new("sub", sub, null, issuer), new("sid", sid, null, issuer), new("name", sub, null, issuer)], "oidc", "name", "role"));

    private static Dictionary<string, object> Claims(TimeProvider clock, string? sid = null, string? sub = null)
    {
        var now = clock.GetUtcNow().ToUnixTimeSeconds();
        var claims = new Dictionary<string, object>
        {
            ["iss"] = Issuer,
            ["aud"] = Client,
            ["iat"] = now,
            ["exp"] = now + 120,
            ["jti"] = Guid.NewGuid().ToString(),
            ["events"] = new Dictionary<string, object> { [LogoutEvent] = new Dictionary<string, object>() },
        };
        if (sid is not null)
        {
            claims["sid"] = sid;
        }

        if (sub is not null)
        {
            claims["sub"] = sub;
        }

        return claims;
    }

    private static string Sign(Dictionary<string, object> claims, SecurityKey? key = null, string algorithm = SecurityAlgorithms.RsaSha256, string? type = "logout+jwt") =>
        new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Claims = claims,
            SigningCredentials = new SigningCredentials(key ?? Key, algorithm),
            TokenType = type,
        });

    private static async Task<HttpStatusCode> SendAsync(Site site, string token)
    {
        using var response = await site.NewBrowser().SendAsync(HttpMethod.Post, Path, new FormUrlEncodedContent([new("logout_token", token)]));
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
        Assert.True(token.Length < 10 || !(await response.Content.ReadAsStringAsync()).Contains(token, StringComparison.Ordinal));
        return response.StatusCode;
    }

    private static async Task<Browser> SignedInAsync(Site site, string path)
    {
        var browser = site.NewBrowser();
        await browser.GetAsync(path);
        Assert.NotEqual("", await browser.GetAsync("/whoami"));
        return browser;
    }

    [Fact]
    public async Task Who_issued_the_claims_may_also_be_said_by_a_claim()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var (one, two) = (await SignedInAsync(site, "/iss/ada/s1"), await SignedInAsync(site, "/iss/ada/s2"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1", sub: "ada"))));
        Assert.Equal("", await one.GetAsync("/whoami"));
        Assert.Equal("ada", await two.GetAsync("/whoami"));
    }

    /// <summary>Claims that the application made itself name no issuer; whose sign-in they are it says then.</summary>
    [Fact]
    public async Task Whose_sign_in_it_is_may_be_said_by_the_application()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync(
            map: app => app.MapGet("/own/{user}/{session}", (HttpContext context, string user, string session) => context.SignInAsync(
                new ClaimsPrincipal(new ClaimsIdentity([new("name", user), new("at-provider", session)], "own", "name", "role")))),
            provider: o => o.SignInOf = principal => principal.FindFirst("at-provider") is { } claim ? new ProviderSignIn { Issuer = Issuer, SessionId = claim.Value } : null);
        var (one, two, none) = (await SignedInAsync(site, "/own/ada/s1"), await SignedInAsync(site, "/own/ada/s2"), await SignedInAsync(site, "/idp/ada/s1"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1"))));
        Assert.Equal("", await one.GetAsync("/whoami"));
        Assert.Equal("ada", await two.GetAsync("/whoami"));
        Assert.Equal("ada", await none.GetAsync("/whoami"));
    }

    /// <summary>A sign-in that names nobody is in no user's list; its provider ends it all the same, and that is told.</summary>
    [Fact]
    public async Task A_sign_in_without_a_user_is_ended_by_its_session()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync(map: app =>
        {
            app.MapGet("/guest/{session}", (HttpContext context, string session) => context.SignInAsync(
                new ClaimsPrincipal(new ClaimsIdentity([new("sid", session, null, Issuer)], "oidc"))));
            app.MapGet("/authenticated", (HttpContext context) => context.User.Identity?.IsAuthenticated == true);
            app.MapGet("/why", async (HttpContext context) => $"{await context.Session.GetEndReasonAsync()}");
        });
        var (one, two) = (site.NewBrowser(), site.NewBrowser());
        await one.GetAsync("/guest/s1");
        await two.GetAsync("/guest/s2");
        await one.GetAsync("/set/cart/tea");
        Assert.Equal(("true", "true", ""), (await one.GetAsync("/authenticated"), await two.GetAsync("/authenticated"), await one.GetAsync("/owner")));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1"))));
        Assert.Equal("SignedOut", await one.Copy().GetAsync("/why"));
        Assert.Equal("", await one.Copy().GetAsync("/get/cart"));
        Assert.Equal("false", await one.GetAsync("/authenticated"));
        Assert.Equal("true", await two.GetAsync("/authenticated"));
    }

    [Fact]
    public async Task A_logout_by_session_ends_that_session_and_no_other()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var (one, two, foreign) = (await SignedInAsync(site, "/idp/ada/s1"), await SignedInAsync(site, "/idp/ada/s2"), await SignedInAsync(site, "/other-idp/ada/s1"));
        await one.GetAsync("/regenerate");
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1", sub: "ada"))));
        Assert.Equal("", await one.GetAsync("/whoami"));
        Assert.Equal("", await one.GetAsync("/owner"));
        Assert.Equal("ada", await two.GetAsync("/whoami"));
        Assert.Equal("ada", await foreign.GetAsync("/whoami"));
        Assert.Equal(2, (await Users(site).ListAsync("ada")).Count);
    }

    [Fact]
    public async Task A_logout_by_subject_ends_all_of_the_users_sessions_and_not_the_next()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var (one, two, eve, foreign) = (await SignedInAsync(site, "/idp/ada/s1"), await SignedInAsync(site, "/idp/ada/s2"), await SignedInAsync(site, "/idp/eve/s3"), await SignedInAsync(site, "/other-idp/ada/s1"));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sub: "ada"))));
        Assert.Equal("", await one.GetAsync("/whoami"));
        Assert.Equal("", await two.GetAsync("/whoami"));
        Assert.Equal("eve", await eve.GetAsync("/whoami"));
        Assert.Equal("ada", await foreign.GetAsync("/whoami"));
        clock.Advance(TimeSpan.FromSeconds(1));
        await SignedInAsync(site, "/idp/ada/s4");
    }

    /// <summary>What a session and a user are called, and by which provider, is never taken for one another.</summary>
    [Theory]
    [InlineData(Issuer, "s1", null, "ada")]
    [InlineData(Issuer, null, "s1", "s1")]
    [InlineData("https://idq.example", "s1", null, "")]
    [InlineData("https://idp.exampl", "es1", null, "")]
    [InlineData("https://idp.examples", "1", null, "")]
    public async Task A_logout_names_just_one_session_or_user_of_one_provider(string issuer, string? sid, string? sub, string ended)
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        Dictionary<string, Browser> browsers = new() { ["ada"] = await SignedInAsync(site, "/idp/ada/s1"), ["s1"] = await SignedInAsync(site, "/idp/s1/s2") };
        clock.Advance(TimeSpan.FromSeconds(1));
        var logout = new ProviderLogout { Issuer = issuer, SessionId = sid, Subject = sub, TokenId = "t", ExpiresAt = clock.GetUtcNow().AddMinutes(1) };
        Assert.Equal(ended.Length == 0 ? 0 : 1, await site.Services.GetRequiredService<IProviderSessions>().EndAsync(logout, CancellationToken.None));
        foreach (var (user, browser) in browsers)
        {
            Assert.Equal(user == ended ? "" : user, await browser.GetAsync("/whoami"));
        }
    }

    /// <summary>The answer of the provider's sign-in page was on its way while its session ended.</summary>
    [Fact]
    public async Task A_sign_in_of_a_session_that_has_ended_is_none()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1"))));
        var late = site.NewBrowser();
        await late.GetAsync("/idp/ada/s1");
        Assert.Equal("", await late.GetAsync("/whoami"));
        Assert.Empty(await Users(site).ListAsync("ada"));
    }

    /// <summary>Nobody knows which came first: so it is over, whether it was there or came just after.</summary>
    [Fact]
    public async Task A_sign_in_in_the_millisecond_of_its_users_logout_is_none()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var early = await SignedInAsync(site, "/idp/ada/s1");
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sub: "ada"))));
        Assert.Equal("", await early.GetAsync("/whoami"));
        var late = site.NewBrowser();
        await late.GetAsync("/idp/ada/s2");
        Assert.Equal("", await late.GetAsync("/whoami"));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await SignedInAsync(site, "/idp/ada/s3");
    }

    [Fact]
    public async Task A_sign_in_at_a_provider_without_a_name_is_no_providers()
    {
        var site = await StartFederatedAsync(map: app => app.MapGet("/nowhere", (HttpContext context) => context.SignInAsync(
            new ClaimsPrincipal(new ClaimsIdentity([new("iss", ""), new("sub", "ada"), new("sid", "s1"), new("name", "ada")], "oidc", "name", "role")))));
        await SignedInAsync(site, "/nowhere");
        Assert.Empty(await KeysAsync("provider:*"));
    }

    [Fact]
    public async Task A_session_in_use_stays_findable()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        for (var i = 0; i < 12; i++)
        {
            clock.Advance(TimeSpan.FromMinutes(15));
            Assert.Equal("ada", await browser.GetAsync("/whoami"));
            await browser.GetAsync("/owner");
        }

        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sub: "ada"))));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Finding 5, for a later request that extends it, and for what finds it by its provider.</summary>
    [Fact]
    public async Task A_session_whose_life_was_extended_since_stays_findable()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync(map: app => app.MapGet("/idle/{days:int}", (HttpContext context, int days) => context.Session.SetIdleTimeout(TimeSpan.FromDays(days))));
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        await browser.GetAsync("/idle/9");
        var ends = clock.GetUtcNow().AddDays(9).ToUnixTimeMilliseconds();
        string[] keys = [.. await KeysAsync("provider:*"), .. await KeysAsync("user:{ada}:over")];
        Assert.Equal(3, keys.Length);
        var db = await DatabaseAsync();
        await Eventually.TrueAsync(
            async () => (await Task.WhenAll(keys.Select(key => db.SortedSetRangeByScoreAsync(key, ends)))).All(found => found.Length == 1), what: "its entries live as long as it");
    }

    [Fact]
    public async Task A_token_counts_once()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var token = Sign(Claims(clock, sub: "ada"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, token));
        clock.Advance(TimeSpan.FromSeconds(1));
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        Assert.Equal(HttpStatusCode.BadRequest, await SendAsync(site, token));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task What_is_no_logout_token_of_this_provider_for_this_client_ends_nothing()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync(o => o.TokenValidationParameters = new TokenValidationParameters
        {
            // What a site in development switches off for its ID tokens holds for no logout.
            ValidateIssuer = false,
            ValidateAudience = false,
            ValidateLifetime = false,
            RequireSignedTokens = false,
            RequireExpirationTime = false,
            SignatureValidator = (token, _) => new JsonWebToken(token),
            AudienceValidator = (_, _, _) => true,
            LifetimeValidator = (_, _, _, _) => true,
        });
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        string With(Action<Dictionary<string, object>> change, string? type = "logout+jwt", SecurityKey? key = null, string algorithm = SecurityAlgorithms.RsaSha256)
        {
            var claims = Claims(clock, "s1", "ada");
            change(claims);
            return Sign(claims, key, algorithm, type);
        }

        var now = clock.GetUtcNow().ToUnixTimeSeconds();
        var good = With(_ => { });
        var parts = good.Split('.');
        var publicKey = Encoding.UTF8.GetBytes(Key.Rsa.ExportSubjectPublicKeyInfoPem());
        var refused = new Dictionary<string, string>
        {
            ["nothing"] = "",
            ["no token"] = "none",
            ["unsigned"] = $"{Base64UrlEncoder.Encode("""{"alg":"none","typ":"logout+jwt"}""")}.{parts[1]}.",
            ["signature cut off"] = $"{parts[0]}.{parts[1]}.",
            ["signature of another"] = $"{parts[0]}.{With(c => c["sid"] = "s2").Split('.')[1]}.{parts[2]}",
            ["another's key"] = With(_ => { }, key: NewKey("k1")),
            ["unknown key"] = With(_ => { }, key: NewKey("k2")),
            ["the public key as a secret"] = With(_ => { }, key: new SymmetricSecurityKey(publicKey) { KeyId = "k1" }, algorithm: SecurityAlgorithms.HmacSha256),
            ["another issuer"] = With(c => c["iss"] = "https://other.example"),
            ["no issuer"] = With(c => c.Remove("iss")),
            ["another client"] = With(c => c["aud"] = "bank"),
            ["no client"] = With(c => c.Remove("aud")),
            ["expired"] = With(c => (c["iat"], c["exp"]) = (now - 900, now - 600)),
            ["no expiry"] = With(c => c.Remove("exp")),
            ["too old"] = With(c => (c["iat"], c["exp"]) = (now - 3_600, now + 120)),
            ["from the future"] = With(c => c["iat"] = now + 900),
            ["not yet valid"] = With(c => c["nbf"] = now + 900),
            ["no time of issue"] = With(c => c.Remove("iat")),
            ["a time that is text"] = With(c => c["iat"] = "now"),
            ["no id"] = With(c => c.Remove("jti")),
            ["nonce"] = With(c => c["nonce"] = "n"),
            ["no events"] = With(c => c.Remove("events")),
            ["another event"] = With(c => c["events"] = new Dictionary<string, object> { ["http://schemas.openid.net/event/other"] = new Dictionary<string, object>() }),
            ["an event that is text"] = With(c => c["events"] = new Dictionary<string, object> { [LogoutEvent] = "yes" }),
            ["events that are text"] = With(c => c["events"] = LogoutEvent),
            ["nobody"] = With(c => _ = (c.Remove("sid"), c.Remove("sub"))),
            ["a session that is a number"] = With(c => (c["sid"], c["sub"]) = (1, 2)),
            ["an access token"] = With(_ => { }, type: "at+jwt"),
            ["far too long"] = With(c => c["padding"] = new string('x', 20_000)),
        };
        foreach (var (what, token) in refused)
        {
            Assert.True(await SendAsync(site, token) == HttpStatusCode.BadRequest, what);
            Assert.True(await browser.GetAsync("/whoami") == "ada", what);
        }

        // The same in all but that: it was no other reason.
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, With(_ => { }, type: null)));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task The_form_is_the_only_way_in()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        var token = Sign(Claims(clock, "s1"));
        HttpContent[] others =
        [
            new StringContent(token), new StringContent($$"""{"logout_token":"{{token}}"}""", Encoding.UTF8, "application/json"),
            new MultipartFormDataContent { { new StringContent(token), "logout_token" } },
            new FormUrlEncodedContent([new("logout_token", token), new("logout_token", token)]),
            new FormUrlEncodedContent(Enumerable.Range(0, 50).Select(i => new KeyValuePair<string, string>($"f{i}", "")).Append(new("logout_token", token))),
        ];
        foreach (var content in others)
        {
            using var response = await site.NewBrowser().SendAsync(HttpMethod.Post, Path, content);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }

        using var get = await site.NewBrowser().SendAsync(HttpMethod.Get, $"{Path}?logout_token={token}");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, get.StatusCode);
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_providers_new_key_is_asked_for()
    {
        var clock = StopClock();
        var renewed = NewKey("k9");
        var manager = new RotatingManager(ConfigurationOf(Key), ConfigurationOf(renewed));
        var site = await StartFederatedAsync(manager: manager);
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, "s1"), renewed)));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Nothing is lost where Redis is away: the provider asks again with the same token.</summary>
    [Fact]
    public async Task A_logout_that_failed_may_be_asked_for_again()
    {
        var clock = StopClock();
        using var proxy = new RedisProxy(Server.Address);
        var healthy = await StartFederatedAsync();
        var browser = await SignedInAsync(healthy, "/idp/ada/s1");
        var token = Sign(Claims(clock, "s1"));
        var broken = await StartFederatedAsync(redis: proxy.Address);
        await broken.NewBrowser().GetAsync("/idp/warm/s0");
        proxy.Dispose();
        Assert.Equal(HttpStatusCode.BadRequest, await SendAsync(broken, token));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(healthy, token));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Every_key_of_it_expires()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        await SignedInAsync(site, "/idp/ada/s1");
        await SendAsync(site, Sign(Claims(clock, sub: "eve")));
        var database = await DatabaseAsync();
        var keys = (await KeysAsync("provider:*")).Concat(await KeysAsync("logout:*")).ToArray();
        Assert.Equal(4, keys.Length);
        foreach (var key in keys)
        {
            // The word: an hour. The token's id: as long as any token may be used, and ten minutes. Entries: as long as the session may live, a heartbeat, and an hour.
            var least = key.EndsWith(":ended", StringComparison.Ordinal) ? 59 : key.Contains("logout:", StringComparison.Ordinal) ? 29 : 81;
            Assert.InRange((await database.KeyTimeToLiveAsync(key))!.Value, TimeSpan.FromMinutes(least), TimeSpan.FromMinutes(least + 1));

            // Of whom it is a digest says, of 128 bits.
            Assert.Matches(":{[A-Za-z0-9_-]{22}}", key);
        }
    }

    /// <summary>A service that signs in as one user all day fills no memory; whoever is over soonest is not found any more.</summary>
    [Theory]
    [InlineData(997)]
    [InlineData(998)]
    [InlineData(999)]
    [InlineData(1_000)]
    public async Task A_users_sessions_are_found_up_to_a_thousand(int others)
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        await SignedInAsync(site, "/idp/ada/s1");
        var (database, ends) = (await DatabaseAsync(), clock.GetUtcNow().AddDays(1).ToUnixTimeMilliseconds());
        var keys = await KeysAsync("provider:*");
        Assert.Equal(2, keys.Length);
        foreach (var key in keys)
        {
            await database.SortedSetAddAsync(key, [.. Enumerable.Range(0, others).Select(i => new SortedSetEntry(Guid.NewGuid().ToString(), ends + i))]);
            await database.SortedSetAddAsync(key, "over", clock.GetUtcNow().ToUnixTimeMilliseconds() - 1);
        }

        var late = await SignedInAsync(site, "/idp/ada/s2");
        clock.Advance(TimeSpan.FromSeconds(1));
        long[] lengths = [.. (await Task.WhenAll(keys.Select(key => database.SortedSetLengthAsync(key)))).Order()];

        // The session's set, which nobody enters, has what it had; the user's has lost what was over, and what was too much.
        Assert.Equal([Math.Min(1_000, others + 2), others + 2], lengths);
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s2"))));
        Assert.Equal("", await late.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_logout_of_a_session_and_its_user_ends_no_other_users()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var (ada, eve) = (await SignedInAsync(site, "/idp/ada/s1"), await SignedInAsync(site, "/idp/eve/s1"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1", sub: "ada"))));
        Assert.Equal("", await ada.GetAsync("/whoami"));
        Assert.Equal("eve", await eve.GetAsync("/whoami"));
    }

    /// <summary>Whose it is the provider did not say at the sign-in: then its session's name says enough.</summary>
    [Fact]
    public async Task A_logout_of_a_session_and_its_user_ends_one_that_was_begun_without_a_user()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync(map: app => app.MapGet("/nameless", (HttpContext context) => context.SignInAsync(
            new ClaimsPrincipal(new ClaimsIdentity([new("sid", "s1", null, Issuer), new("name", "ada", null, Issuer)], "oidc", "name", "role")))));
        var browser = await SignedInAsync(site, "/nameless");
        Assert.Single(await KeysAsync("provider:*"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1", sub: "4711"))));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>The set only finds; with whom a session was begun its hash says.</summary>
    [Fact]
    public async Task An_entry_of_anothers_session_ends_nothing()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        await SignedInAsync(site, "/idp/ada/s1");
        var key = (await KeysAsync("provider:*")).Order().ToArray();
        var eve = await SignedInAsync(site, "/idp/eve/s2");
        foreach (var set in key)
        {
            await (await DatabaseAsync()).SortedSetAddAsync(set, await eve.GetAsync("/id"), clock.GetUtcNow().AddDays(1).ToUnixTimeMilliseconds());
        }

        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sub: "ada"))));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1"))));
        Assert.Equal("eve", await eve.GetAsync("/whoami"));
    }

    /// <summary>A session that a server whose clock is ahead began: by its user alone it may be of after the logout, by its own name it is meant.</summary>
    [Fact]
    public async Task A_session_that_was_begun_after_the_logout_by_its_clock_is_ended_by_its_own_name_alone()
    {
        var clock = StopClock();
        var site = await StartFederatedAsync();
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        clock.AdjustTime(clock.GetUtcNow() - TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sub: "ada"))));
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(site, Sign(Claims(clock, sid: "s1"))));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Sessions_that_are_over_or_have_another_id_leave_no_entry()
    {
        StopClock();
        var site = await StartFederatedAsync();
        var browser = await SignedInAsync(site, "/idp/ada/s1");
        var (db, keys) = (await DatabaseAsync(), await KeysAsync("provider:*"));
        await browser.GetAsync("/regenerate");
        var id = await browser.GetAsync("/id");
        Assert.Equal(2, keys.Length);
        await Eventually.TrueAsync(async () => (await EntriesAsync()).All(entries => entries is [var only] && only == id), what: "the id from before is no entry");
        await browser.GetAsync("/logout");
        await Eventually.TrueAsync(async () => (await EntriesAsync()).All(entries => entries.Length == 0), what: "the session is no entry");

        Task<RedisValue[][]> EntriesAsync() => Task.WhenAll(keys.Select(key => db.SortedSetRangeByRankAsync(key)));
    }

    [Fact]
    public async Task A_logout_of_nobody_is_a_mistake()
    {
        var site = await StartFederatedAsync();
        var logout = new ProviderLogout { Issuer = Issuer, TokenId = "t", ExpiresAt = DateTimeOffset.UtcNow.AddMinutes(1) };
        await Assert.ThrowsAsync<ArgumentException>(() => site.Services.GetRequiredService<IProviderSessions>().EndAsync(logout, CancellationToken.None));
    }

    [Fact]
    public async Task What_is_missing_is_said_where_it_is_mapped()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => StartFederatedAsync(o => o.ClientId = null));
        await Assert.ThrowsAsync<InvalidOperationException>(() => StartFederatedAsync(o => (o.ConfigurationManager, o.Authority) = (null, "http://idp.example")));
        await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(app => app.MapBackChannelLogout(Path, o => o.ClientId = Client)));
    }

    private sealed class RotatingManager(OpenIdConnectConfiguration before, OpenIdConnectConfiguration after) : IConfigurationManager<OpenIdConnectConfiguration>
    {
        private OpenIdConnectConfiguration _current = before;

        public Task<OpenIdConnectConfiguration> GetConfigurationAsync(CancellationToken cancel) => Task.FromResult(_current);

        public void RequestRefresh() => _current = after;
    }
}
