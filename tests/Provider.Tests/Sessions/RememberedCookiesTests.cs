using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Sessions;

/// <summary>What was found in a session cookie is found again without Data Protection: for a minute, and only what Data Protection accepted.</summary>
public sealed class RememberedCookiesTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);
    private readonly CapturedLog _log = new();
    private readonly ServiceProvider _services;
    private readonly IDataProtector _cookies;

    public RememberedCookiesTests()
    {
        _services = new ServiceCollection()
            .AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(_log))
            .AddSingleton<IDataProtectionProvider>(static provider => new EphemeralDataProtectionProvider(provider.GetRequiredService<ILoggerFactory>()))
            .BuildServiceProvider();
        _cookies = new RememberedCookies(_services, _clock).CreateProtector(nameof(SessionMiddleware));
    }

    private int Unprotected => CookiesOfRequestsTests.Unprotected(_log);

    public void Dispose() => _services.Dispose();

    private string Read(byte[] cookie) => Encoding.UTF8.GetString(_cookies.Unprotect([.. cookie]));

    private byte[] NewCookie(string secret = "secret") => _cookies.Protect(Encoding.UTF8.GetBytes(secret));

    [Fact]
    public void A_cookie_that_comes_again_is_unprotected_once()
    {
        var (first, second) = (NewCookie("first"), NewCookie("second"));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(("first", "second"), (Read(first), Read(second)));
        }

        Assert.Equal(2, Unprotected);
    }

    [Fact]
    public void After_a_minute_it_is_unprotected_again()
    {
        var cookie = NewCookie();
        Read(cookie);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Read(cookie);
        Assert.Equal(2, Unprotected);
    }

    [Fact]
    public void What_is_refused_is_refused_each_time_however_like_it_is_to_what_is_known()
    {
        var cookie = NewCookie();
        Read(cookie);
        for (var i = 0; i < cookie.Length; i++)
        {
            var changed = cookie.ToArray();
            changed[i] ^= 1;
            Assert.Throws<CryptographicException>(() => _cookies.Unprotect(changed));
            Assert.Throws<CryptographicException>(() => _cookies.Unprotect(changed));
        }

        Assert.Throws<CryptographicException>(() => _cookies.Unprotect(cookie[..^1]));
        Assert.Throws<CryptographicException>(() => _cookies.Unprotect([.. cookie, 0]));
        Assert.Throws<CryptographicException>(() => _cookies.Unprotect([]));
        Assert.Equal("secret", Read(cookie));
    }

    [Fact]
    public void Bytes_are_the_same_where_all_of_them_are()
    {
        var comparer = ByteArrayComparer.Instance;
        byte[] bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        Assert.True(comparer.Equals(bytes, [.. bytes]));
        Assert.Equal(comparer.GetHashCode(bytes), comparer.GetHashCode([.. bytes]));
        Assert.False(comparer.Equals(bytes, bytes[..^1]));
        for (var i = 0; i < bytes.Length; i++)
        {
            var changed = bytes.ToArray();
            changed[i] ^= 1;
            Assert.False(comparer.Equals(bytes, changed));
        }
    }

    [Fact]
    public void What_is_longer_than_a_session_cookie_is_not_kept()
    {
        var cookie = NewCookie(new string('s', 1_000));
        Assert.Equal(Read(cookie), Read(cookie));
        Assert.Equal(2, Unprotected);
    }

    [Fact]
    public void For_any_other_purpose_it_is_data_protection_itself()
    {
        var protection = _services.GetRequiredService<IDataProtectionProvider>();
        var other = new RememberedCookies(_services, _clock).CreateProtector("other");
        var text = other.Protect([1]);
        Assert.Throws<CryptographicException>(() => _cookies.Unprotect(text));
        Assert.Equal([1], protection.CreateProtector("other").Unprotect(text));
        Assert.Equal([1], protection.CreateProtector(nameof(SessionMiddleware)).CreateProtector("below").Unprotect(_cookies.CreateProtector("below").Protect([1])));
    }

    [Fact]
    public void A_first_failure_is_not_for_ever()
    {
        var fails = true;
        using var services = new ServiceCollection()
            .AddTransient<IDataProtectionProvider>(_ => fails ? throw new InvalidOperationException("Away.") : new EphemeralDataProtectionProvider())
            .BuildServiceProvider();
        var cookies = new RememberedCookies(services, _clock);
        Assert.Throws<InvalidOperationException>(() => cookies.Protector);
        fails = false;
        Assert.Equal([1], cookies.Protector.Unprotect(cookies.Protector.Protect([1])));
    }

    [Fact]
    public async Task What_the_key_ring_refuses_is_refused_a_minute_later()
    {
        using var services = new ServiceCollection().AddDataProtection().Services
            .Configure<KeyManagementOptions>(options => options.XmlRepository = new InMemoryXml())
            .AddLogging()
            .BuildServiceProvider();
        var cookies = new RememberedCookies(services, _clock).Protector;
        var cookie = cookies.Protect([1]);
        Assert.Equal([1], cookies.Unprotect(cookie));

        var keys = services.GetRequiredService<IKeyManager>();
        keys.RevokeKey(keys.GetAllKeys().Single().KeyId);

        // The key ring reads itself again behind a call that it still answers as before.
        await Eventually.TrueAsync(() => Record.Exception(() => services.GetDataProtector(nameof(SessionMiddleware)).Unprotect(cookie)) is CryptographicException);
        Assert.Equal([1], cookies.Unprotect(cookie));
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Throws<CryptographicException>(() => cookies.Unprotect(cookie));
    }

    private sealed class InMemoryXml : IXmlRepository
    {
        private readonly List<XElement> _elements = [];

        public IReadOnlyCollection<XElement> GetAllElements() => [.. _elements];

        public void StoreElement(XElement element, string friendlyName) => _elements.Add(element);
    }
}

/// <summary>As <see cref="RememberedCookiesTests"/>, of whole applications.</summary>
public abstract class CookiesOfRequestsTests(RedisServer server) : ServerTest(server)
{
    /// <summary>How often Data Protection says that it unprotected a session cookie.</summary>
    public static int Unprotected(CapturedLog log) => log.Entries.Count(entry =>
        entry.Category.StartsWith("Microsoft.AspNetCore.DataProtection", StringComparison.Ordinal)
        && entry.Message.Contains("unprotect operation", StringComparison.Ordinal)
        && entry.Message.Contains(nameof(SessionMiddleware), StringComparison.Ordinal));

    private static void UseLogged(IServiceCollection services) =>
        services.AddSingleton<IDataProtectionProvider>(static provider => new EphemeralDataProtectionProvider(provider.GetRequiredService<ILoggerFactory>()));

    private static string Cookie(Site site, string secret) => Convert.ToBase64String(
        site.Services.GetRequiredService<IDataProtectionProvider>().CreateProtector(nameof(SessionMiddleware)).Protect(Encoding.UTF8.GetBytes(secret))).TrimEnd('=');

    /// <summary>How often its cookie is unprotected while a browser that has one sends three requests.</summary>
    private async Task<int> CountAsync(Action<WebApplication> useSession, string name = Browser.SessionCookie)
    {
        var site = await StartAsync(Pages.Map, services: UseLogged, useSession: useSession);
        var session = await site.Sessions.CreateAsync([new("a", "1"u8.ToArray())]);
        var browser = site.NewBrowser();
        browser.SetCookie(name, Cookie(site, session.SecretKey));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("1", await browser.GetAsync("/get/a"));
        }

        return Unprotected(site.Log);
    }

    [Fact]
    public async Task Requests_of_one_browser_have_their_cookie_unprotected_once() =>
        Assert.Equal(1, await CountAsync(static app => app.UseSession()));

    [Fact]
    public async Task With_options_of_its_own_too() =>
        Assert.Equal(1, await CountAsync(static app => app.UseSession(new SessionOptions { Cookie = { Name = "other" } }), "other"));

    [Fact]
    public async Task And_where_somebody_asks_for_the_session_before() =>
        Assert.Equal(1, await CountAsync(static app =>
        {
            app.Use((context, next) =>
            {
                Assert.NotNull(context.RequestServices.GetRequiredService<RedisSessionStore>().Find(context));
                return next(context);
            });
            app.UseSession();
        }));

    [Fact]
    public async Task In_another_pipeline_it_is_as_in_the_box() =>
        Assert.Equal(3, await CountAsync(static app => ((IApplicationBuilder)app).UseSession()));

    [Fact]
    public async Task A_data_protection_that_decides_with_every_call_is_asked_with_every_call()
    {
        var tenant = new AsyncLocal<string?>();
        var site = await StartAsync(
            Pages.Map,
            services: services => services.AddSingleton<IDataProtectionProvider>(new ByTenant(tenant)),
            beforeSession: app => app.Use((context, next) =>
            {
                tenant.Value = context.Request.Headers["tenant"];
                return next(context);
            }));
        var session = await site.Sessions.CreateAsync([new("a", "1"u8.ToArray())]);
        tenant.Value = "a";
        var cookie = Cookie(site, session.SecretKey);

        async Task<string> GetAsync(string of)
        {
            var browser = site.NewBrowser();
            browser.SetCookie(Browser.SessionCookie, cookie);
            browser.Headers["tenant"] = of;
            return await browser.GetAsync("/get/a");
        }

        Assert.Equal("1", await GetAsync("a"));
        Assert.Equal("", await GetAsync("b"));
        Assert.Equal("1", await GetAsync("a"));
    }

    /// <summary>An application's own: each tenant has keys of its own, and which is meant is known with each call.</summary>
    private sealed class ByTenant(AsyncLocal<string?> tenant) : IDataProtectionProvider
    {
        private readonly EphemeralDataProtectionProvider _protection = new();

        public IDataProtector CreateProtector(string purpose) => new Protector(purpose, tenant, _protection);

        private sealed class Protector(string purpose, AsyncLocal<string?> tenant, IDataProtectionProvider protection) : IDataProtector
        {
            private IDataProtector Current => protection.CreateProtector(purpose).CreateProtector(tenant.Value ?? "nobody");

            public IDataProtector CreateProtector(string below) => new Protector($"{purpose} {below}", tenant, protection);

            public byte[] Protect(byte[] plaintext) => Current.Protect(plaintext);

            public byte[] Unprotect(byte[] protectedData) => Current.Unprotect(protectedData);
        }
    }
}

public sealed class CookiesOfRequestsOnGarnet(InProcessGarnet server) : CookiesOfRequestsTests(server);
