using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using RedisSessions;
using RedisSessions.Security;
using RedisSessions.Sessions;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Turns away requests whose session is not what their cookie says.</summary>
public static class SessionValidationApplicationBuilderExtensions
{
    /// <summary>
    /// Answers a request whose session does not match its browser with 401, or redirects it, and expires the cookie that did not match,
    /// so that the browser's next request begins anew. Put it behind <c>UseSession()</c>. Without it such a request merely sees an empty
    /// session, and keeps its cookie.
    /// </summary>
    /// <param name="app">The application.</param>
    /// <param name="redirectTo">Where to redirect GET requests to, as a local path; it is never refused. <see langword="null"/> for 401.</param>
    public static IApplicationBuilder UseSessionValidation(this IApplicationBuilder app, string? redirectTo = null)
    {
        ArgumentNullException.ThrowIfNull(app);
        return app.Use(async (HttpContext context, RequestDelegate next) =>
        {
            var security = (ISessionSecurity?)context.RequestServices.GetService(typeof(ISessionSecurity))
                ?? throw new InvalidOperationException("Session security is not registered. Write services.AddRedisSession(...).AddSecurity().");
            var validation = await security.ValidateAsync(context, context.RequestAborted).ConfigureAwait(false);
            if (validation.IsValid || validation.Reason == SessionSecurity.Unavailable || !IsRefused(context))
            {
                await next(context).ConfigureAwait(false);
                return;
            }

            if (redirectTo is not null && LeadsTo(context.Request, redirectTo))
            {
                await next(context).ConfigureAwait(false);
            }
            else if (redirectTo is not null && HttpMethods.IsGet(context.Request.Method))
            {
                context.Response.Redirect(redirectTo);
            }
            else
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            }
        });
    }

    /// <summary>Whether the mismatch had a consequence; the cookie that did not match then goes, too.</summary>
    private static bool IsRefused(HttpContext context)
    {
        var services = context.RequestServices;
        if (services.GetRequiredService<RedisSessionStore>().Find(context) is not { } session
            || services.GetRequiredService<BrowserBinding>().MismatchOf(session) is not { Action: not BindingAction.Log })
        {
            return false;
        }

        session.ForgetCookie();
        return true;
    }

    private static bool LeadsTo(HttpRequest request, string target)
    {
        var path = target.IndexOfAny(['?', '#']) is var end and >= 0 ? target[..end] : target;
        return string.Equals((request.PathBase + request.Path).Value, path, StringComparison.OrdinalIgnoreCase);
    }
}
