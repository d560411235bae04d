using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace RedisSessions.Users;

/// <summary>
/// Puts <see cref="CookieSignIn"/> into every cookie scheme, around whatever events the application set, an EventsType included.
/// As the factory of these options, because that comes after everything that configures them, whatever was registered later.
/// </summary>
internal sealed class ChainedCookieOptions(
    IEnumerable<IConfigureOptions<CookieAuthenticationOptions>> setups,
    IEnumerable<IPostConfigureOptions<CookieAuthenticationOptions>> postConfigures,
    IEnumerable<IValidateOptions<CookieAuthenticationOptions>> validations,
    IServiceProvider services) : IOptionsFactory<CookieAuthenticationOptions>
{
    private readonly OptionsFactory<CookieAuthenticationOptions> _inner = new(setups, postConfigures, validations);

    public CookieAuthenticationOptions Create(string name)
    {
        var options = _inner.Create(name);
        options.Events = new ChainedCookieEvents(services, options.Events, options.EventsType);
        options.EventsType = null;
        services.GetService<TicketStores>()?.Install(name, options);
        return options;
    }
}

/// <summary>
/// The application's events go first on the way in, so that what they reject is not asked about, and first on the way out. They stand
/// behind the delegates of this object, so that whoever sets or wraps one of those later does to them what he would without us.
/// </summary>
internal sealed class ChainedCookieEvents : CookieAuthenticationEvents
{
    private readonly IServiceProvider _services;
    private readonly CookieAuthenticationEvents _events;
    private readonly Type? _eventsType;

    public ChainedCookieEvents(IServiceProvider services, CookieAuthenticationEvents? events, Type? eventsType)
    {
        _services = services;
        _events = events ?? new CookieAuthenticationEvents();
        _eventsType = eventsType;
        OnSigningIn = context => Application(context).SigningIn(context);
        OnSignedIn = context => Application(context).SignedIn(context);
        OnSigningOut = context => Application(context).SigningOut(context);
        OnValidatePrincipal = context => Application(context).ValidatePrincipal(context);
        OnCheckSlidingExpiration = context => Application(context).CheckSlidingExpiration(context);
        OnRedirectToLogin = context => Application(context).RedirectToLogin(context);
        OnRedirectToLogout = context => Application(context).RedirectToLogout(context);
        OnRedirectToAccessDenied = context => Application(context).RedirectToAccessDenied(context);
        OnRedirectToReturnUrl = context => Application(context).RedirectToReturnUrl(context);
    }

    // Not a constructor argument: it needs the session store, which needs options itself.
    private CookieSignIn SignIn => _services.GetRequiredService<CookieSignIn>();

    public override async Task SigningIn(CookieSigningInContext context)
    {
        await base.SigningIn(context).ConfigureAwait(false);
        await SignIn.SigningInAsync(context).ConfigureAwait(false);
    }

    public override async Task SigningOut(CookieSigningOutContext context)
    {
        await base.SigningOut(context).ConfigureAwait(false);
        await SignIn.SigningOutAsync(context).ConfigureAwait(false);
    }

    public override async Task CheckSlidingExpiration(CookieSlidingExpirationContext context)
    {
        await base.CheckSlidingExpiration(context).ConfigureAwait(false);
        await SignIn.CheckSlidingExpirationAsync(context).ConfigureAwait(false);
    }

    public override async Task RedirectToLogin(RedirectContext<CookieAuthenticationOptions> context)
    {
        // First: the application's event sends the browser there.
        await SignIn.RedirectingToLoginAsync(context).ConfigureAwait(false);
        await base.RedirectToLogin(context).ConfigureAwait(false);
    }

    public override async Task ValidatePrincipal(CookieValidatePrincipalContext context)
    {
        if (!new SignInTicket(context.Properties).IsEnded)
        {
            await base.ValidatePrincipal(context).ConfigureAwait(false);
        }

        if (context.Principal is not null)
        {
            await SignIn.ValidatePrincipalAsync(context).ConfigureAwait(false);
        }
    }

    private CookieAuthenticationEvents Application(BaseContext<CookieAuthenticationOptions> context) => _eventsType is null
        ? _events
        : (CookieAuthenticationEvents)context.HttpContext.RequestServices.GetRequiredService(_eventsType);
}
