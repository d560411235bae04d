using System.Globalization;
using System.Net;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace RedisSessions.Endpoints;

/// <summary>A user's own sessions. Whose they are is the request's user, and nothing that the request says.</summary>
internal sealed class MySessions(IUserSessions users, UserIndexOptions identities, SessionSecurityOptions security, IAntiforgery antiforgery, int pageSize)
{
    // Whoever clicks and closes the lid has signed the others out.
    private static CancellationToken AlsoUnwaited => CancellationToken.None;

    public async Task ListAsync(HttpContext context)
    {
        if (UserOf(context) is not { } userId)
        {
            return;
        }

        var asked = context.Request.Query["skip"].ToString();
        var skip = 0;
        if (asked.Length > 0 && !int.TryParse(asked, NumberStyles.None, CultureInfo.InvariantCulture, out skip))
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        var listed = await users.ListAsync(userId, skip, pageSize, context.RequestAborted).ConfigureAwait(false);
        var tokens = antiforgery.GetAndStoreTokens(context);
        var answer = new MySessionList([.. listed.Select(Describe)], new AntiforgeryHeader(tokens.HeaderName!, tokens.RequestToken!));
        await WriteAsync(context, answer, MySessionsJson.Default.MySessionList).ConfigureAwait(false);
    }

    public async Task RevokeAsync(HttpContext context)
    {
        if (UserOf(context) is not { } userId || !await IsMeantAsync(context).ConfigureAwait(false))
        {
            return;
        }

        var id = (string)context.Request.RouteValues["id"]!;
        var result = await users.RevokeAsync(userId, id, By(userId), AlsoUnwaited).ConfigureAwait(false);

        // Another user's session is as unknown as one that does not exist.
        context.Response.StatusCode = result == RevokeResult.Revoked ? StatusCodes.Status204NoContent : StatusCodes.Status404NotFound;
    }

    public async Task RevokeOthersAsync(HttpContext context)
    {
        if (UserOf(context) is not { } userId || !await IsMeantAsync(context).ConfigureAwait(false))
        {
            return;
        }

        // The recent sign-in that this endpoint asks for was found in this very session, so it is the user's.
        var revoked = await users.RevokeAllAsync(userId, context.Session.Id, By(userId), AlsoUnwaited).ConfigureAwait(false);
        await WriteAsync(context, new RevokedSessions(revoked), MySessionsJson.Default.RevokedSessions).ConfigureAwait(false);
    }

    private string? UserOf(HttpContext context)
    {
        context.Response.Headers[HeaderNames.CacheControl] = "no-store";
        var userId = identities.GetUserId(context.User);
        if (userId is null)
        {
            // Signed in, but as nobody who could have sessions; or mapped with AllowAnonymous().
            context.Response.StatusCode = context.User.Identity?.IsAuthenticated == true ? StatusCodes.Status403Forbidden : StatusCodes.Status401Unauthorized;
        }

        return userId;
    }

    private async Task<bool> IsMeantAsync(HttpContext context)
    {
        try
        {
            await antiforgery.ValidateRequestAsync(context).ConfigureAwait(false);
            return true;
        }
        catch (AntiforgeryValidationException)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return false;
        }
    }

    private static SessionRevocation By(string userId) => new(By: userId, Note: "by the user, from another session");

    private MySession Describe(UserSession session) => new(
        session.Id,
        session.DeviceName,
        IPAddress.TryParse(session.Address, out var address) ? security.NetworkOf(address) : null,
        session.CreatedAt,
        session.SignedInAt,
        session.LastSeenAt,
        session.ExpiresAt,
        session.IsCurrent);

    private static Task WriteAsync<T>(HttpContext context, T answer, JsonTypeInfo<T> type)
    {
        context.Response.Headers[HeaderNames.XContentTypeOptions] = "nosniff";
        return context.Response.WriteAsJsonAsync(answer, type, cancellationToken: context.RequestAborted);
    }
}
