using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Options;

namespace RedisSessions.Tests.Attacks;

/// <summary>Safe defaults: the session cookie that AddSecurity makes, and what the application may say about it.</summary>
public sealed class SafeCookieTests(InProcessGarnet server) : AttackTest(server)
{
    private static async Task<string> CookieAsync(Site site)
    {
        using var client = new HttpClient(site.Server.CreateHandler()) { BaseAddress = new Uri("http://localhost") };
        using var response = await client.GetAsync(new Uri("/set/a/1", UriKind.Relative));
        return Assert.Single(response.Headers.GetValues("Set-Cookie"));
    }

    /// <summary>Behind a balancer that ends TLS the request is not HTTPS, but the browser's is.</summary>
    [Fact]
    public async Task The_cookie_is_Secure_even_where_a_balancer_ends_tls()
    {
        var cookie = await CookieAsync(await StartAttackedAsync());
        Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; httponly", cookie, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>None is what the in-box session says, too: that the application says it is what counts.</summary>
    [Fact]
    public async Task An_application_that_says_what_is_the_in_box_default_anyway_gets_it()
    {
        var site = await StartAttackedAsync(services: services =>
        {
            CookieSite.AddServices(services);
            services.Configure<SessionOptions>(o => (o.Cookie.SecurePolicy, o.Cookie.HttpOnly) = (CookieSecurePolicy.None, false));
        });
        var cookie = await CookieAsync(site);
        Assert.DoesNotContain("; secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("; httponly", cookie, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task In_development_the_site_works_over_http()
    {
        var site = await StartAttackedAsync(services: services =>
        {
            CookieSite.AddServices(services);
            services.AddSingleton<IHostEnvironment>(new HostingEnvironment { EnvironmentName = Environments.Development, ApplicationName = "test", ContentRootPath = "/" });
        });
        Assert.DoesNotContain("; secure", await CookieAsync(site), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task With_UseHostCookie_no_other_host_can_plant_the_cookie()
    {
        var site = await StartAttackedAsync(security: o => o.UseHostCookie = true);
        var cookie = await CookieAsync(site);
        Assert.StartsWith("__Host-AspNetCore.Session=", cookie, StringComparison.Ordinal);
        Assert.Contains("; path=/;", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("domain", cookie, StringComparison.OrdinalIgnoreCase);
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/cart/tea");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("tea", await browser.GetAsync("/get/cart"));
    }

    [Fact]
    public async Task A_host_cookie_with_a_domain_is_refused_at_start_up()
    {
        var refusal = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAttackedAsync(
            security: o => o.UseHostCookie = true,
            services: services => services.AddSession(o => o.Cookie.Domain = "example.org")));
        Assert.Contains("UseHostCookie", refusal.Message, StringComparison.Ordinal);
    }
}
