using System.Security.Claims;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.Options;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks;

/// <summary>
/// Finding 9: an application may set its cookie events wherever it likes, before or after AddUserIndex. Both the application's and
/// the library's are called; what cannot be chained is refused when the application starts, not left out.
/// </summary>
public sealed class CookieEventsTests(InProcessGarnet server) : AttackTest(server)
{
    private const string Scheme = CookieAuthenticationDefaults.AuthenticationScheme;

    private Task<Site> StartAsync(Action<IServiceCollection> later) => StartAttackedAsync(addOns: builder =>
    {
        builder.AddUserIndex();
        later(builder.Services);
    });

    [Fact]
    public async Task Events_that_a_later_PostConfigure_adds_are_called()
    {
        var called = new HashSet<string>();
        var site = await StartAsync(services => services.PostConfigure<CookieAuthenticationOptions>(Scheme, o =>
        {
            o.Events.OnSigningIn = _ => Note("signing in");
            o.Events.OnSignedIn = _ => Note("signed in");
            o.Events.OnValidatePrincipal = _ => Note("validate");
            o.Events.OnSigningOut = _ => Note("signing out");
        }));
        var browser = site.NewBrowser();
        var id = await browser.GetAsync("/login/ada");
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        await browser.GetAsync("/logout");
        Assert.Equal(["signed in", "signing in", "signing out", "validate"], called.Order());
        Assert.False(await site.Sessions.ExistsAsync(id));

        Task Note(string what)
        {
            called.Add(what);
            return Task.CompletedTask;
        }
    }

    /// <summary>What the application says last about a redirect is what it gets.</summary>
    [Fact]
    public async Task A_redirect_that_a_later_PostConfigure_changes_is_changed()
    {
        var site = await StartAsync(services => services.PostConfigure<CookieAuthenticationOptions>(Scheme, o => o.Events.OnRedirectToLogin = context =>
        {
            context.Response.StatusCode = 418;
            return Task.CompletedTask;
        }));
        Assert.Equal(418, (int)await StatusAsync(site.NewBrowser(), "/secret"));
    }

    [Fact]
    public async Task An_application_that_rejects_a_principal_later_is_heard()
    {
        var site = await StartAsync(services => services.PostConfigure<CookieAuthenticationOptions>(Scheme, o => o.Events.OnValidatePrincipal = context =>
        {
            context.RejectPrincipal();
            return Task.CompletedTask;
        }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Not now, for whatever reason: the application alone decides whether that is for good.</summary>
    [Fact]
    public async Task A_principal_that_the_application_rejects_once_is_not_signed_out()
    {
        var rejects = false;
        var site = await StartAsync(services => services.PostConfigure<CookieAuthenticationOptions>(Scheme, o => o.Events.OnValidatePrincipal = context =>
        {
            if (rejects)
            {
                context.RejectPrincipal();
            }

            return Task.CompletedTask;
        }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        rejects = true;
        Assert.Equal("", await browser.GetAsync("/whoami"));
        rejects = false;
        Assert.Equal("ada", await browser.GetAsync("/whoami"));
    }

    [Theory]
    [InlineData("Events")]
    [InlineData("EventsType")]
    public async Task Replacing_the_events_later_does_not_switch_the_protection_off(string property)
    {
        Site site;
        try
        {
            site = await StartAsync(services =>
            {
                services.AddScoped<OwnEvents>();
                services.PostConfigure<CookieAuthenticationOptions>(Scheme, o =>
                {
                    if (property == "Events")
                    {
                        o.Events = new OwnEvents();
                    }
                    else
                    {
                        o.EventsType = typeof(OwnEvents);
                    }
                });
            });
        }
        catch (OptionsValidationException refused)
        {
            // As good: the developer learns it before any user does, and by name.
            Assert.Contains(property, refused.Message, StringComparison.Ordinal);
            return;
        }

        var browser = site.NewBrowser();
        await browser.GetAsync("/set/cart/tea");
        var planted = browser.Copy();
        await browser.GetAsync("/login/ada");
        Assert.Equal("seen", await browser.GetAsync("/role"));
        Assert.Equal("ada", await browser.GetAsync("/owner"));
        Assert.Equal("", await planted.GetAsync("/owner"));
        Assert.Equal(1, await Users(site).RevokeAllAsync("ada"));
        Assert.Equal("", await browser.GetAsync("/whoami"));
    }

    /// <summary>Events of one scheme by its type, set before, and of another later: each keeps its own.</summary>
    [Fact]
    public async Task Each_scheme_keeps_its_own_events()
    {
        var site = await StartAttackedAsync(
            map: TwoSchemeSite.Map,
            services: services =>
            {
                TwoSchemeSite.AddServices(services);
                services.AddScoped<OwnEvents>();
                services.Configure<CookieAuthenticationOptions>(TwoSchemeSite.Partner, o => o.EventsType = typeof(OwnEvents));
            },
            addOns: builder => builder.AddUserIndex(o => o.ExcludedSchemes.Add(TwoSchemeSite.Partner)).Services
                .PostConfigure<CookieAuthenticationOptions>(Scheme, o => o.Events.OnValidatePrincipal = context =>
                {
                    ((ClaimsIdentity)context.Principal!.Identity!).AddClaim(new Claim(ClaimTypes.Role, "later"));
                    return Task.CompletedTask;
                }));
        var browser = site.NewBrowser();
        await browser.GetAsync("/login/ada");
        Assert.Equal("later", await browser.GetAsync("/role"));
        await browser.GetAsync("/partner/login/grace");
        Assert.Equal("grace", await browser.GetAsync("/partner/whoami"));
        Assert.Contains(SignInSite.AuthCookie, browser.Cookies.Keys);
    }

    private sealed class OwnEvents : CookieAuthenticationEvents
    {
        public override Task ValidatePrincipal(CookieValidatePrincipalContext context)
        {
            ((ClaimsIdentity)context.Principal!.Identity!).AddClaim(new Claim(ClaimTypes.Role, "seen"));
            return Task.CompletedTask;
        }
    }
}
