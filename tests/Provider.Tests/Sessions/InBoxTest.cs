using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Logging;

namespace RedisSessions.Tests.Sessions;

/// <summary>
/// What the tests of the in-box session's behaviours share. Each names the test of Microsoft's that it mirrors (dotnet/aspnetcore,
/// src/Middleware/Session/test/SessionTests.cs); docs/semantics.md has them one by one.
/// </summary>
public abstract class InBoxTest(RedisServer server) : ServerTest(server)
{
    private const int OwnEventsBeginAt = 100;

    /// <summary>Whether Microsoft's own session store answers, to show that a test says what Microsoft's does.</summary>
    protected virtual bool IsMicrosofts => false;

    /// <summary>A site of one page, as an endpoint, which is preloaded, or as middleware of a pipeline that does not preload for middleware.</summary>
    protected Task<Site> StartPageAsync(
        RequestDelegate page,
        bool asEndpoint = false,
        string? redis = null,
        Action<SessionOptions>? session = null,
        Action<IApplicationBuilder>? beforeSession = null,
        Action<RedisSessionOptions>? options = null) =>
        StartAsync(
            app =>
            {
                if (asEndpoint)
                {
                    app.Map("/{**path}", page);
                }
                else
                {
                    app.Run(page);
                }
            },
            redis,
            options,
            services =>
            {
                if (session is not null)
                {
                    services.AddSession(session);
                }

                if (IsMicrosofts)
                {
                    services.AddDistributedMemoryCache();
                }
            },
            sessions =>
            {
                if (IsMicrosofts)
                {
                    sessions.Services.AddTransient<ISessionStore, DistributedSessionStore>();
                }
            },
            beforeSession,
            useSession: asEndpoint ? null : static app => ((IApplicationBuilder)app).UseSession());

    /// <summary>A browser whose session holds "a" = "1".</summary>
    protected async Task<(Browser Browser, string Id)> BrowserWithSessionAsync(Site site)
    {
        var session = await site.Sessions.CreateAsync([new("a", "1"u8.ToArray())]);
        return (BrowserWith(site, Protect(session.SecretKey)), session.Id);
    }

    protected static Browser BrowserWith(Site site, string cookie)
    {
        var browser = site.NewBrowser();
        browser.SetCookie(Browser.SessionCookie, cookie);
        return browser;
    }

    /// <summary>As SessionMiddleware writes a key into its cookie.</summary>
    protected string Protect(string key) => Protect(Fleet.Protection, key);

    protected static string Protect(IDataProtectionProvider protection, string key) =>
        Uri.EscapeDataString(Convert.ToBase64String(Protector(protection).Protect(Encoding.UTF8.GetBytes(key))).TrimEnd('='));

    protected string Unprotect(string cookie)
    {
        var text = Uri.UnescapeDataString(cookie);
        return Encoding.UTF8.GetString(Protector(Fleet.Protection).Unprotect(Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='))));
    }

    /// <summary>What the session and its middleware logged under the in-box session's event ids, in order.</summary>
    protected static IReadOnlyList<CapturedLog.Entry> InBoxLog(Site site) =>
    [
        .. site.Log.Entries.Where(entry => entry.Id.Id is > 0 and < OwnEventsBeginAt
            && (entry.Category.StartsWith("RedisSessions", StringComparison.Ordinal) || entry.Category.StartsWith("Microsoft.AspNetCore.Session", StringComparison.Ordinal))),
    ];

    /// <summary>The same without what differs by design: the category, and what follows a message's first words.</summary>
    protected static IEnumerable<(LogLevel Level, int Id, string Text)> InBoxEvents(Site site) =>
        InBoxLog(site).Select(entry => (entry.Level, entry.Id.Id, entry.Message.Split(',', ';')[0]));

    /// <summary>Whether the browser was told that its request failed.</summary>
    protected static async Task<bool> FailsAsync(Browser browser, string path)
    {
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, path);
            await response.Content.ReadAsByteArrayAsync();
            return (int)response.StatusCode >= StatusCodes.Status500InternalServerError;
        }
        catch (Exception exception) when (exception is not Xunit.Sdk.IAssertionException)
        {
            // The test server hands the application's exception on where a real one closes the connection or answers 500.
            return true;
        }
    }

    protected static IReadOnlyList<string> SetCookies(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Set-Cookie", out var values) ? [.. values] : [];

    private static IDataProtector Protector(IDataProtectionProvider protection) => protection.CreateProtector(nameof(SessionMiddleware));
}
