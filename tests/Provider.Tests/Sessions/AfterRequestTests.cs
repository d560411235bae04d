using Microsoft.AspNetCore.Http.Features;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// A session that user code keeps beyond its request: it can still be written, as the in-box one can, and has no part any more
/// in a response. A finished request's features, on Kestrel, and its HttpContext, where an application's factory pools them,
/// serve the next request on the connection, which may be another user's.
/// </summary>
public abstract class AfterRequestTests(RedisServer server) : ServerTest(server)
{
    private readonly TaskCompletionSource _secondIsHere = new();
    private readonly TaskCompletionSource _secondMayEnd = new();
    private ISession? _kept;
    private HttpContext? _firstContext;
    private IHttpResponseFeature? _firstResponse;
    private (bool Response, bool Context) _isSame;

    private void Map(WebApplication app)
    {
        Pages.Map(app);
        app.MapGet("/keep", (HttpContext context) =>
        {
            _kept = context.Session;
            (_firstContext, _firstResponse) = (context, context.Features.Get<IHttpResponseFeature>());
            return context.Session.GetString("a") ?? "";
        });
        app.MapGet("/destroy-and-keep", async (HttpContext context) =>
        {
            _kept = context.Session;
            (_firstContext, _firstResponse) = (context, context.Features.Get<IHttpResponseFeature>());
            await context.Session.DestroyAsync();
            return "";
        });
        app.MapGet("/second", async (HttpContext context) =>
        {
            _isSame = (ReferenceEquals(context.Features.Get<IHttpResponseFeature>(), _firstResponse), ReferenceEquals(context, _firstContext));
            _secondIsHere.SetResult();
            await _secondMayEnd.Task;
            return "second";
        });
    }

    [Fact]
    public async Task A_value_set_after_the_request_is_stored_by_CommitAsync()
    {
        var site = await StartAsync(Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/keep");
        await KeepsWorkingAsync(browser);
    }

    [Fact]
    public async Task A_value_set_after_the_request_is_stored_by_CommitAsync_on_kestrel()
    {
        await using var site = await KestrelSite.StartAsync(Server.Address + RedisServer.Patient, Map, Fleet);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/keep");
        await KeepsWorkingAsync(browser);
    }

    private async Task KeepsWorkingAsync(Browser browser)
    {
        // The response is complete a moment before its request is.
        await Eventually.TrueAsync(() => IsOver(_firstContext!), what: "the end of the request");
        var kept = _kept!;
        kept.SetString("late", "1");
        kept.Remove("a");
        Assert.Equal(["late"], kept.Keys);
        await kept.CommitAsync();
        Assert.Equal("late", await browser.GetAsync("/keys"));

        static bool IsOver(HttpContext context)
        {
            try
            {
                _ = context.Response.HasStarted;
                return false;
            }
            catch (ObjectDisposedException)
            {
                return true;
            }
        }
    }

    /// <summary>What user code does with the session that it kept while the connection's next request runs.</summary>
    public static TheoryData<string, bool> Attacks
    {
        get
        {
            var attacks = new TheoryData<string, bool>();
            foreach (var attack in new[] { "set", "clear", "idle", "regenerate", "destroy", "destroyed" })
            {
                attacks.Add(attack, false);
                attacks.Add(attack, true);
            }

            return attacks;
        }
    }

    [Theory]
    [MemberData(nameof(Attacks))]
    public async Task A_kept_session_never_touches_the_next_response_on_its_connection(string attack, bool pooled)
    {
        // Kestrel itself uses an HttpContext only once where there is an IHttpContextAccessor, which this library brings.
        await using var site = await KestrelSite.StartAsync(Server.Address + RedisServer.Patient, Map, Fleet, services: services =>
        {
            if (pooled)
            {
                services.AddSingleton<IHttpContextFactory, PoolingFactory>();
            }
        });
        using var connection = site.NewConnection();
        var first = new Browser(connection);
        await first.GetAsync("/set/a/1");
        var id = await first.GetAsync("/id");
        await first.GetAsync(attack == "destroyed" ? "/destroy-and-keep" : "/keep");

        var second = new Browser(connection);
        var answer = second.SendAsync(HttpMethod.Get, "/second");
        Exception? refused;
        try
        {
            await _secondIsHere.Task;
            Assert.Equal((true, pooled), _isSame);
            refused = await Record.ExceptionAsync(() => AttackAsync(attack));
        }
        finally
        {
            _secondMayEnd.SetResult();
        }

        using (var response = await answer)
        {
            Assert.Equal("second", await response.Content.ReadAsStringAsync());
            Assert.False(response.Headers.Contains("Set-Cookie"), "Somebody else's response carries the cookie of the kept session.");
            Assert.Null(response.Headers.CacheControl);
        }

        // Nor does that response commit for it.
        var fields = await FieldsAsync(id);
        Assert.DoesNotContain("late", fields);
        Assert.DoesNotContain("@i", fields);
        if (attack is "set" or "clear" or "idle")
        {
            Assert.Null(refused);
            Assert.Contains("a", fields);
            await _kept!.CommitAsync();
            var after = await FieldsAsync(id);
            Assert.Equal(attack == "set", after.Contains("late"));
            Assert.Equal(attack == "idle", after.Contains("@i"));
            Assert.Equal(attack != "clear", after.Contains("a"));
        }
        else
        {
            // A cookie cannot change any more, which may be said; but not in words about a disposed collection.
            Assert.True(refused is null || refused.GetType() == typeof(InvalidOperationException), $"{refused}");
        }
    }

    private async Task<string[]> FieldsAsync(string id) =>
        [.. (await (await DatabaseAsync()).HashGetAllAsync(KeyOf(id))).Select(field => (string)field.Name!)];

    private async Task AttackAsync(string attack)
    {
        switch (attack)
        {
            case "set" or "destroyed":
                _kept!.SetString("late", "1");
                break;
            case "clear":
                _kept!.Clear();
                break;
            case "idle":
                _kept!.SetIdleTimeout(TimeSpan.FromHours(1));
                break;
            case "regenerate":
                await _kept!.RegenerateIdAsync();
                break;
            case "destroy":
                await _kept!.DestroyAsync();
                break;
        }
    }

    /// <summary>Uses one HttpContext again and again, as Kestrel does where there is no IHttpContextAccessor.</summary>
    private sealed class PoolingFactory(IHttpContextAccessor accessor, IServiceScopeFactory scopes) : IHttpContextFactory
    {
        private DefaultHttpContext? _free;

        public HttpContext Create(IFeatureCollection featureCollection)
        {
            var context = Interlocked.Exchange(ref _free, null) ?? new DefaultHttpContext { ServiceScopeFactory = scopes };
            context.Initialize(featureCollection);
            accessor.HttpContext = context;
            return context;
        }

        public void Dispose(HttpContext httpContext)
        {
            accessor.HttpContext = null;
            var context = (DefaultHttpContext)httpContext;
            context.Uninitialize();
            _free = context;
        }
    }
}

public sealed class AfterRequestOnGarnet(InProcessGarnet server) : AfterRequestTests(server);

public sealed class AfterRequestOnRedis(LocalRedis server) : AfterRequestTests(server);

public sealed class AfterRequestInContainer(ContainerRedis server) : AfterRequestTests(server);

public sealed class AfterRequestOnGivenServer(GivenRedis server) : AfterRequestTests(server);
