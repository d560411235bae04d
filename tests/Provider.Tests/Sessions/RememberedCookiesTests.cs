using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Sessions;

namespace RedisSessions.Tests.Sessions;

/// <summary>What was found in a session cookie is found again without Data Protection: for a minute, and only what Data Protection accepted.</summary>
public sealed class RememberedCookiesTests
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);
    private readonly CountedProtection _protection = new();
    private readonly IDataProtector _cookies;

    public RememberedCookiesTests()
    {
        var services = new ServiceCollection().AddSingleton<IDataProtectionProvider>(_protection).BuildServiceProvider();
        _cookies = new RememberedCookies(services, _clock).CreateProtector(nameof(SessionMiddleware));
    }

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

        Assert.Equal(2, _protection.Count);
    }

    [Theory]
    [InlineData(0, 59)]
    [InlineData(29, 30)]
    [InlineData(29, 31)]
    [InlineData(31, 60)]
    public void After_a_minute_it_is_unprotected_again_used_or_not(int first, int step)
    {
        _clock.Advance(TimeSpan.FromSeconds(first));
        var cookie = NewCookie();
        var unprotected = new List<DateTimeOffset>();
        for (var i = 0; i < 20; i++)
        {
            var before = _protection.Count;
            Read(cookie);
            if (_protection.Count > before)
            {
                unprotected.Add(_clock.GetUtcNow());
            }

            Assert.InRange(_clock.GetUtcNow() - unprotected[^1], TimeSpan.Zero, TimeSpan.FromSeconds(60));
            _clock.Advance(TimeSpan.FromSeconds(step));
        }
    }

    [Fact]
    public void It_is_remembered_for_half_a_minute_at_least()
    {
        foreach (var second in Enumerable.Range(0, 40))
        {
            var cookie = NewCookie();
            Read(cookie);
            var before = _protection.Count;
            _clock.Advance(TimeSpan.FromSeconds(29));
            Read(cookie);
            Assert.Equal((second, before), (second, _protection.Count));
            _clock.Advance(TimeSpan.FromSeconds(2));
        }
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
    public void However_many_come_no_more_than_so_many_are_remembered()
    {
        var first = NewCookie();
        Read(first);
        for (var i = 0; i < 2 * 8_192; i++)
        {
            Read(NewCookie());
        }

        var before = _protection.Count;
        Read(first);
        Assert.Equal(before + 1, _protection.Count);
    }

    [Fact]
    public void For_any_other_purpose_it_is_data_protection_itself()
    {
        var services = new ServiceCollection().AddSingleton<IDataProtectionProvider>(_protection).BuildServiceProvider();
        var other = new RememberedCookies(services, _clock).CreateProtector("other");
        var text = other.Protect([1]);
        Assert.Throws<CryptographicException>(() => _cookies.Unprotect(text));
        Assert.Equal([1], _protection.CreateProtector("other").Unprotect(text));
        Assert.Equal([1], _protection.CreateProtector(nameof(SessionMiddleware)).CreateProtector("below").Unprotect(_cookies.CreateProtector("below").Protect([1])));
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
        await Eventually.TrueAsync(() =>
        {
            _clock.Advance(TimeSpan.FromMinutes(1));
            return Record.Exception(() => cookies.Unprotect(cookie)) is CryptographicException;
        });
    }

    private sealed class InMemoryXml : IXmlRepository
    {
        private readonly List<System.Xml.Linq.XElement> _elements = [];

        public IReadOnlyCollection<System.Xml.Linq.XElement> GetAllElements() => [.. _elements];

        public void StoreElement(System.Xml.Linq.XElement element, string friendlyName) => _elements.Add(element);
    }
}

/// <summary>As <see cref="RememberedCookiesTests"/>, of whole applications.</summary>
public abstract class CookiesOfRequestsTests(RedisServer server) : ServerTest(server)
{
    private readonly CountedProtection _protection = new();

    private void Count(IServiceCollection services) => services.AddSingleton<IDataProtectionProvider>(_protection);

    /// <summary>How often its cookie is unprotected while a browser that has one sends three requests.</summary>
    private async Task<int> CountAsync(Action<WebApplication> useSession, string name = Browser.SessionCookie)
    {
        var site = await StartAsync(Pages.Map, services: services => services.AddSingleton<IDataProtectionProvider>(_protection), useSession: useSession);
        var session = await site.Sessions.CreateAsync([new("a", "1"u8.ToArray())]);
        var browser = site.NewBrowser();
        var cookie = _protection.CreateProtector(nameof(SessionMiddleware)).Protect(Encoding.UTF8.GetBytes(session.SecretKey));
        browser.SetCookie(name, Convert.ToBase64String(cookie).TrimEnd('='));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("1", await browser.GetAsync("/get/a"));
        }

        return _protection.Count;
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
}

public sealed class CookiesOfRequestsOnGarnet(InProcessGarnet server) : CookiesOfRequestsTests(server);

/// <summary>Data Protection that counts how often the session cookie is unprotected.</summary>
internal sealed class CountedProtection : IDataProtectionProvider
{
    private readonly EphemeralDataProtectionProvider _provider = new(NullLoggerFactory.Instance);

    public int Count { get; private set; }

    public IDataProtector CreateProtector(string purpose) => new Protector(this, _provider.CreateProtector(purpose), purpose == nameof(SessionMiddleware));

    private sealed class Protector(CountedProtection counts, IDataProtector inner, bool counted) : IDataProtector
    {
        public IDataProtector CreateProtector(string purpose) => inner.CreateProtector(purpose);

        public byte[] Protect(byte[] plaintext) => inner.Protect(plaintext);

        public byte[] Unprotect(byte[] protectedData)
        {
            counts.Count += counted ? 1 : 0;
            return inner.Unprotect(protectedData);
        }
    }
}
