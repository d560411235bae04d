using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>What an operator does. Each is written to the log, and each session that it ends is a security event with operator and reason.</summary>
internal sealed class DashboardActions(IServiceProvider services, IOptions<UserIndexOptions> identities, ILogger<DashboardActions> logger)
{
    private const int LongestNote = 200;

    // Typed by the operator: no click alone ends everything.
    private const string Everyone = "everyone";

    private readonly IUserSessions? _users = services.GetService<IUserSessions>();

    public async Task RevokeAsync(DashboardRequest request)
    {
        var form = await request.Context.Request.ReadFormAsync(request.Aborted).ConfigureAwait(false);
        if (_users is null || Of(form, "user") is not { } user || Of(form, "session") is not { } session)
        {
            await RefuseAsync(request, "There is no such session.").ConfigureAwait(false);
        }
        else if (WhyOf(request, form) is not { } why)
        {
            await RefuseAsync(request, "Say why: the reason is part of the record.").ConfigureAwait(false);
        }
        else
        {
            var result = await _users.RevokeAsync(user, session, why, CancellationToken.None).ConfigureAwait(false);
            logger.DashboardAction(result == RevokeResult.Revoked ? "revoked a session" : "found no such session to revoke", why.By, user, session, why.Note);
            request.Redirect(request.Link("user", ("id", user), ("done", result == RevokeResult.Revoked ? "revoked" : "gone")));
        }
    }

    public async Task RevokeUserAsync(DashboardRequest request)
    {
        var form = await request.Context.Request.ReadFormAsync(request.Aborted).ConfigureAwait(false);
        if (_users is null || Of(form, "user") is not { } user)
        {
            await RefuseAsync(request, "There is no such user.").ConfigureAwait(false);
        }
        else if (WhyOf(request, form) is not { } why)
        {
            await RefuseAsync(request, "Say why: the reason is part of the record.").ConfigureAwait(false);
        }
        else
        {
            var count = await _users.RevokeAllAsync(user, null, why, CancellationToken.None).ConfigureAwait(false);
            logger.DashboardAction(string.Create(CultureInfo.InvariantCulture, $"revoked all sessions of a user, {count}"), why.By, user, null, why.Note);
            request.Redirect(request.Link("user", ("id", user), ("done", "all")));
        }
    }

    public async Task RevokeEveryoneAsync(DashboardRequest request)
    {
        var form = await request.Context.Request.ReadFormAsync(request.Aborted).ConfigureAwait(false);
        if (_users is null || !string.Equals(Of(form, "confirm")?.Trim(), Everyone, StringComparison.OrdinalIgnoreCase))
        {
            await RefuseAsync(request, $"Type “{Everyone}” to end every session of every user.").ConfigureAwait(false);
        }
        else if (WhyOf(request, form) is not { } why)
        {
            await RefuseAsync(request, "Say why: the reason is part of the record.").ConfigureAwait(false);
        }
        else
        {
            // First: who did it is known also if it does not come to its end.
            logger.DashboardAction("revokes all sessions of everyone", why.By, null, null, why.Note);
            var total = await _users.RevokeEveryoneAsync(null, why, CancellationToken.None).ConfigureAwait(false);
            logger.DashboardAction(string.Create(CultureInfo.InvariantCulture, $"revoked {total.Sessions} sessions of {total.Users} users"), why.By, null, null, why.Note);
            request.Redirect(request.Link("users", ("done", "everyone")));
        }
    }

    private static string? Of(IFormCollection form, string field) => form[field] is [{ Length: > 0 } value] ? value : null;

    /// <summary>By whom and what for; null without a reason.</summary>
    private SessionRevocation? WhyOf(DashboardRequest request, IFormCollection form)
    {
        // On one line, so that nobody writes entries of the log.
        var note = string.Concat((Of(form, "note") ?? "").Where(character => !char.IsControl(character) && character is not ('\u2028' or '\u2029'))).Trim();
        return note.Length == 0 ? null : new SessionRevocation(By: OperatorOf(request), Note: note.Length > LongestNote ? note[..LongestNote] : note);
    }

    private string OperatorOf(DashboardRequest request) =>
        identities.Value.GetUserId(request.Context.User) ?? request.Context.User.Identity?.Name ?? "an operator without a name";

    private static Task RefuseAsync(DashboardRequest request, string sentence) => DashboardLayout.RefuseAsync(request, "Nothing was done", sentence, StatusCodes.Status400BadRequest);
}
