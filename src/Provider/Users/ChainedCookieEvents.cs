using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace RedisSessions.Users;

/// <summary>Puts <see cref="CookieSignIn"/> into every cookie scheme, around whatever events the application set, an EventsType included.</summary>
internal sealed class ConfigureCookieSignIn(IServiceProvider services) : IPostConfigureOptions<CookieAuthenticationOptions>
{
    public void PostConfigure(string? name, CookieAuthenticationOptions options)
    {
        options.Events = new ChainedCookieEvents(services, options.Events, options.EventsType);
        options.EventsType = null;
    }
}

/// <summary>The application's events go first on the way in, so that what they reject is not asked about, and last on the way out.</summary>
internal sealed class ChainedCookieEvents(IServiceProvider services, CookieAuthenticationEvents events, Type? eventsType) : CookieAuthenticationEvents
{
    // Not a constructor argument: it needs the session store, which needs options itself.
    private CookieSignIn SignIn => services.GetRequiredService<CookieSignIn>();

    public override async Task SigningIn(CookieSigningInContext context)
    {
        await Application(context).SigningIn(context).ConfigureAwait(false);
        await SignIn.SigningInAsync(context).ConfigureAwait(false);
    }

    public override async Task SigningOut(CookieSigningOutContext context)
    {
        await Application(context).SigningOut(context).ConfigureAwait(false);
        await SignIn.SigningOutAsync(context).ConfigureAwait(false);
    }

    public override async Task ValidatePrincipal(CookieValidatePrincipalContext context)
    {
        await Application(context).ValidatePrincipal(context).ConfigureAwait(false);
        if (context.Principal is not null)
        {
            await SignIn.ValidatePrincipalAsync(context).ConfigureAwait(false);
        }
    }

    public override Task SignedIn(CookieSignedInContext context) => Application(context).SignedIn(context);

    public override Task CheckSlidingExpiration(CookieSlidingExpirationContext context) => Application(context).CheckSlidingExpiration(context);

    public override Task RedirectToLogin(RedirectContext<CookieAuthenticationOptions> context) => Application(context).RedirectToLogin(context);

    public override Task RedirectToLogout(RedirectContext<CookieAuthenticationOptions> context) => Application(context).RedirectToLogout(context);

    public override Task RedirectToAccessDenied(RedirectContext<CookieAuthenticationOptions> context) => Application(context).RedirectToAccessDenied(context);

    public override Task RedirectToReturnUrl(RedirectContext<CookieAuthenticationOptions> context) => Application(context).RedirectToReturnUrl(context);

    private CookieAuthenticationEvents Application(BaseContext<CookieAuthenticationOptions> context) => eventsType is null
        ? events
        : (CookieAuthenticationEvents)context.HttpContext.RequestServices.GetRequiredService(eventsType);
}
