using System.Net;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// The old session goes only when the new cookie goes out: whatever happens to a request that regenerates, the browser's cookie
/// names a session that exists and holds its data.
/// </summary>
public abstract class RegenerationFailureTests(RedisServer server) : ServerTest(server)
{
    private readonly string _instance = $"ms{Guid.NewGuid():N}:";
    private readonly List<KestrelSite> _kestrels = [];

    private static void Map(WebApplication app)
    {
        Pages.Map(app);
        app.MapGet("/sign-in", async (HttpContext context) =>
        {
            context.Session.SetString("user", "ada");
            await context.Session.RegenerateIdAsync();
        });
        app.MapGet("/sign-in-explicitly", async (HttpContext context) =>
        {
            context.Session.SetString("user", "ada");
            await context.Session.RegenerateIdAsync();
            await context.Session.CommitAsync();
        });
        app.MapGet("/regenerate-and-throw", async (HttpContext context) =>
        {
            await context.Session.RegenerateIdAsync();
            throw new InvalidOperationException("thrown by the page");
        });
        app.MapGet("/sign-in-and-throw", async (HttpContext context) =>
        {
            context.Session.SetString("user", "ada");
            await context.Session.RegenerateIdAsync();
            await context.Session.CommitAsync();
            throw new InvalidOperationException("thrown by the page");
        });
    }

    private async Task<KestrelSite> StartKestrelAsync(Action<RedisSessionBuilder>? addOns = null)
    {
        var site = await KestrelSite.StartPipelineAsync(
            Server.Address + RedisServer.Patient,
            Fleet,
            app =>
            {
                app.UseSession();
                Map(app);
            },
            addOns: addOns);
        _kestrels.Add(site);
        return site;
    }

    [Theory]
    [InlineData("/sign-in")]
    [InlineData("/sign-in-explicitly")]
    public async Task What_is_set_before_regenerating_a_session_that_has_expired_is_there_afterwards(string signIn)
    {
        var site = await StartAsync(Map);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var planted = browser.Copy();
        await (await DatabaseAsync()).KeyDeleteAsync(KeyOf(await browser.GetAsync("/id")));

        await browser.GetAsync(signIn);
        Assert.NotEqual(planted.Cookies[Browser.SessionCookie], browser.Cookies[Browser.SessionCookie]);
        Assert.Equal("user", await browser.GetAsync("/keys"));
        Assert.Equal("ada", await browser.GetAsync("/get/user"));
        Assert.Equal("", await planted.GetAsync("/get/user"));
    }

    /// <summary>
    /// Every command of the request in turn is the one that fails: it never reaches Redis, or Redis's reply never comes back.
    /// </summary>
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_connection_cut_at_any_command_of_a_regeneration_leaves_the_browser_its_session(bool writeBoth, bool arrives)
    {
        using var proxy = new RedisProxy(Server.Address);
        var site = await StartAsync(
            Map,
            redis: proxy.Address,
            options: o => o.WaitForFailover = TimeSpan.Zero,
            addOns: builder =>
            {
                if (writeBoth)
                {
                    builder.AddMicrosoftSessionMigration(_instance, o => o.WriteBoth = true);
                }
            });
        var onlooker = site.NewBrowser();
        await onlooker.GetAsync("/set/here/1");
        await onlooker.GetAsync("/sign-in");
        foreach (var path in new[] { "/regenerate", "/sign-in" })
        {
            for (var (step, struck) = (0, true); struck; step++)
            {
                var browser = site.NewBrowser();
                await browser.GetAsync("/set/cart/tea");
                (var left, struck) = (step, false);
                proxy.BeforeCommand = _ =>
                {
                    if (left-- == 0)
                    {
                        struck = true;
                        if (arrives)
                        {
                            proxy.LoseNextReply();
                        }
                        else
                        {
                            proxy.Cut();
                            throw new ObjectDisposedException(nameof(RedisProxy));
                        }
                    }

                    return Task.CompletedTask;
                };
                await browser.TryAsync(path);
                proxy.BeforeCommand = null;
                await Eventually.TrueAsync(async () => await onlooker.GetAsync("/get/here") == "1", what: "Redis is back");

                // It may be away for another moment, on another connection; what is lost never comes back.
                await Eventually.TrueAsync(async () => await browser.GetAsync("/get/cart") == "tea", what: $"{path} left its session when command {step} failed");
            }
        }
    }

    [Theory]
    [InlineData("/regenerate-and-throw")]
    [InlineData("/sign-in-and-throw")]
    public async Task An_unhandled_exception_after_regenerating_leaves_the_browser_its_session(string path)
    {
        // Without a handler Kestrel answers by itself and calls nobody before the response starts, so no cookie goes out.
        var site = await StartKestrelAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        Assert.Equal(HttpStatusCode.InternalServerError, (await browser.TryAsync(path)).Status);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Contains(site.Log.Entries, entry => entry.Level == LogLevel.Error && entry.Category.StartsWith("Microsoft.AspNetCore.Server.Kestrel", StringComparison.Ordinal));
    }

    /// <summary>The old id ended in the session's first turn before the response; the cookie must not be lost in a later one.</summary>
    [Fact]
    public async Task A_last_change_that_cannot_be_stored_leaves_the_browser_the_session_under_its_new_id()
    {
        var headersSeen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var proxy = new RedisProxy(Server.Address);
        var site = await KestrelSite.StartAsync(
            proxy.Address + RedisServer.Patient,
            Map,
            Fleet,
            beforeSession: app => app.Use((context, next) =>
            {
                // First registered, last called.
                context.Response.OnStarting(() =>
                {
                    if (context.Request.Query.ContainsKey("late") && context.Items["session"] is ISession session)
                    {
                        proxy.BeforeCommand = _ =>
                        {
                            proxy.Cut();
                            throw new ObjectDisposedException(nameof(RedisProxy));
                        };
                        session.SetString("late", "1");
                    }

                    return Task.CompletedTask;
                });
                return next(context);
            }),
            afterSession: app => app.Use(async (context, next) =>
            {
                context.Items["session"] = context.Session;
                await next(context);
                if (context.Request.Query.ContainsKey("late"))
                {
                    // The request fails at its end, and Kestrel then throws away what it has not sent: the headers are out first.
                    await context.Response.Body.FlushAsync();
                    await headersSeen.Task;
                }
            }));
        _kestrels.Add(site);
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var old = browser.Copy();
        using var answer = await browser.SendAsync(HttpMethod.Get, "/sign-in?late");
        headersSeen.SetResult();
        proxy.BeforeCommand = null;
        await Eventually.TrueAsync(async () => (await site.NewBrowser().TryAsync("/set/here/1")).Status == HttpStatusCode.OK, what: "Redis is back");
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
        Assert.Equal("ada", await browser.GetAsync("/get/user"));
        Assert.Equal("", await old.GetAsync("/get/cart"));
        Assert.Contains(site.Log.Entries, entry => entry.Level == LogLevel.Error && entry.Id.Id == 119);
    }

    [Fact]
    public async Task An_exception_that_a_handler_answers_after_regenerating_leaves_the_browser_its_session()
    {
        var site = await StartAsync(
            app =>
            {
                Map(app);
                app.MapGet("/sorry", () => "sorry");
            },
            beforeSession: app => app.UseExceptionHandler("/sorry"));
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        Assert.Equal(HttpStatusCode.InternalServerError, (await browser.TryAsync("/regenerate-and-throw")).Status);
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
    }

    /// <summary>What was written under the new id may have arrived: the next try is all that there is, not all that there is more.</summary>
    [Fact]
    public async Task What_is_removed_after_a_commit_of_unknown_outcome_is_not_under_the_new_id()
    {
        using var proxy = new RedisProxy(Server.Address);
        Browser? onlooker = null;
        var site = await StartAsync(
            app =>
            {
                Map(app);
                app.MapGet("/remove-behind-a-lost-reply", async (HttpContext context) =>
                {
                    await context.Session.RegenerateIdAsync();
                    proxy.BeforeCommand = command =>
                    {
                        if (command is "EVALSHA")
                        {
                            proxy.BeforeCommand = null;
                            proxy.LoseNextReply();
                        }

                        return Task.CompletedTask;
                    };
                    await Assert.ThrowsAnyAsync<Exception>(() => context.Session.CommitAsync());
                    await Eventually.TrueAsync(async () => await onlooker!.GetAsync("/get/here") == "1", what: "Redis is back");
                    context.Session.Remove("voucher");
                });
            },
            redis: proxy.Address,
            // Else the library makes sure by itself.
            options: o => o.WaitForFailover = TimeSpan.Zero);
        onlooker = site.NewBrowser();
        await onlooker.GetAsync("/set/here/1");
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        await browser.GetAsync("/set/voucher/free");
        var id = await browser.GetAsync("/id");
        await browser.GetAsync("/remove-behind-a-lost-reply");
        Assert.NotEqual(id, await browser.GetAsync("/id"));
        Assert.Equal("cart", await browser.GetAsync("/keys"));
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (var site in _kestrels)
        {
            await site.DisposeAsync();
        }

        await base.DisposeAsync();
    }
}

public sealed class RegenerationFailureOnGarnet(InProcessGarnet server) : RegenerationFailureTests(server);

public sealed class RegenerationFailureOnRedis(LocalRedis server) : RegenerationFailureTests(server);
