using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Endpoints;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Lets users see and end their own sessions.</summary>
public static class MySessionsEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Answers the signed-in user in JSON: <c>GET pattern</c> lists the user's own sessions and hands out an antiforgery token;
    /// <c>DELETE pattern/{id}</c> ends one of them, <c>DELETE pattern/others</c> all but the present one. Whoever is not signed in is answered
    /// 401, and so is whoever wants to end a session with a sign-in that is not recent; a missing or foreign antiforgery token is 400, and a
    /// session that is not there, or not the user's, 404; while Redis is away the answer is 503. Needs <c>AddUserIndex()</c>, <c>AddSecurity()</c> and <c>AddAntiforgery()</c>.
    /// See docs/users.md.
    /// </summary>
    /// <param name="endpoints">The application.</param>
    /// <param name="pattern">Where, such as <c>/account/sessions</c>.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    /// <returns>All of the endpoints, for further conventions.</returns>
    /// <exception cref="InvalidOperationException">A service is missing, or an option is wrong; the message says what to write.</exception>
    public static IEndpointConventionBuilder MapMySessions(this IEndpointRouteBuilder endpoints, string pattern, Action<MySessionsOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(pattern);
        var options = new MySessionsOptions();
        configure?.Invoke(options);
        Require(options.RecentSignInMinutes >= 1, "MySessionsOptions.RecentSignInMinutes is less than 1. Write a number of minutes, for example 10.");
        Require(options.PageSize is >= 1 and <= 1_000, "MySessionsOptions.PageSize is out of range. Write a number between 1 and 1,000.");
        var antiforgery = Needed.Antiforgery(endpoints.ServiceProvider, nameof(MapMySessions));
        var headerName = endpoints.ServiceProvider.GetRequiredService<IOptions<AntiforgeryOptions>>().Value.HeaderName;
        Require(
            !string.IsNullOrEmpty(headerName),
            "MapMySessions takes the antiforgery token from a header, and AntiforgeryOptions.HeaderName is empty. Write services.AddAntiforgery(o => o.HeaderName = \"RequestVerificationToken\").");
        var sessions = new MySessions(
            Needed.Users(endpoints.ServiceProvider, nameof(MapMySessions)),
            endpoints.ServiceProvider.GetRequiredService<IOptions<UserIndexOptions>>().Value,
            Needed.SecurityOptions(endpoints.ServiceProvider, nameof(MapMySessions)),
            antiforgery,
            options.PageSize);

        var group = endpoints.MapGroup(pattern);

        // A script cannot follow a redirect to a page for people.
        group.RequireAuthorization().DisableCookieRedirect();
        var logger = endpoints.ServiceProvider.GetRequiredService<ILogger<MySessions>>();
        group.MapGet("", Answers(sessions.ListAsync));
        var recent = new RequireRecentSignInAttribute(options.RecentSignInMinutes);

        // Not a DELETE of the collection: a client that lost an id would end everything.
        group.MapDelete("others", Answers(sessions.RevokeOthersAsync)).WithMetadata(recent);
        group.MapDelete("{id}", Answers(sessions.RevokeAsync)).WithMetadata(recent);
        return group;

        RequestDelegate Answers(RequestDelegate next) => WithoutRedis.Answers503(next, "My sessions", logger);

        static void Require(bool right, string sentence)
        {
            if (!right)
            {
                throw new InvalidOperationException(sentence);
            }
        }
    }
}
