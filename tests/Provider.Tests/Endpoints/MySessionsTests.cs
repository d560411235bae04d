using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using RedisSessions.Tests.Attacks;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Endpoints;

/// <summary>What a user can do to sessions over HTTP: to the user's own whatever the page offers, to anybody else's nothing.</summary>
public sealed class MySessionsTests(InProcessGarnet server) : AttackTest(server)
{
    private const string Mine = "/account/sessions";
    private const string MineByToken = "/api/sessions";

    private Task<Site> StartMineAsync() => StartAttackedAsync(
        map: app =>
        {
            CookieSite.Map(app);
            app.MapMySessions(Mine, o => o.RecentSignInMinutes = 5);
            app.MapMySessions(MineByToken).RequireAuthorization(new AuthorizeAttribute { AuthenticationSchemes = BearerHandler.SchemeName });
        },
        services: services =>
        {
            CookieSite.AddServices(services);
            services.AddAntiforgery();
        });

    private sealed record Listed(string Id, string Device, string? Network, DateTimeOffset LastSeen, bool Current);

    private static async Task<Listed[]> ListAsync(Browser browser, string path = Mine)
    {
        using var answer = JsonDocument.Parse(await browser.GetAsync(path));
        var antiforgery = answer.RootElement.GetProperty("antiforgery");
        browser.Headers[antiforgery.GetProperty("header").GetString()!] = antiforgery.GetProperty("token").GetString()!;
        return [.. answer.RootElement.GetProperty("sessions").EnumerateArray().Select(session => new Listed(
            session.GetProperty("id").GetString()!,
            session.GetProperty("device").GetString()!,
            session.GetProperty("network").GetString(),
            session.GetProperty("lastSeen").GetDateTimeOffset(),
            session.GetProperty("current").GetBoolean()))];
    }

    private static async Task<HttpStatusCode> DeleteAsync(Browser browser, string path)
    {
        using var response = await browser.SendAsync(HttpMethod.Delete, path);
        return response.StatusCode;
    }

    private static async Task<(Browser Browser, string Id)> SignInAsync(Site site, string user, string address = "192.0.2.7", string agent = Firefox)
    {
        var browser = From(site, address, agent);
        return (browser, await browser.GetAsync($"/login/{user}"));
    }

    [Fact]
    public async Task A_user_sees_every_device_and_which_is_this_one()
    {
        var site = await StartMineAsync();
        var (here, hereId) = await SignInAsync(site, "ada");
        var (_, thereId) = await SignInAsync(site, "ada", "2001:db8:1:2:3::4", Chrome);
        await SignInAsync(site, "grace");
        var listed = await ListAsync(here);
        Assert.Equal(2, listed.Length);
        var current = Assert.Single(listed, session => session.Current);
        Assert.Equal((hereId, "Firefox on Windows", "192.0.2.0/24"), (current.Id, current.Device, current.Network));
        var other = Assert.Single(listed, session => !session.Current);
        Assert.Equal((thereId, "Chrome on Linux", "2001:db8:1:2::/64"), (other.Id, other.Device, other.Network));
    }

    [Fact]
    public async Task A_list_goes_on_where_it_is_asked_to()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        await SignInAsync(site, "ada");
        Assert.Single(await ListAsync(here, $"{Mine}?skip=1"));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(here, $"{Mine}?skip=-1"));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(here, $"{Mine}?skip=99999999999"));
    }

    [Fact]
    public async Task One_device_is_signed_out_and_the_record_says_by_whom()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        await ListAsync(here);
        Events.Clear();
        Assert.Equal(HttpStatusCode.NoContent, await DeleteAsync(here, $"{Mine}/{thereId.ToUpperInvariant()}"));
        Assert.Equal("", await there.GetAsync("/whoami"));
        Assert.Equal("ada", await here.GetAsync("/whoami"));
        var revoked = Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.Revoked);
        Assert.Equal((thereId, "ada", "ada"), (revoked.SessionId, revoked.UserId, revoked.By));
        Assert.Equal(HttpStatusCode.NotFound, await DeleteAsync(here, $"{Mine}/{thereId}"));
    }

    [Fact]
    public async Task Every_other_device_is_signed_out_at_once()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, _) = await SignInAsync(site, "ada");
        var (elsewhere, _) = await SignInAsync(site, "ada");
        var (grace, _) = await SignInAsync(site, "grace");
        await ListAsync(here);
        using (var response = await here.SendAsync(HttpMethod.Delete, $"{Mine}/others"))
        {
            Assert.Equal("""{"revoked":2}""", await response.Content.ReadAsStringAsync());
        }

        Assert.Equal(["ada", "", "", "grace"], [await here.GetAsync("/whoami"), await there.GetAsync("/whoami"), await elsewhere.GetAsync("/whoami"), await grace.GetAsync("/whoami")]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nobody_ends_another_users_session(bool upperCase)
    {
        var site = await StartMineAsync();
        var (grace, graceId) = await SignInAsync(site, "grace");
        var (eve, _) = await SignInAsync(site, "eve");
        Assert.DoesNotContain(await ListAsync(eve), session => session.Id == graceId);
        var unknown = await DeleteAsync(eve, $"{Mine}/{Guid.NewGuid()}");
        Assert.Equal(HttpStatusCode.NotFound, unknown);
        Assert.Equal(unknown, await DeleteAsync(eve, $"{Mine}/{(upperCase ? graceId.ToUpperInvariant() : graceId)}"));
        Assert.Equal(unknown, await DeleteAsync(eve, $"{Mine}/nonsense"));
        await DeleteAsync(eve, $"{Mine}/others");
        Assert.Equal("grace", await grace.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Nothing_ends_without_an_antiforgery_token_of_this_user()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        Assert.Equal(HttpStatusCode.BadRequest, await DeleteAsync(here, $"{Mine}/{thereId}"));
        Assert.Equal(HttpStatusCode.BadRequest, await DeleteAsync(here, $"{Mine}/others"));

        // An attacker has a token, too, and can perhaps plant its cookie.
        var (eve, _) = await SignInAsync(site, "eve");
        await ListAsync(eve);
        foreach (var (name, value) in eve.Cookies.Where(cookie => cookie.Key.Contains("Antiforgery", StringComparison.Ordinal)))
        {
            here.SetCookie(name, value);
        }

        here.Headers["RequestVerificationToken"] = eve.Headers["RequestVerificationToken"];
        Assert.Equal(HttpStatusCode.BadRequest, await DeleteAsync(here, $"{Mine}/{thereId}"));
        Assert.Equal(HttpStatusCode.BadRequest, await DeleteAsync(here, $"{Mine}/others"));
        Assert.Equal("ada", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_link_ends_nothing()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        await ListAsync(here);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, await StatusAsync(here, $"{Mine}/{thereId}"));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, await StatusAsync(here, $"{Mine}/others"));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, await DeleteAsync(here, Mine));
        Assert.Equal("ada", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Whoever_is_not_signed_in_is_told_so_and_not_sent_to_a_page()
    {
        var site = await StartMineAsync();
        var (here, hereId) = await SignInAsync(site, "ada");
        await ListAsync(here);
        var anonymous = From(site, "192.0.2.7");
        anonymous.Headers["RequestVerificationToken"] = here.Headers["RequestVerificationToken"];
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(anonymous, Mine));
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(anonymous, $"{Mine}/{hereId}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(anonymous, $"{Mine}/others"));

        // A token that this page does not ask for counts for nothing.
        BearerHandler.Use(anonymous, "ada");
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(anonymous, Mine));
        Assert.Equal("ada", await here.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_stolen_bearer_token_ends_nothing_beside_a_fresh_sign_in_of_the_thiefs_own()
    {
        var site = await StartMineAsync();
        var (ada, adaId) = await SignInAsync(site, "ada");
        var (eve, eveId) = await SignInAsync(site, "eve");
        BearerHandler.Use(eve, "ada");
        Assert.Equal(adaId, Assert.Single(await ListAsync(eve, MineByToken)).Id);
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(eve, $"{MineByToken}/{adaId}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(eve, $"{MineByToken}/others"));
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(eve, $"{MineByToken}/{eveId}"));
        Assert.Equal("ada", await ada.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Ending_a_session_asks_for_a_recent_sign_in_and_looking_does_not()
    {
        var clock = StopClock();
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        var (there, thereId) = await SignInAsync(site, "ada");
        clock.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(2, (await ListAsync(here)).Length);
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(here, $"{Mine}/{thereId}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await DeleteAsync(here, $"{Mine}/others"));
        Assert.Equal("ada", await there.GetAsync("/whoami"));
        await here.GetAsync("/login/ada");
        await ListAsync(here);
        Assert.Equal(HttpStatusCode.NoContent, await DeleteAsync(here, $"{Mine}/{thereId}"));
        Assert.Equal("", await there.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Answers_are_kept_by_nobody()
    {
        var site = await StartMineAsync();
        var (here, _) = await SignInAsync(site, "ada");
        using var response = await here.SendAsync(HttpMethod.Get, Mine);
        Assert.True(response.Headers.CacheControl?.NoStore);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
    }

    [Theory]
    [InlineData("services.AddAntiforgery()", false, true, true)]
    [InlineData(".AddUserIndex()", true, false, true)]
    [InlineData(".AddSecurity()", true, true, false)]
    public async Task What_is_missing_is_said_when_the_site_starts(string sentence, bool antiforgery, bool users, bool security)
    {
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAttackedAsync(
            map: app => app.MapMySessions(Mine),
            services: services =>
            {
                SignInSite.AddServices(services);
                if (antiforgery)
                {
                    services.AddAntiforgery();
                }
            },
            addOns: builder =>
            {
                _ = users ? builder.AddUserIndex() : builder;
                _ = security ? builder.AddSecurity() : builder;
            }));
        Assert.Contains(sentence, exception.Message, StringComparison.Ordinal);
    }
}
