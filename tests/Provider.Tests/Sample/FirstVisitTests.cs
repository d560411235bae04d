using System.Net;
using StackExchange.Redis;

namespace RedisSessions.Tests.Sample;

/// <summary>The sample without a browser: what it stores for whom, and what it says to whoever starts it.</summary>
[Collection(Alone.Name)]
public sealed class FirstVisitTests(InProcessGarnet server)
{
    [Fact]
    public async Task A_first_visit_stores_nothing_and_sets_no_session_cookie()
    {
        server.SkipIfMissing();
        using var redis = new EmbeddedGarnet();
        using var site = await SampleSite.StartAsync(redis.Address);
        using var client = new HttpClient { BaseAddress = site.Address };
        foreach (var path in new[] { "/", "/Cart", "/Compare", "/Session", "/Security", "/Account/SignIn", "/api/cart", "/health" })
        {
            using var response = await client.GetAsync(new Uri(path, UriKind.Relative));
            Assert.True(response.IsSuccessStatusCode, path);
            var cookies = response.Headers.TryGetValues("Set-Cookie", out var values) ? values : [];
            Assert.DoesNotContain(cookies, cookie => cookie.Contains(Browser.SessionCookie, StringComparison.Ordinal));
        }

        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        Assert.Empty(admin.GetServers()[0].Keys(pattern: "session:{*"));
    }

    [Fact]
    public async Task It_greets_with_its_address_and_the_environment_of_a_developer()
    {
        using var site = await SampleSite.StartAsync();
        await Eventually.TrueAsync(() => site.Output.Contains("Hosting environment: Development", StringComparison.Ordinal), what: "it greets");
        Assert.Contains("in-process Garnet", site.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("load session", site.Output, StringComparison.Ordinal);
        Assert.Contains($"Now listening on: {site.Address.ToString().TrimEnd('/')}", site.Output, StringComparison.Ordinal);
        var profiles = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "samples", "MvcSample", "Properties", "launchSettings.json"));
        Assert.Contains("\"applicationUrl\": \"http://localhost:5080\"", profiles, StringComparison.Ordinal);
        Assert.Contains("\"ASPNETCORE_ENVIRONMENT\": \"Development\"", profiles, StringComparison.Ordinal);
    }

    /// <summary>As the sample's page in the documentation says.</summary>
    [Fact]
    public async Task A_setting_shows_metrics_and_traces_on_the_console()
    {
        using var site = await SampleSite.StartAsync(null, "http", ("Telemetry", "console"), ("OTEL_METRIC_EXPORT_INTERVAL", "100"));
        using var visitor = new SampleVisitor(site.Address);
        await visitor.PostAsync("/Cart/Add", await visitor.GetAsync("/"), ("id", "tea"));
        await visitor.GetAsync("/Cart");
        foreach (var text in new[] { "load session", "commit session", "redis_sessions.network.io" })
        {
            await Eventually.TrueAsync(() => site.Output.Contains(text, StringComparison.Ordinal), what: $"the console shows {text}");
        }
    }

    [Fact]
    public async Task While_Redis_is_away_one_may_look_and_buying_says_that_it_did_not_work()
    {
        using var redis = new EmbeddedGarnet();
        using var way = new HeldRedis(redis.Address);
        using var site = await SampleSite.StartAsync(way.Address, "http", ("ASPNETCORE_ENVIRONMENT", "Production"));
        using var visitor = new SampleVisitor(site.Address);
        var page = await visitor.GetAsync("/");
        way.Dispose();
        Assert.Contains("Porcelain cup", await visitor.GetAsync("/"), StringComparison.Ordinal);
        var (status, body) = await visitor.SendAsync("/Cart/Add", page, ("id", "tea"));
        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.Contains("That did not work", body, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", body, StringComparison.Ordinal);
    }

    [Fact]
    public void Its_program_is_read_at_a_glance() =>
        Assert.InRange(File.ReadAllLines(Path.Combine(RepositoryRoot.Path, "samples", "MvcSample", "Program.cs")).Length, 1, 79);

    /// <summary>Adding on the server loses nothing, of one product or of several.</summary>
    [Fact]
    public async Task A_cart_that_is_filled_by_requests_at_once_has_everything()
    {
        using var redis = new EmbeddedGarnet();
        using var site = await SampleSite.StartAsync(redis.Address);
        using var client = new HttpClient { BaseAddress = site.Address };
        var token = SampleSite.TokenIn(await client.GetStringAsync(new Uri("/", UriKind.Relative)));
        await AddAsync("mug");
        await Task.WhenAll(Enumerable.Range(0, 12).Select(i => AddAsync(i % 2 == 0 ? "tea" : "pot")));
        Assert.Contains("<span id=\"cart-count\">13</span>", await client.GetStringAsync(new Uri("/Cart", UriKind.Relative)), StringComparison.Ordinal);

        async Task AddAsync(string id)
        {
            using var form = new FormUrlEncodedContent(new Dictionary<string, string> { ["id"] = id, ["__RequestVerificationToken"] = token });
            using var response = await client.PostAsync(new Uri("/Cart/Add", UriKind.Relative), form);
            response.EnsureSuccessStatusCode();
        }
    }
}
