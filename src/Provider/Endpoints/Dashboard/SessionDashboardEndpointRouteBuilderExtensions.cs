using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RedisSessions;
using RedisSessions.Endpoints;
using RedisSessions.Endpoints.Dashboard;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Shows operators what sessions do, and lets them end sessions.</summary>
public static class SessionDashboardEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Serves pages under <paramref name="pattern"/>: live figures and charts, users and their sessions, revocation with a reason, security
    /// events, daily reports and their download. Everything is in this assembly; nothing is asked of another host, and the pages run no script
    /// and use no style but their own files. Fields are shown by name and size. Each part needs its add-on (<c>AddUserIndex()</c>,
    /// <c>AddAnalytics()</c>, <c>AddSecurity()</c>); a part whose add-on is missing says so. See docs/operations.md.
    /// </summary>
    /// <param name="endpoints">The application.</param>
    /// <param name="pattern">Where, such as <c>/admin/sessions</c>.</param>
    /// <param name="policy">The authorization policy that says who may see it; never anybody who is not signed in.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    /// <returns>All of the endpoints, for further conventions, such as <see cref="RequireRecentSignInAttribute"/>.</returns>
    /// <exception cref="InvalidOperationException">There is no such policy, or a service is missing; the message says what to write.</exception>
    public static IEndpointConventionBuilder MapSessionDashboard(
        this IEndpointRouteBuilder endpoints, string pattern, string policy, Action<SessionDashboardOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(pattern);
        var services = endpoints.ServiceProvider;
        RequirePolicy(services, policy);
        var options = new SessionDashboardOptions();
        configure?.Invoke(options);
        if (options.RefreshInterval != TimeSpan.Zero && options.RefreshInterval < TimeSpan.FromSeconds(1))
        {
            throw new InvalidOperationException("SessionDashboardOptions.RefreshInterval is less than one second. Write a longer time span, or TimeSpan.Zero for pages that do not refresh.");
        }

        var antiforgery = Needed.Antiforgery(services, nameof(MapSessionDashboard));
        _ = services.GetService<ISessionRepository>()
            ?? throw new InvalidOperationException("MapSessionDashboard shows sessions on Redis. Write services.AddRedisSession(\"host:port\").");
        var pages = ActivatorUtilities.CreateInstance<DashboardPages>(services, options);
        var actions = ActivatorUtilities.CreateInstance<DashboardActions>(services);
        var logger = services.GetRequiredService<ILogger<DashboardPages>>();
        var group = endpoints.MapGroup(pattern);
        group.RequireAuthorization(policy);
        Page("", pages.OverviewAsync);
        Page("users", pages.UsersAsync);
        Page("user", pages.UserAsync);
        Page("session", pages.SessionAsync);
        Page("events", pages.EventsAsync);
        Page("report.csv", pages.ReportAsync);
        Action("revoke", actions.RevokeAsync);
        Action("revoke-user", actions.RevokeUserAsync);
        Action("revoke-everyone", actions.RevokeEveryoneAsync);
        foreach (var file in DashboardFile.All)
        {
            group.MapGet(file.Name, Guarded(file.SendAsync));
        }

        return group;

        void Page(string name, Func<DashboardRequest, Task> show) => group.MapGet(name, Answers(name, show, "What is shown here is in Redis, which cannot be reached. Load the page again."));

        void Action(string name, Func<DashboardRequest, Task> act) => group.MapPost(
            name, Answers(name, request => request.ActAsync(act), "Redis cannot be reached: what you asked for may or may not have been done. Look, and do it again if need be."));

        RequestDelegate Answers(string name, Func<DashboardRequest, Task> answer, string withoutRedis) => Guarded(WithoutRedis.Answers503(
            context => answer(new DashboardRequest(context, name, antiforgery)),
            "Dashboard",
            logger,
            context => DashboardLayout.RefuseAsync(new DashboardRequest(context, name, antiforgery), "Redis is away", withoutRedis, StatusCodes.Status503ServiceUnavailable)));
    }

    /// <summary>Whatever policy and conventions let through: nobody anonymous.</summary>
    private static RequestDelegate Guarded(RequestDelegate next) => context =>
    {
        if (context.User.Identity?.IsAuthenticated == true && context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is null)
        {
            return next(context);
        }

        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    };

    private static void RequirePolicy(IServiceProvider services, string policy)
    {
        const string Write = "Write services.AddAuthorizationBuilder().AddPolicy(\"operators\", p => p.RequireRole(\"operator\")), and app.MapSessionDashboard(\"/admin/sessions\", \"operators\").";
        if (string.IsNullOrWhiteSpace(policy))
        {
            throw new InvalidOperationException($"The dashboard shows everybody's sessions and ends them, so it is served under an authorization policy only. {Write}");
        }

        var policies = services.GetService<IAuthorizationPolicyProvider>()
            ?? throw new InvalidOperationException($"The dashboard is served under an authorization policy, and there is no service for them. {Write}");

        // Once, while the application starts.
        if (policies.GetPolicyAsync(policy).GetAwaiter().GetResult() is null)
        {
            throw new InvalidOperationException($"There is no authorization policy \"{policy}\" for the dashboard. {Write}");
        }
    }
}
