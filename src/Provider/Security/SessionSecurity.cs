using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <inheritdoc cref="ISessionSecurity"/>
internal sealed class SessionSecurity(
    RedisSessionStore store,
    BrowserBinding binding,
    SuspiciousSessions suspicious,
    IServiceProvider services,
    IOptions<SessionSecurityOptions> options,
    IOptions<UserIndexOptions> users,
    SecurityEvents events) : ISessionSecurity
{
    /// <summary>The reason of a session that could not be loaded.</summary>
    public const string Unavailable = "unavailable";

    private static readonly SessionRevocation CredentialsChanged = new(SessionEndReason.CredentialsChanged);

    // Enough to see a pattern in, and bounded.
    private const int MostSessions = 1_000;

    private IUserSessions Users => services.GetService<IUserSessions>()
        ?? throw new InvalidOperationException("The index of users' sessions is not registered. Write services.AddRedisSession(...).AddUserIndex().AddSecurity().");

    public async Task<SessionValidation> ValidateAsync(HttpContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (store.Find(context) is not { } session)
        {
            return new SessionValidation(true, null);
        }

        try
        {
            await session.LoadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            return new SessionValidation(false, Unavailable);
        }

        return binding.MismatchOf(session) is { } mismatch ? new SessionValidation(false, mismatch.Reason) : new SessionValidation(true, null);
    }

    public async Task<SuspiciousActivity> DetectSuspiciousActivityAsync(string userId, CancellationToken cancellationToken)
    {
        var sessions = await Users.ListAsync(userId, 0, MostSessions, cancellationToken).ConfigureAwait(false);
        var findings = await suspicious.FindAsync(sessions).WaitAsync(cancellationToken).ConfigureAwait(false);
        foreach (var finding in findings)
        {
            events.Report(SessionSecurityEventKind.Suspicious, null, userId, $"{finding.Reason}: {finding.SessionIds.Count} sessions");
        }

        return new SuspiciousActivity(findings);
    }

    public async Task<long> CredentialsChangedAsync(HttpContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        var session = store.Find(context);
        string? owner = null;
        if (session is not null)
        {
            await session.LoadAsync(cancellationToken).ConfigureAwait(false);
            owner = session.GetMetadata(FieldNames.UserId);
        }

        // Who changed a password is who the request is from; beside a token, the browser's session may be somebody else's.
        var user = users.Value.GetUserId(context.User) ?? owner;
        var own = user == owner ? session : null;
        if (own is not null)
        {
            await own.RegenerateIdAsync(cancellationToken).ConfigureAwait(false);
        }

        return options.Value.EndOtherSessionsOnCredentialChange && user is not null
            ? await Users.RevokeAllAsync(user, own?.Identity.ToString(), CredentialsChanged, cancellationToken).ConfigureAwait(false)
            : 0;
    }

    public Task<long> CredentialsChangedAsync(string userId, string? exceptSessionId, CancellationToken cancellationToken) =>
        Users.RevokeAllAsync(userId, exceptSessionId, CredentialsChanged, cancellationToken);
}
