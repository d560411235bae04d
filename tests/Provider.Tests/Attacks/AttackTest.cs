using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// Attacks on users' sessions: each states what must hold, and is tried from outside, with cookies, HTTP and Redis in hand, never
/// with a part of the library.
/// </summary>
public abstract class AttackTest(RedisServer server) : ServerTest(server)
{
    protected const string Firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
    protected const string Chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";

    protected SecurityEventLog Events { get; } = new();

    /// <summary>The fleet's time moves only when the test moves it. Before the first site.</summary>
    /// <param name="atSecond">Whether a second begins just now: tickets say their times in whole ones.</param>
    protected FakeTimeProvider StopClock(bool atSecond = false)
    {
        var now = DateTimeOffset.UtcNow;
        var clock = new FakeTimeProvider(atSecond ? DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds()) : now);
        Fleet = new Fleet { Clock = clock };
        return clock;
    }

    /// <summary>How long a slow server waits for Redis.</summary>
    protected static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(500);

    /// <summary>Those of <see cref="CookieSite"/>, on a server that waits no longer than <see cref="Slow"/> for Redis.</summary>
    protected static void AddSlowServices(IServiceCollection services)
    {
        CookieSite.AddServices(services);
        services.AddSession(o => o.IOTimeout = Slow);
    }

    /// <summary>A site with users and security, as docs/security.md has it, with defaults where nothing is said.</summary>
    protected Task<Site> StartAttackedAsync(
        Action<UserIndexOptions>? users = null,
        Action<SessionSecurityOptions>? security = null,
        Action<WebApplication>? map = null,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null,
        string? redis = null,
        Action<IApplicationBuilder>? afterSession = null,
        LogLevel logLevel = LogLevel.Information) => StartAsync(
            map ?? CookieSite.Map,
            redis: redis,
            services: s =>
            {
                (services ?? CookieSite.AddServices)(s);
                s.AddSingleton<ISessionSecurityEvents>(Events);
            },
            addOns: addOns ?? (builder => builder.AddUserIndex(users).AddSecurity(security)),
            beforeSession: UseTestAddress,
            afterSession: afterSession ?? (app => app.UseAuthentication().UseRouting().UseAuthorization()),
            logLevel: logLevel);

    /// <summary>
    /// A server whose Redis is slow for a moment, just while a ticket is validated: it says when that is over, and pages run with a quick one.
    /// </summary>
    protected async Task<Site> StartSlowAsync(string redis, Action<WebApplication> map, Action validated)
    {
        var site = await StartAsync(
            map,
            redis: redis,
            services: AddSlowServices,
            addOns: builder => builder.AddUserIndex(),
            beforeSession: app => app.UseAuthentication().Use((context, next) =>
            {
                validated();
                return next(context);
            }),
            afterSession: app => app.UseRouting().UseAuthorization());
        await site.NewBrowser().GetAsync("/login/warm");
        return site;
    }

    /// <summary>A browser that signed in as ada while Redis did not answer: nothing of that sign-in ever reached Redis.</summary>
    protected async Task<Browser> SignedInWhileSlowAsync(Site afterwards, Action<UserIndexOptions>? options = null)
    {
        using var proxy = new RedisProxy(Server.Address);
        var slow = await StartAttackedAsync(
            services: AddSlowServices,
            // Nothing else, so that nothing else waits for Redis.
            addOns: builder => builder.AddUserIndex(options),
            redis: proxy.Address);
        await slow.NewBrowser().GetAsync("/login/warm");

        // What is held is never sent: the proxy goes, and nothing of this sign-in reaches Redis.
        _ = new Gate(proxy);
        var browser = slow.NewBrowser();
        var signIn = StatusAsync(browser, "/login/ada");
        await Eventually.TrueAsync(() =>
        {
            (Fleet.Clock as FakeTimeProvider)?.Advance(Slow);
            return signIn.IsCompleted;
        });
        await signIn;
        Assert.Contains(SignInSite.AuthCookie, browser.Cookies.Keys);
        afterwards.TakeOver(browser);
        return browser;
    }

    /// <summary>The connection's address is what the test says, or unknown.</summary>
    protected static void UseTestAddress(IApplicationBuilder app) => app.Use((context, next) =>
    {
        if (context.Request.Headers["X-Test-Address"].ToString() is { Length: > 0 } address)
        {
            context.Connection.RemoteIpAddress = IPAddress.Parse(address);
        }

        return next(context);
    });

    protected static IUserSessions Users(Site site) => site.Services.GetRequiredService<IUserSessions>();

    protected static Browser From(Site site, string address, string agent = Firefox)
    {
        var browser = site.NewBrowser();
        browser.Headers["X-Test-Address"] = address;
        browser.Headers["User-Agent"] = agent;
        return browser;
    }

    /// <summary>What the browser is answered, whatever the status: a page that an attack reaches and that refuses it is no failure.</summary>
    protected static async Task<HttpStatusCode> StatusAsync(Browser browser, string path)
    {
        using var response = await browser.SendAsync(HttpMethod.Get, path);
        return response.StatusCode;
    }

    /// <summary>Every key of this fleet, of whatever kind.</summary>
    protected async Task<string[]> KeysAsync(string pattern = "*") =>
        [.. (await Server.AdminAsync()).GetServers()[0].Keys(pattern: $"{Fleet.Prefix}{pattern}").Select(key => (string)key!)];
}

/// <summary>What a site reported as a security event.</summary>
public sealed class SecurityEventLog : ISessionSecurityEvents
{
    private readonly ConcurrentQueue<SessionSecurityEvent> _all = new();

    public IReadOnlyList<SessionSecurityEvent> All => [.. _all];

    public void Clear() => _all.Clear();

    public void Report(SessionSecurityEvent securityEvent) => _all.Enqueue(securityEvent);
}

/// <summary>Holds what a site sends to Redis before its n-th command, until it is opened.</summary>
internal sealed class Gate
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _seen;

    public Gate(RedisProxy proxy, int passes = 0) => proxy.BeforeCommand = _ =>
    {
        if (Interlocked.Increment(ref _seen) <= passes)
        {
            return Task.CompletedTask;
        }

        _reached.TrySetResult();
        return _open.Task;
    };

    /// <summary>Completes when a command is being held.</summary>
    public Task Reached => _reached.Task;

    public void Open() => _open.TrySetResult();
}
