using System.Net.Mime;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using RedisSessions;
using RedisSessions.BackChannelLogout;
using StackExchange.Redis;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Lets an identity provider end sessions.</summary>
public static class BackChannelLogoutEndpointRouteBuilderExtensions
{
    private const int MaxFields = 16;
    private const int MaxFieldLength = 32 * 1024;

    /// <summary>
    /// Accepts a provider's logout tokens (OpenID Connect Back-Channel Logout 1.0) and ends the sessions that they name. Answers 200 when that is
    /// done, also if there was none, and 400 where the token is refused or the sessions could not be ended. Needs <c>AddProviderSessions()</c>.
    /// </summary>
    /// <param name="endpoints">The application.</param>
    /// <param name="pattern">Where the provider sends its tokens to, such as <c>/signout-oidc-backchannel</c>.</param>
    /// <param name="configure">Whose tokens are accepted.</param>
    /// <exception cref="InvalidOperationException">AddProviderSessions was not called, or an option is wrong; the message says what to write.</exception>
    public static IEndpointConventionBuilder MapBackChannelLogout(this IEndpointRouteBuilder endpoints, string pattern, Action<BackChannelLogoutOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(configure);
        var services = endpoints.ServiceProvider;
        var sessions = services.GetService<IProviderSessions>()
            ?? throw new InvalidOperationException("Sessions are not known by their provider. Write services.AddRedisSession(...).AddProviderSessions().");
        var options = new BackChannelLogoutOptions();
        configure(options);
        options.ThrowIfWrong();
        var validator = new LogoutTokenValidator(options, services.GetRequiredService<TimeProvider>());
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("RedisSessions.BackChannelLogout");

        // It comes from a server, with nobody's cookies: no session is to be waited for, and no antiforgery token can be there.
        return endpoints.MapPost(pattern, (RequestDelegate)(context => AnswerAsync(context, sessions, validator, logger)))
            .AllowAnonymous()
            .DisableAntiforgery()
            .WithMetadata(new SessionPreloadAttribute(false));
    }

    private static async Task AnswerAsync(HttpContext context, IProviderSessions sessions, LogoutTokenValidator validator, ILogger logger)
    {
        context.Response.Headers[HeaderNames.CacheControl] = "no-store";
        if (await ReadTokenAsync(context.Request).ConfigureAwait(false) is not { Length: > 0 } token)
        {
            await RefuseAsync(context, "invalid_request", "There is no logout_token in the form.").ConfigureAwait(false);
            return;
        }

        try
        {
            var (logout, refusal) = await validator.ValidateAsync(token, context.RequestAborted).ConfigureAwait(false);
            var ended = logout is null ? null : await sessions.EndAsync(logout, context.RequestAborted).ConfigureAwait(false);
            if (ended is null)
            {
                refusal ??= "The token was used before.";
                logger.LogoutRefused(refusal);
                await RefuseAsync(context, "invalid_request", refusal).ConfigureAwait(false);
                return;
            }

            logger.LoggedOut(ended.Value);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException or InvalidOperationException)
        {
            // Redis, or the provider's metadata: asked again it may work, and the token was not used up.
            logger.LogoutFailed(exception);
            await RefuseAsync(context, "temporarily_unavailable", "The sessions could not be ended.").ConfigureAwait(false);
        }
    }

    private static async Task<string?> ReadTokenAsync(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals(MediaTypeNames.Application.FormUrlEncoded, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        try
        {
            var limits = new FormOptions { ValueCountLimit = MaxFields, KeyLengthLimit = 256, ValueLengthLimit = MaxFieldLength, BufferBodyLengthLimit = MaxFields * MaxFieldLength };
            var form = await request.ReadFormAsync(limits, request.HttpContext.RequestAborted).ConfigureAwait(false);
            return form["logout_token"] is [var token] ? token : null;
        }
        catch (InvalidDataException)
        {
            // Longer than any provider's.
            return null;
        }
    }

    private static Task RefuseAsync(HttpContext context, string error, string description)
    {
        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        context.Response.ContentType = MediaTypeNames.Application.Json;
        return context.Response.WriteAsync($$"""{"error":"{{error}}","error_description":"{{description}}"}""", context.RequestAborted);
    }
}
