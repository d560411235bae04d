using System.Net;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Authorization;
using RedisSessions.Tests.Attacks;

namespace RedisSessions.Tests.Endpoints;

/// <summary>The dashboard from outside: who sees what, what it can be made to do, and what it can be made to say.</summary>
public sealed partial class DashboardTests(InProcessGarnet server) : AttackTest(server)
{
    private const string Dashboard = "/admin/sessions";
    private const string Policy = "operators";
    private static readonly string[] Pages = ["", "/users", "/user?id=ada", "/session?id=1", "/events", "/report.csv", "/dashboard.css", "/dashboard.js"];

    private static void AddServices(IServiceCollection services)
    {
        CookieSite.AddServices(services);
        services.AddAuthorizationBuilder().AddPolicy(Policy, policy => policy.RequireRole("operator")).AddPolicy("anybody", policy => policy.RequireAssertion(_ => true));
        services.AddAntiforgery();
    }

    private Task<Site> StartDashboardAsync(
        Action<SessionDashboardOptions>? options = null,
        string policy = Policy,
        Action<IEndpointConventionBuilder>? conventions = null,
        Action<RedisSessionBuilder>? addOns = null,
        Action<IServiceCollection>? services = null) => StartAttackedAsync(
            map: app =>
            {
                CookieSite.Map(app);
                app.MapGet("/track", (HttpContext context, string name) =>
                {
                    context.Session.SetString("secret", "xyzzy");
                    context.Session.Track(name);
                });
                var dashboard = app.MapSessionDashboard(Dashboard, policy, options);
                conventions?.Invoke(dashboard);
            },
            services: services ?? AddServices,
            addOns: addOns ?? (builder => builder.AddUserIndex().AddSecurity().AddAnalytics(o => o.FlushInterval = TimeSpan.FromMilliseconds(20))));

    private static async Task<Browser> OperatorAsync(Site site)
    {
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/root/operator");
        return browser;
    }

    private static Task<HttpResponseMessage> PostAsync(Browser browser, string page, string html, params (string Name, string Value)[] fields)
    {
        var form = fields.ToDictionary(field => field.Name, field => field.Value);
        if (Token().Match(html) is { Success: true } token)
        {
            form["__RequestVerificationToken"] = token.Groups[1].Value;
        }

        return browser.SendAsync(HttpMethod.Post, $"{Dashboard}/{page}", new FormUrlEncodedContent(form));
    }

    [Theory]
    [InlineData(null, "under an authorization policy only")]
    [InlineData("", "under an authorization policy only")]
    [InlineData(" ", "under an authorization policy only")]
    [InlineData("operatorz", "no authorization policy \"operatorz\"")]
    public async Task Without_a_policy_the_site_does_not_start_and_says_what_to_write(string? policy, string sentence)
    {
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => StartDashboardAsync(policy: policy!));
        Assert.Contains(sentence, exception.Message, StringComparison.Ordinal);
        Assert.Contains("app.MapSessionDashboard(\"/admin/sessions\", \"operators\")", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_two_hundred_security_events_are_shown_the_newest_first()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        for (var i = 0; i < 201; i++)
        {
            foreach (var sink in site.Services.GetServices<ISessionSecurityEvents>())
            {
                sink.Report(new SessionSecurityEvent(SessionSecurityEventKind.Suspicious, null, $"user-{i:000}", null));
            }
        }

        var shown = Reported().Matches(await root.GetAsync($"{Dashboard}/events")).Select(match => match.Value).Distinct().ToArray();
        Assert.Equal(Enumerable.Range(1, 200).Reverse().Select(i => $"user-{i:000}"), shown);
    }

    [GeneratedRegex("user-[0-9]{3}")]
    private static partial Regex Reported();

    [Fact]
    public async Task Without_antiforgery_the_site_does_not_start()
    {
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => StartDashboardAsync(services: services =>
        {
            CookieSite.AddServices(services);
            services.AddAuthorizationBuilder().AddPolicy(Policy, policy => policy.RequireRole("operator"));
        }));
        Assert.Contains("services.AddAntiforgery()", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_gets_in_but_who_the_policy_lets_in()
    {
        var site = await StartDashboardAsync();
        var anonymous = site.NewBrowser();
        var user = site.NewBrowser();
        await user.GetAsync("/login/eve");
        var token = site.NewBrowser();
        BearerHandler.Use(token, "root");
        var root = await OperatorAsync(site);
        foreach (var page in Pages)
        {
            Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(anonymous, Dashboard + page));
            Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(user, Dashboard + page));
            Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(token, Dashboard + page));
            Assert.Equal(page.StartsWith("/session", StringComparison.Ordinal) ? HttpStatusCode.NotFound : HttpStatusCode.OK, await StatusAsync(root, Dashboard + page));
        }

        var form = await root.GetAsync($"{Dashboard}/users");
        using var refused = await PostAsync(user, "revoke-everyone", form, ("confirm", "everyone"), ("note", "why not"));
        Assert.Equal(HttpStatusCode.Redirect, refused.StatusCode);
        Assert.Equal("root", await root.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData("anybody", false)]
    [InlineData(Policy, true)]
    public async Task Nobody_anonymous_gets_in_whatever_policy_and_conventions_say(string policy, bool allowAnonymous)
    {
        var site = await StartDashboardAsync(policy: policy, conventions: allowAnonymous ? builder => builder.WithMetadata(new AllowAnonymousAttribute()) : null);
        var anonymous = site.NewBrowser();
        Assert.All(await Task.WhenAll(Pages.Select(page => StatusAsync(anonymous, Dashboard + page))), status => Assert.Equal(HttpStatusCode.Forbidden, status));
        Assert.Equal(HttpStatusCode.Forbidden, (await PostAsync(anonymous, "revoke-everyone", "", ("confirm", "everyone"), ("note", "x"))).StatusCode);
    }

    [Fact]
    public async Task The_overview_has_the_figures_of_the_day()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var ada = From(site, "192.0.2.7");
        await ada.GetAsync("/login/ada");
        await ada.GetAsync("/track?name=ordered");
        await Eventually.TrueAsync(
            async () =>
            {
                var page = await root.GetAsync(Dashboard);
                return page.Contains("""<dd id="live">2</dd>""", StringComparison.Ordinal)
                    && page.Contains("""<dd id="unique">2</dd>""", StringComparison.Ordinal)
                    && page.Contains("Firefox on Windows", StringComparison.Ordinal)
                    && page.Contains("192.0.2.7", StringComparison.Ordinal)
                    && page.Contains("ordered", StringComparison.Ordinal);
            },
            what: "the figures are there");
        var earlier = await root.GetAsync($"{Dashboard}?day=2024-02-29");
        Assert.Contains("The day 2024-02-29", earlier, StringComparison.Ordinal);
        Assert.DoesNotContain("Firefox on Windows", earlier, StringComparison.Ordinal);
        await root.GetAsync($"{Dashboard}?day=nonsense");
    }

    [Fact]
    public async Task A_part_whose_add_on_is_missing_says_what_to_write()
    {
        var site = await StartDashboardAsync(addOns: _ => { });
        var root = await OperatorAsync(site);
        Assert.Contains("AddAnalytics()", await root.GetAsync(Dashboard), StringComparison.Ordinal);
        Assert.Contains("AddUserIndex()", await root.GetAsync($"{Dashboard}/users"), StringComparison.Ordinal);
        Assert.Contains("AddSecurity()", await root.GetAsync($"{Dashboard}/events"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(root, $"{Dashboard}/user?id=ada"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(root, $"{Dashboard}/report.csv"));
    }

    [Fact]
    public async Task Pages_run_and_show_nothing_but_their_own_files()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        foreach (var page in new[] { "", "/users", "/user?id=root", "/events" })
        {
            using var response = await root.SendAsync(HttpMethod.Get, Dashboard + page);
            var policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
            Assert.Contains("default-src 'none'; script-src 'self'; style-src 'self'", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("DENY", Assert.Single(response.Headers.GetValues("X-Frame-Options")));
            Assert.True(response.Headers.CacheControl?.NoStore);
            var html = await response.Content.ReadAsStringAsync();
            Assert.DoesNotMatch(Inline(), html);
            Assert.All(Links().Matches(html), link => Assert.Matches($"^({Dashboard}|#)", link.Groups[1].Value));
        }
    }

    [Theory]
    [InlineData("dashboard.css", "text/css")]
    [InlineData("dashboard.js", "text/javascript")]
    [InlineData("dashboard.svg", "image/svg+xml")]
    public async Task A_file_is_sent_once_and_then_known(string name, string type)
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        using var first = await root.SendAsync(HttpMethod.Get, $"{Dashboard}/{name}");
        Assert.Equal(type, first.Content.Headers.ContentType?.MediaType);
        root.Headers["If-None-Match"] = first.Headers.ETag!.ToString();
        Assert.Equal(HttpStatusCode.NotModified, await StatusAsync(root, $"{Dashboard}/{name}"));
        root.Headers["If-None-Match"] = "\"another\"";
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(root, $"{Dashboard}/{name}"));
    }

    [Fact]
    public async Task An_operator_ends_a_session_and_the_record_says_who_and_why()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var (ada, other) = (site.NewBrowser(), site.NewBrowser());
        var id = await ada.GetAsync("/login/ada");
        await other.GetAsync("/login/ada");
        var page = await root.GetAsync($"{Dashboard}/user?id=ada");
        Events.Clear();
        using (var response = await PostAsync(root, "revoke", page, ("user", "ada"), ("session", id), ("note", "lost\r\nphone")))
        {
            Assert.Equal($"{Dashboard}/user?id=ada&done=revoked", response.Headers.Location?.OriginalString);
        }

        Assert.Equal(["", "ada"], [await ada.GetAsync("/whoami"), await other.GetAsync("/whoami")]);
        var revoked = Assert.Single(Events.All, e => e.Kind == SessionSecurityEventKind.Revoked);
        Assert.Equal((id, "ada", "root", "lostphone"), (revoked.SessionId, revoked.UserId, revoked.By, revoked.Detail));
        Assert.Contains(site.Log.Entries, entry => entry.Message.Contains("An operator revoked a session; By:root, User:ada", StringComparison.Ordinal));
        Assert.Contains("lostphone", await root.GetAsync($"{Dashboard}/events"), StringComparison.Ordinal);

        using var all = await PostAsync(root, "revoke-user", page, ("user", "ada"), ("note", "left the company"));
        Assert.Equal(HttpStatusCode.Redirect, all.StatusCode);
        Assert.Equal("", await other.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Nothing_ends_without_a_token_a_reason_and_a_form()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var ada = site.NewBrowser();
        var id = await ada.GetAsync("/login/ada");
        var page = await root.GetAsync($"{Dashboard}/user?id=ada");
        foreach (var action in new[] { "revoke", "revoke-user", "revoke-everyone" })
        {
            (string, string)[] fields = [("user", "ada"), ("session", id), ("confirm", "everyone")];
            Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync(root, action, "", [.. fields, ("note", "forged")])).StatusCode);
            Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync(root, action, page, [.. fields, ("note", " \n")])).StatusCode);
            Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync(root, action, page, ("note", "nobody"))).StatusCode);
            Assert.Equal(HttpStatusCode.MethodNotAllowed, await StatusAsync(root, $"{Dashboard}/{action}?user=ada&session={id}&note=x&confirm=everyone"));
        }

        Assert.Equal("ada", await ada.GetAsync("/whoami"));
    }

    [Fact]
    public async Task Everyone_is_signed_out_by_who_typed_it()
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var ada = site.NewBrowser();
        await ada.GetAsync("/login/ada");
        Events.Clear();
        using var response = await PostAsync(root, "revoke-everyone", await root.GetAsync($"{Dashboard}/users"), ("confirm", "Everyone "), ("note", "keys leaked"));
        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.Equal(["", ""], [await ada.GetAsync("/whoami"), await root.GetAsync("/whoami")]);
        Assert.All(Events.All.Where(e => e.Kind == SessionSecurityEventKind.Revoked), e => Assert.Equal(("root", "keys leaked"), (e.By, e.Detail)));
    }

    /// <summary>Whatever a user is called, comes with, or does: it is text.</summary>
    [Fact]
    public async Task What_comes_from_users_is_never_markup()
    {
        const string Attack = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        var eve = From(site, "192.0.2.7", $"Firefox/1 {Attack} Windows");
        var id = await eve.GetAsync($"/login/{Uri.EscapeDataString(Attack)}");
        await eve.GetAsync($"/set/{Uri.EscapeDataString(Attack.Replace("/", "", StringComparison.Ordinal))}/1");
        await eve.GetAsync($"/track?name={Uri.EscapeDataString(Attack)}");
        var user = Uri.EscapeDataString(Attack);
        var page = await root.GetAsync($"{Dashboard}/user?id={user}");
        await PostAsync(root, "revoke", page, ("user", Attack), ("session", Guid.NewGuid().ToString()), ("note", Attack));
        await Eventually.TrueAsync(async () => (await root.GetAsync(Dashboard)).Contains("alert(1)", StringComparison.Ordinal), what: "the event is counted");
        foreach (var path in new[] { "", "/users", $"/user?id={user}&done={user}", $"/session?id={id}&user={user}", "/events", $"?day={user}" })
        {
            var html = await root.GetAsync(Dashboard + path);
            Assert.DoesNotMatch(Inline(), html);
            Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
            Assert.Single(Scripts().Matches(html));
        }

        Assert.Contains("&lt;script&gt;", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("=cmd|' /C calc'!A0", ",'=cmd|' /C calc'!A0,1")]
    [InlineData("@SUM(1,2)", ",\"'@SUM(1,2)\",1")]
    [InlineData(" -2+3", ",' -2+3,1")]
    [InlineData("say \"hi\"", ",\"say \"\"hi\"\"\",1")]
    public async Task A_spreadsheet_runs_nothing_of_a_report(string name, string cell)
    {
        var site = await StartDashboardAsync();
        var root = await OperatorAsync(site);
        await site.NewBrowser().GetAsync($"/track?name={Uri.EscapeDataString(name)}");
        await Eventually.TrueAsync(async () => (await root.GetAsync($"{Dashboard}/report.csv")).Contains(cell, StringComparison.Ordinal), what: cell);
        using var response = await root.SendAsync(HttpMethod.Get, $"{Dashboard}/report.csv?from=2024-02-28&to=2024-03-01");
        Assert.Equal("sessions-2024-02-28-2024-03-01.csv", response.Content.Headers.ContentDisposition?.FileName?.Trim('"'));
        Assert.Equal("text/csv", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(root, $"{Dashboard}/report.csv?from=2024-03-02&to=2024-03-01"));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(root, $"{Dashboard}/report.csv?from=2001-01-01&to=2024-03-01"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Values_are_shown_only_where_an_option_says_so_and_the_look_is_recorded(bool shown)
    {
        var site = await StartDashboardAsync(options => options.ShowValues = shown);
        var root = await OperatorAsync(site);
        var ada = site.NewBrowser();
        var id = await ada.GetAsync("/login/ada");
        await ada.GetAsync("/track?name=x");
        var page = await root.GetAsync($"{Dashboard}/session?id={id}&user=ada");
        Assert.Contains("<code>secret</code>", page, StringComparison.Ordinal);
        Assert.Equal(shown, page.Contains("xyzzy", StringComparison.Ordinal));
        Assert.Equal(shown, site.Log.Entries.Any(entry => entry.Message.Contains("looked at the values of a session; By:root, User:ada", StringComparison.Ordinal)));
    }

    // A script without a file of its own, a style in the page, an attribute that is code, an address of code.
    [GeneratedRegex("""<script(?! src=)|<style|<(?:[^>"]|"[^"]*")*\s(?:style|on\w+)=|="javascript:""", RegexOptions.IgnoreCase)]
    private static partial Regex Inline();

    [GeneratedRegex("<script", RegexOptions.IgnoreCase)]
    private static partial Regex Scripts();

    [GeneratedRegex("""(?:href|src|action)="([^"]*)""")]
    private static partial Regex Links();

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();
}
