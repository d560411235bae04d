using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Authorization;
using RedisSessions.Tests.Attacks;

namespace RedisSessions.Tests.Endpoints;

/// <summary>The dashboard where something is wrong: with Redis, with what is stored, with the request, with where it is mapped.</summary>
public sealed class DashboardFaultTests(InProcessGarnet server) : AttackTest(server)
{
    private const string Policy = "operators";

    private Task<Site> StartDashboardAsync(string pattern = "/admin", string? redis = null, string? pathBase = null, Func<AuthorizationHandlerContext, bool>? lets = null) => StartAttackedAsync(
        map: app =>
        {
            CookieSite.Map(app);
            app.MapSessionDashboard(pattern, Policy);
        },
        services: services =>
        {
            CookieSite.AddServices(services);
            services.AddAuthorizationBuilder().AddPolicy(Policy, policy => policy.RequireAssertion(lets ?? (context => context.User.IsInRole("operator"))));
            services.AddAntiforgery();
        },
        addOns: builder => builder.AddUserIndex().AddSecurity().AddAnalytics(),
        redis: redis,
        afterSession: app =>
        {
            _ = pathBase is null ? app : app.UsePathBase(pathBase);
            app.UseAuthentication().UseRouting().UseAuthorization();
        });

    private static async Task<Browser> OperatorAsync(Site site, string name = "root")
    {
        var browser = site.NewBrowser();
        await browser.GetAsync($"/login/{name}/operator");
        return browser;
    }

    private static async Task<HttpStatusCode> PostAsync(Browser browser, string path, HttpContent form)
    {
        using var response = await browser.SendAsync(HttpMethod.Post, path, form);
        return response.StatusCode;
    }

    private static FormUrlEncodedContent Form(string page, params (string Name, string Value)[] fields) =>
        new(fields.Append(("__RequestVerificationToken", Sample.SampleSite.TokenIn(page))).ToDictionary());

    [Fact]
    public async Task While_Redis_is_away_a_page_says_so_and_an_action_does_not_claim_to_be_done()
    {
        using var way = new HeldRedis(Server.Address);
        var site = await StartDashboardAsync(redis: way.Address);
        var root = await OperatorAsync(site);
        var page = await root.GetAsync("/admin/users");
        way.Dispose();
        foreach (var path in new[] { "/admin", "/admin/users", "/admin/user?id=ada", $"/admin/session?id={Guid.NewGuid()}", "/admin/report.csv" })
        {
            using var response = await root.SendAsync(HttpMethod.Get, path);
            Assert.True(response.StatusCode == HttpStatusCode.ServiceUnavailable, $"{path} answered {response.StatusCode}");
            Assert.Contains("default-src 'none'", Assert.Single(response.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
            Assert.Contains("Redis", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        using var ended = await root.SendAsync(HttpMethod.Post, "/admin/revoke-user", Form(page, ("user", "ada"), ("note", "lost phone")));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ended.StatusCode);
        Assert.Contains("may or may not", await ended.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(root, "/admin/events"));
        Assert.Contains(site.Log.Entries, entry => entry.Message.StartsWith("Dashboard: Redis", StringComparison.Ordinal) && entry.Exception is not null);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_no_session_is_not_shown_as_one_and_breaks_nothing(bool isString)
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var id = Guid.NewGuid().ToString();
        var database = await DatabaseAsync();
        if (isString)
        {
            await database.StringSetAsync(KeyOf(id), "no hash");
        }
        else
        {
            await database.HashSetAsync(KeyOf(id), [new("@v", "no number"), new("@c", "no time"), new("secret", "xyzzy")]);
        }

        using var response = await root.SendAsync(HttpMethod.Get, $"/admin/session?id={id}");
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        var page = await response.Content.ReadAsStringAsync();
        Assert.Contains("cannot be read", page, StringComparison.Ordinal);
        Assert.DoesNotContain("xyzzy", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_sent_in_place_of_a_form_is_refused()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        root.Headers["RequestVerificationToken"] = Sample.SampleSite.TokenIn(await root.GetAsync("/admin/users"));
        foreach (var action in new[] { "revoke", "revoke-user", "revoke-everyone" })
        {
            Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(root, $"/admin/{action}", JsonContent.Create(new { user = "root", confirm = "everyone", note = "x" })));
            Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(root, $"/admin/{action}", new ByteArrayContent([1, 2, 3])));
        }

        Assert.Equal("root", await root.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_form_of_an_earlier_user_of_the_browser_ends_nothing()
    {
        var site = await StartDashboardAsync();
        var browser = await OperatorAsync(site);
        var page = await browser.GetAsync("/admin/users");
        await browser.GetAsync("/login/mallory/operator");
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(browser, "/admin/revoke-everyone", Form(page, ("confirm", "everyone"), ("note", "x"))));
        await browser.GetAsync("/login/eve");
        Assert.Equal(HttpStatusCode.Redirect, await PostAsync(browser, "/admin/revoke-everyone", Form(page, ("confirm", "everyone"), ("note", "x"))));
        Assert.Equal("eve", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Two_operators_who_end_one_session_at_once_are_one_end_and_both_are_told()
    {
        var site = await StartDashboardAsync();
        var (first, second) = (await OperatorAsync(site), await OperatorAsync(site, "admin"));
        var ada = site.NewBrowser();
        var id = await ada.GetAsync("/login/ada");
        var pages = await Task.WhenAll(first.GetAsync("/admin/user?id=ada"), second.GetAsync("/admin/user?id=ada"));
        Events.Clear();
        var ends = await Task.WhenAll(
            first.SendAsync(HttpMethod.Post, "/admin/revoke", Form(pages[0], ("user", "ada"), ("session", id), ("note", "one"))),
            second.SendAsync(HttpMethod.Post, "/admin/revoke", Form(pages[1], ("user", "ada"), ("session", id), ("note", "two"))));
        Assert.Equal(["/admin/user?id=ada&done=gone", "/admin/user?id=ada&done=revoked"], ends.Select(end => end.Headers.Location?.OriginalString).Order());
        Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.Revoked);
        Assert.Equal("", await ada.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData("HEAD")]
    [InlineData("OPTIONS")]
    [InlineData("DELETE")]
    [InlineData("PUT")]
    public async Task Other_methods_show_and_do_nothing(string method)
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        foreach (var path in new[] { "/admin", "/admin/session?id=1", "/admin/report.csv", "/admin/revoke-user?user=root&note=x", "/admin/revoke-everyone?confirm=everyone&note=x" })
        {
            using var response = await root.SendAsync(new HttpMethod(method), path);
            Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
            Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        }

        Assert.Equal("root", await root.GetAsync("/whoami"));
    }

    [Fact]
    public async Task A_policy_that_throws_lets_nobody_in()
    {
        var throws = true;
        var site = await StartDashboardAsync(lets: _ => throws ? throw new InvalidOperationException("no directory") : true);
        var root = await OperatorAsync(site);
        foreach (var path in new[] { "/admin", "/admin/users", "/admin/dashboard.js" })
        {
            var (status, body) = await root.TryAsync(path);
            Assert.Equal(HttpStatusCode.InternalServerError, status);
            Assert.DoesNotContain("<html", body, StringComparison.Ordinal);
        }

        throws = false;
        await root.GetAsync("/admin");
    }

    [Theory]
    [InlineData("/", null, "/", "/users")]
    [InlineData("", null, "/", "/users")]
    [InlineData("/", "/app", "/app", "/app/users")]
    [InlineData("/admin/", "/app", "/app/admin", "/app/admin/users")]
    [InlineData("/of/{tenant}", null, "/of/b%22%3E", "/of/b%22%3E/users")]
    public async Task Links_lead_to_where_it_is_mapped(string pattern, string? pathBase, string home, string users)
    {
        var site = await StartDashboardAsync(pattern, pathBase: pathBase);
        var root = await OperatorAsync(site);
        foreach (var path in new[] { home, users })
        {
            var page = await root.GetAsync(path);
            Assert.Contains($"""<a class="brand" href="{home}">""", page, StringComparison.Ordinal);
            Assert.Contains($"""<a href="{(path == home ? users : home)}">""", page, StringComparison.Ordinal);
            Assert.Contains($"""<script src="{users[..^"users".Length]}dashboard.js" defer>""", page, StringComparison.Ordinal);
        }

        Assert.Contains($"""<form method="get" action="{home}">""", await root.GetAsync(home), StringComparison.Ordinal);
        await root.GetAsync($"{users[..^"users".Length]}dashboard.js");
    }

    /// <summary>Braces would end a hash tag, and a control character an entry of the log.</summary>
    [Theory]
    [InlineData("}{")]
    [InlineData("a\r\nb")]
    [InlineData("ação 東京 🫖")]
    public async Task Whatever_a_user_is_called_the_sessions_are_found_and_ended(string user)
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var browser = site.NewBrowser();
        await browser.GetAsync($"/login/{Uri.EscapeDataString(user)}");
        var page = await root.GetAsync($"/admin/user?id={Uri.EscapeDataString(user)}");
        Assert.DoesNotContain("no live session", page, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Redirect, await PostAsync(root, "/admin/revoke-user", Form(page, ("user", user), ("note", "x"))));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Of_many_users_some_are_listed_and_all_are_found()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        await Task.WhenAll(Enumerable.Range(0, 230).Select(i => From(site, $"10.{i}.0.1").GetAsync($"/login/user-{i}")));
        var page = await root.GetAsync("/admin/users");
        Assert.Contains("200 of the users", page, StringComparison.Ordinal);
        Assert.Equal(200, page.Split("<time ").Length - 1);
        Assert.DoesNotContain("no live session", await root.GetAsync("/admin/user?id=user-229"), StringComparison.Ordinal);
        Assert.Contains("no live session", await root.GetAsync($"/admin/user?id={new string('x', 5_000)}"), StringComparison.Ordinal);
    }
}
