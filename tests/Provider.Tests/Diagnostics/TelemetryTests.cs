using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace RedisSessions.Tests.Diagnostics;

/// <summary>
/// What OpenTelemetry sees: the instruments and spans that docs/operations.md names. Alone, because a source of spans is the
/// whole process's.
/// </summary>
[Collection(Alone.Name)]
public sealed class TelemetryTests(InProcessGarnet garnet) : ServerTest(garnet)
{
    [Fact]
    public async Task Every_instrument_and_both_spans_have_their_documented_names_and_units()
    {
        var metrics = new List<Metric>();
        var spans = new List<System.Diagnostics.Activity>();
        var site = await StartAsync(Pages.Map, addOns: builder => builder.AddSecurity().AddAnalytics(o => o.QueueCapacity = 1));
        using var meters = Sdk.CreateMeterProviderBuilder().AddMeter("RedisSessions").AddInMemoryExporter(metrics).Build();
        using var traces = Sdk.CreateTracerProviderBuilder().SetSampler(new AlwaysOnSampler()).AddSource("RedisSessions").AddInMemoryExporter(spans).Build();

        var browser = site.NewBrowser();
        foreach (var path in new[] { "/set/a/1", "/get/a", "/get/a", "/regenerate", "/get/a" })
        {
            await browser.GetAsync(path);
        }

        var thief = browser.Copy();
        thief.Headers["User-Agent"] = "curl/8";
        await thief.GetAsync("/get/a");
        var held = Open(site, await SecretOfAsync(site));
        await browser.GetAsync("/destroy");
        await browser.GetAsync("/get/a");
        held.SetString("late", "1");
        await site.Sessions.DestroyAsync(held.Id);
        await held.CommitAsync();
        await Open(site, NewSecret()).LoadAsync();

        meters.ForceFlush();
        traces.ForceFlush();
        var seen = metrics.GroupBy(metric => metric.Name).ToDictionary(group => group.Key, group => group.First().Unit);
        var documented = new Dictionary<string, string>
        {
            ["redis_sessions.created"] = "{session}",
            ["redis_sessions.loaded"] = "{session}",
            ["redis_sessions.missing"] = "{session}",
            ["redis_sessions.committed"] = "{commit}",
            ["redis_sessions.commit.dropped"] = "{commit}",
            ["redis_sessions.regenerated"] = "{session}",
            ["redis_sessions.destroyed"] = "{session}",
            ["redis_sessions.rejected"] = "{session}",
            ["redis_sessions.load.duration"] = "s",
            ["redis_sessions.commit.duration"] = "s",
            ["redis_sessions.local_copy.hits"] = "{load}",
            ["redis_sessions.local_copy.misses"] = "{load}",
            ["redis_sessions.local_copy.size"] = "By",
            ["redis_sessions.network.io"] = "By",
            ["redis_sessions.analytics.dropped"] = "{record}",
            ["redis_sessions.analytics.queue"] = "{record}",
        };
        Assert.Equal(documented.OrderBy(pair => pair.Key, StringComparer.Ordinal), seen.OrderBy(pair => pair.Key, StringComparer.Ordinal));
        Assert.Equal(["commit session", "load session"], spans.Select(span => span.OperationName).Distinct().Order());
        Assert.All(spans, span => Assert.Equal(
            ["db.operation.name", "db.system.name", "server.address", "server.port"], span.TagObjects.Select(tag => tag.Key).Order(StringComparer.Ordinal)));
        Assert.All(spans, span => Assert.Equal(Server.Address, $"{span.GetTagItem("server.address")}:{span.GetTagItem("server.port")}"));
        Assert.All(spans, span => Assert.Equal("redis", span.GetTagItem("db.system.name")));
        Assert.Equal(["HGET", "HGETALL"], OperationsOf("load session"));
        Assert.Equal(["EVALSHA"], OperationsOf("commit session"));

        IEnumerable<object?> OperationsOf(string name) =>
            spans.Where(span => span.OperationName == name).Select(span => span.GetTagItem("db.operation.name")).Distinct().OrderBy(operation => (string)operation!, StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_span_says_how_redis_refused()
    {
        var spans = new List<System.Diagnostics.Activity>();
        var site = await StartAsync(Pages.Map);
        using var traces = Sdk.CreateTracerProviderBuilder().SetSampler(new AlwaysOnSampler()).AddSource("RedisSessions").AddInMemoryExporter(spans).Build();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var key = KeyOf(await browser.GetAsync("/id"));
        await (await DatabaseAsync()).KeyDeleteAsync(key);
        await (await DatabaseAsync()).StringSetAsync(key, "somebody else's");
        await browser.GetAsync("/available");

        traces.ForceFlush();
        var refused = spans.Last(span => span.OperationName == "load session");
        Assert.Equal(System.Diagnostics.ActivityStatusCode.Error, refused.Status);
        Assert.Equal("WRONGTYPE", refused.GetTagItem("db.response.status_code"));
    }

    /// <summary>A stored session, opened as a request would.</summary>
    private static async Task<string> SecretOfAsync(Site site) => (await site.Sessions.CreateAsync([new("a", [1])])).SecretKey;
}
