using Microsoft.AspNetCore.Http;
using RedisSessions;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Turns away requests whose session is not what their cookie says.</summary>
public static class SessionValidationApplicationBuilderExtensions
{
    /// <summary>
    /// Answers a request whose session does not match its browser with 401, or redirects it. Put it behind
    /// <c>UseSession()</c>. Without it such a request merely sees an empty session.
    /// </summary>
    /// <param name="app">The application.</param>
    /// <param name="redirectTo">Where to redirect GET requests to, as a local path; <see langword="null"/> for 401.</param>
    public static IApplicationBuilder UseSessionValidation(this IApplicationBuilder app, string? redirectTo = null)
    {
        ArgumentNullException.ThrowIfNull(app);
        return app.Use(async (HttpContext context, RequestDelegate next) =>
        {
            var security = (ISessionSecurity?)context.RequestServices.GetService(typeof(ISessionSecurity))
                ?? throw new InvalidOperationException("Session security is not registered. Write services.AddRedisSession(...).AddSecurity().");
            var validation = await security.ValidateAsync(context, context.RequestAborted).ConfigureAwait(false);
            if (validation.IsValid || validation.Reason == "unavailable")
            {
                await next(context).ConfigureAwait(false);
            }
            else if (redirectTo is not null && HttpMethods.IsGet(context.Request.Method) && context.Request.Path != redirectTo)
            {
                context.Response.Redirect(redirectTo);
            }
            else
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            }
        });
    }
}
