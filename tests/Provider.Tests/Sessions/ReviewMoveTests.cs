using Microsoft.Extensions.Time.Testing;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Sessions;

/// <summary>A session on its way to another id, while something else happens to it or to the request.</summary>
public abstract class ReviewMoveTests : ServerTest
{
    private readonly KeyRing _keys = new();
    private readonly SemaphoreSlim _moved = new(0);
    private readonly SemaphoreSlim _go = new(0);

    protected ReviewMoveTests(RedisServer server)
        : base(server) => Fleet = new Fleet { Protection = _keys };

    private void Map(WebApplication app)
    {
        Pages.Map(app);
        app.MapGet("/hit", async (HttpContext context) => $"{await context.Session.IncrementAsync("hits")}");
        app.MapGet("/move", async (HttpContext context) =>
        {
            await context.Session.RegenerateIdAsync();
            context.Session.SetString("mine", "1");
            await context.Session.CommitAsync();
            await PauseAsync();
        });
        app.MapGet("/move-late", async (HttpContext context) =>
        {
            await context.Session.LoadAsync();
            await PauseAsync();
            await context.Session.RegenerateIdAsync();
            context.Session.SetString("mine", "1");
        });
        app.MapGet("/move-and-hit", async (HttpContext context) =>
        {
            await context.Session.RegenerateIdAsync();
            var sum = await context.Session.IncrementAsync("hits");
            await PauseAsync();
            return $"{sum}";
        });
        app.MapGet("/life/{minutes:int}", (HttpContext context, int minutes) => context.Session.SetIdleTimeout(TimeSpan.FromMinutes(minutes)));
        app.MapGet("/move-and-change", async (HttpContext context, int minutes, bool clear) =>
        {
            await context.Session.RegenerateIdAsync();
            await context.Session.CommitAsync();
            if (clear)
            {
                context.Session.Clear();
            }

            context.Session.SetString("both", "own");
            context.Session.SetString("rescued", "own");
            if (minutes > 0)
            {
                context.Session.SetIdleTimeout(TimeSpan.FromMinutes(minutes));
            }

            await context.Session.CommitAsync();
            await PauseAsync();
        });
        app.MapGet("/theirs", (HttpContext context) =>
        {
            context.Session.SetString("theirs", "1");
            context.Session.SetString("both", "theirs");
            context.Session.Remove("dropped");
            context.Session.Remove("rescued");
            context.Session.SetIdleTimeout(TimeSpan.FromMinutes(120));
        });
        app.MapGet("/move-and-destroy", async (HttpContext context) =>
        {
            await context.Session.RegenerateIdAsync();
            try
            {
                await context.Session.CommitAsync();
            }
            catch (Exception)
            {
                // Its reply was lost.
            }

            await PauseAsync();
            await context.Session.DestroyAsync();
        });
        app.MapGet("/just-destroy", (HttpContext context) => context.Session.DestroyAsync());
    }

    private async Task PauseAsync()
    {
        _moved.Release();
        await _go.WaitAsync();
    }

    private async Task<string[]> HashesAsync() =>
        [.. (await Server.AdminAsync()).GetServers()[0].Keys(pattern: $"{Fleet.Prefix}{{*").Select(key => (string)key!)];

    [Fact]
    public async Task A_session_ended_while_it_moves_does_not_live_on_because_the_command_that_ends_the_new_one_failed()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(Map, redis: proxy.Address, options: o => o.WaitForFailover = TimeSpan.Zero);
        var other = await StartAsync(Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var elsewhere = browser.Copy();
        other.TakeOver(elsewhere);
        var moving = browser.TryAsync("/move");
        await _moved.WaitAsync();
        await elsewhere.GetAsync("/destroy");
        proxy.BeforeCommand = command =>
        {
            if (command is "DEL" or "UNLINK")
            {
                proxy.Cut();
                throw new ObjectDisposedException(nameof(RedisProxy));
            }

            return Task.CompletedTask;
        };
        _go.Release();
        await moving;
        proxy.BeforeCommand = null;
        other.TakeOver(browser);
        Assert.Equal("", await browser.GetAsync("/get/cart"));
    }

    /// <summary>Whether the data is under the new id by then or not.</summary>
    [Theory]
    [InlineData("/move-late")]
    [InlineData("/move")]
    public async Task A_session_that_began_anew_under_the_old_id_is_not_the_one_that_moves(string path)
    {
        var site = await StartAsync(Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var elsewhere = browser.Copy();
        var third = browser.Copy();
        var moving = browser.TryAsync(path);
        await _moved.WaitAsync();
        await elsewhere.GetAsync("/destroy");
        await Task.Delay(5);
        await third.GetAsync("/set/later/1");
        _go.Release();
        await moving;
        Assert.Equal("later", await third.GetAsync("/keys"));
        Assert.Equal("later", await browser.GetAsync("/keys"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_increment_is_lost_while_the_session_moves(bool encrypted)
    {
        var site = await StartAsync(Map, addOns: builder =>
        {
            if (encrypted)
            {
                builder.AddEncryption();
            }
        });
        var browser = site.NewBrowser();
        Assert.Equal("1", await browser.GetAsync("/hit"));
        var elsewhere = browser.Copy();
        var moving = browser.GetAsync("/move-and-hit");
        await _moved.WaitAsync();
        Assert.Equal("2", await elsewhere.GetAsync("/hit"));
        _go.Release();
        Assert.Equal("2", await moving);
        Assert.Equal("4", await browser.GetAsync("/hit"));
    }

    /// <summary>What others change under the old id meanwhile is carried over, but for what this request changed itself.</summary>
    [Theory]
    [InlineData(0, false, "both=own rescued=own same=0 theirs=1", 120)]
    [InlineData(180, false, "both=own rescued=own same=0 theirs=1", 180)]
    [InlineData(0, true, "both=own rescued=own", 120)]
    public async Task What_others_change_while_the_session_moves_gives_way_to_its_own(int minutes, bool clear, string fields, int idle)
    {
        var site = await StartAsync(Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/life/60");
        foreach (var key in new[] { "both", "dropped", "rescued", "same" })
        {
            await browser.GetAsync($"/set/{key}/0");
        }

        await browser.GetAsync("/life/60");
        var elsewhere = browser.Copy();
        var moving = browser.GetAsync($"/move-and-change?minutes={minutes}&clear={clear}");
        await _moved.WaitAsync();
        await elsewhere.GetAsync("/theirs");
        _go.Release();
        await moving;
        var stored = (await site.Sessions.GetAsync(await browser.GetAsync("/id")))!;
        Assert.Equal(fields, string.Join(' ', stored.Fields.OrderBy(field => field.Key).Select(field => $"{field.Key}={System.Text.Encoding.UTF8.GetString(field.Value)}")));
        Assert.InRange(stored.ExpiresAt - stored.LastSeenAt, TimeSpan.FromMinutes(idle), TimeSpan.FromMinutes(idle + 1.1));
        Assert.Equal(idle * 60_000, await (await DatabaseAsync()).HashGetAsync(KeyOf(stored.Id), "@i"));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(180, 180)]
    public async Task Metadata_that_others_remove_while_the_session_moves_are_gone_unless_it_set_them_itself(int minutes, int idle)
    {
        var site = await StartAsync(Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/life/60");
        var key = KeyOf(await browser.GetAsync("/id"));
        var moving = browser.GetAsync($"/move-and-change?minutes={minutes}&clear=false");
        await _moved.WaitAsync();
        var database = await DatabaseAsync();
        await database.HashDeleteAsync(key, "@i");
        await database.HashSetAsync(key, "@v", 7);
        _go.Release();
        await moving;
        Assert.Equal(idle * 60_000, (long)await database.HashGetAsync(KeyOf(await browser.GetAsync("/id")), "@i"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_new_id_prolongs_no_absolute_timeout(bool encrypted)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Fleet = new Fleet { Clock = clock };
        var site = await StartAsync(Map, options: o => o.AbsoluteTimeout = TimeSpan.FromHours(1), addOns: builder =>
        {
            if (encrypted)
            {
                builder.AddEncryption();
            }
        });
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        clock.Advance(TimeSpan.FromMinutes(50));
        var left = await site.Sessions.GetTimeToLiveAsync(await browser.GetAsync("/regenerate"));
        Assert.InRange(left!.Value, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(10));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task A_session_closed_to_the_request_after_its_id_changed_is_destroyed_all_the_same()
    {
        var site = await StartAsync(
            Map,
            addOns: builder => builder.Services.AddSingleton<SessionAddOn, FailingTurn>(),
            afterSession: app => app.Use(async (context, next) =>
            {
                if (context.Request.Path == "/just-destroy")
                {
                    await context.Session.RegenerateIdAsync();
                    context.Items["fail"] = true;
                }

                await next(context);
            }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var copy = browser.Copy();
        await browser.GetAsync("/just-destroy");
        Assert.Equal("", await copy.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task What_others_changed_that_cannot_be_read_now_does_not_fail_the_response()
    {
        var site = await StartAsync(Map, addOns: builder => builder.AddEncryption());
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var elsewhere = browser.Copy();
        var moving = browser.TryAsync("/move");
        await _moved.WaitAsync();
        await elsewhere.GetAsync("/set/theirs/1");
        _keys.Fail = true;
        _go.Release();
        var (status, body) = await moving;
        _keys.Fail = false;
        Assert.True(status == System.Net.HttpStatusCode.OK, body);
        Assert.Equal("1", await browser.GetAsync("/get/mine"));
    }

    [Fact]
    public async Task Destroying_a_session_whose_move_may_have_been_made_leaves_nothing()
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(Map, redis: proxy.Address, options: o => o.WaitForFailover = TimeSpan.Zero);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var scripts = 0;
        proxy.BeforeCommand = command =>
        {
            if (command is "EVALSHA" or "EVAL" && scripts++ == 0)
            {
                proxy.LoseNextReply();
            }

            return Task.CompletedTask;
        };
        var destroying = browser.TryAsync("/move-and-destroy");
        await _moved.WaitAsync();
        proxy.BeforeCommand = null;
        await Eventually.TrueAsync(async () => await site.NewBrowser().TryAsync("/available") is (_, "true"), what: "Redis is back");
        _go.Release();
        await destroying;
        Assert.Empty(await HashesAsync());
    }

    private sealed class FailingTurn : SessionAddOn
    {
        public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

        public override bool NeedsEndpointTurn => true;

        public override ValueTask BeforeEndpointAsync(RedisSession session, HttpContext context) => context.Items.ContainsKey("fail")
            ? throw new InvalidOperationException("thrown by the add-on")
            : ValueTask.CompletedTask;
    }
}

public sealed class ReviewMoveOnGarnet(InProcessGarnet server) : ReviewMoveTests(server);

public sealed class ReviewMoveOnRedis(LocalRedis server) : ReviewMoveTests(server);
