using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Preloading;
using RedisSessions.Sessions;

namespace Microsoft.AspNetCore.Builder;

/// <summary>
/// <c>app.UseSession()</c> on a <see cref="WebApplication"/>: the in-box session middleware, followed by an awaited load, so that whatever
/// runs behind it, custom middleware among it, finds the session in memory and blocks no thread. What Data Protection found in a session cookie is
/// remembered for up to a minute. Where <c>AddRedisSession</c> was not called these are the in-box methods, and nothing else.
/// <para>
/// A <see cref="WebApplication"/> is the better match for <c>TApp</c> than for the in-box methods' <see cref="IApplicationBuilder"/>, so an
/// application calls these without another line. They are generic, because of two methods that match alike the compiler takes
/// the one that is not: should ASP.NET Core, or the application, one day have a <c>UseSession(WebApplication)</c> of its own, that is called, and
/// the call is not ambiguous.
/// </para>
/// </summary>
public static class SessionWebApplicationExtensions
{
    /// <summary>
    /// Gives requests their session (<see cref="SessionMiddlewareExtensions.UseSession(IApplicationBuilder)"/>) and awaits its load, unless
    /// <see cref="RedisSessionOptions.PreloadSession"/> is off, or the endpoint is known and is a static asset or has
    /// <see cref="SessionPreloadAttribute"/> say that it does not wait. A request without a session cookie waits for nothing; a load that
    /// fails is not thrown, and the session is unavailable.
    /// </summary>
    /// <typeparam name="TApp">What is an application's pipeline, its endpoints and its host: <see cref="WebApplication"/>.</typeparam>
    /// <param name="app">The application.</param>
    /// <returns>The same application.</returns>
    public static IApplicationBuilder UseSession<TApp>(this TApp app)
        where TApp : IApplicationBuilder, IEndpointRouteBuilder, IHost
    {
        ArgumentNullException.ThrowIfNull(app);
        return UseInBoxSession(app).Use(AwaitLoad(app.ApplicationServices));
    }

    /// <summary>
    /// As <see cref="UseSession{TApp}(TApp)"/>, with options of its own in place of the container's. The cookie is written by these options
    /// wherever its session's id changes or ends.
    /// </summary>
    /// <typeparam name="TApp">What is an application's pipeline, its endpoints and its host: <see cref="WebApplication"/>.</typeparam>
    /// <param name="app">The application.</param>
    /// <param name="options">The session's options.</param>
    /// <returns>The same application.</returns>
    public static IApplicationBuilder UseSession<TApp>(this TApp app, SessionOptions options)
        where TApp : IApplicationBuilder, IEndpointRouteBuilder, IHost
    {
        ArgumentNullException.ThrowIfNull(app);
        ArgumentNullException.ThrowIfNull(options);
        return UseInBoxSession(app.Use(Announce(app.ApplicationServices, options)), options).Use(AwaitLoad(app.ApplicationServices));
    }

    /// <summary>SessionMiddleware, with a Data Protection that remembers what it lately found in a cookie.</summary>
    private static IApplicationBuilder UseInBoxSession(IApplicationBuilder app, SessionOptions? options = null)
    {
        if (app.ApplicationServices.GetService<RememberedCookies>() is not { } cookies)
        {
            return options is null ? SessionMiddlewareExtensions.UseSession(app) : SessionMiddlewareExtensions.UseSession(app, options);
        }

        return options is null ? app.UseMiddleware<SessionMiddleware>(cookies) : app.UseMiddleware<SessionMiddleware>(cookies, Options.Create(options));
    }

    private static Func<RequestDelegate, RequestDelegate> AwaitLoad(IServiceProvider services) => next =>
    {
        // When the pipeline is built, so that options that are wrong are reported by the start-up, as ever.
        if (!IsOurs(services) || !services.GetRequiredService<IOptions<RedisSessionOptions>>().Value.PreloadSession)
        {
            return next;
        }

        return context => context.Features.Get<ISessionFeature>()?.Session is RedisSession { IsLoaded: false } session && Waits(context.GetEndpoint())
            ? LoadAsync(session, context)
            : next(context);

        async Task LoadAsync(RedisSession session, HttpContext context)
        {
            await session.PreloadAsync().ConfigureAwait(false);
            await next(context).ConfigureAwait(false);
        }
    };

    private static Func<RequestDelegate, RequestDelegate> Announce(IServiceProvider services, SessionOptions options) => next =>
    {
        if (!IsOurs(services))
        {
            return next;
        }

        var inUse = new SessionOptionsInUse(options);
        return context =>
        {
            context.Features.Set(inUse);
            return next(context);
        };
    };

    /// <summary>Minimal hosting matches the endpoint before all else. Where it has not, or where there is none, anything may read the session.</summary>
    private static bool Waits(Endpoint? endpoint) => endpoint is null || (SessionPreload.MayRead(endpoint) && !SessionPreload.IsOff(endpoint));

    private static bool IsOurs(IServiceProvider services) =>
        services.GetService<IServiceProviderIsService>()?.IsService(typeof(RedisSessionStore)) ?? services.GetService<RedisSessionStore>() is not null;
}
