using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Clients;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <inheritdoc cref="ISessionSecurity"/>
internal sealed class SessionSecurity(
    RedisSessionStore store,
    BrowserBinding binding,
    SessionTimeouts timeouts,
    IServiceProvider services,
    IOptions<SessionSecurityOptions> options,
    SecurityEvents events) : ISessionSecurity
{
    // Enough to see a pattern in, and bounded.
    private const int MostSessions = 1_000;

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
            return new SessionValidation(false, "unavailable");
        }

        return binding.MismatchOf(session) is { } reason ? new SessionValidation(false, reason) : new SessionValidation(true, null);
    }

    public async Task<SuspiciousActivity> DetectSuspiciousActivityAsync(string userId, CancellationToken cancellationToken)
    {
        var sessions = await Users().ListAsync(userId, 0, MostSessions, cancellationToken).ConfigureAwait(false);
        var findings = new List<SuspiciousFinding>();
        Add(SuspiciousReason.TooManyNetworks, sessions.Select(NetworkOf).Distinct().Count() > options.Value.SuspiciousNetworks, sessions);
        Add(SuspiciousReason.TooManyBrowsers, sessions.Select(session => UserAgents.Family(session.UserAgent)).Distinct().Count() > options.Value.SuspiciousBrowsers, sessions);

        var since = timeouts.Clock.GetUtcNow() - options.Value.SuspiciousSignInWindow;
        var recent = sessions.Where(session => session.SignedInAt >= since).ToArray();
        Add(SuspiciousReason.TooManySignIns, recent.Length > options.Value.SuspiciousSignIns, recent);

        var pair = ImpossiblePair(sessions);
        Add(SuspiciousReason.ImpossiblePair, pair.Length > 0, pair);
        foreach (var finding in findings)
        {
            events.Report(SessionSecurityEventKind.Suspicious, null, userId, $"{finding.Reason}: {finding.SessionIds.Count} sessions");
        }

        return new SuspiciousActivity(findings);

        void Add(SuspiciousReason reason, bool applies, IEnumerable<UserSession> concerned)
        {
            if (applies)
            {
                findings.Add(new SuspiciousFinding(reason, [.. concerned.Select(session => session.Id)]));
            }
        }
    }

    private UserSession[] ImpossiblePair(IReadOnlyList<UserSession> sessions)
    {
        // The list is in the order of last sight, so neighbours in time are neighbours here.
        for (var i = 1; i < sessions.Count; i++)
        {
            var (later, earlier) = (sessions[i - 1], sessions[i]);
            if (later.LastSeenAt - earlier.LastSeenAt < options.Value.ImpossiblePairWindow
                && later.Address is not null && earlier.Address is not null && NetworkOf(later) != NetworkOf(earlier))
            {
                return [later, earlier];
            }
        }

        return [];
    }

    private string NetworkOf(UserSession session) =>
        IPAddress.TryParse(session.Address, out var address) ? options.Value.NetworkOf(address) : "";

    public async Task<long> CredentialsChangedAsync(HttpContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        var session = store.Find(context);
        if (session is null)
        {
            return 0;
        }

        await session.RegenerateIdAsync(cancellationToken).ConfigureAwait(false);
        return options.Value.EndOtherSessionsOnCredentialChange && session.GetMetadata(FieldNames.UserId) is { } userId
            ? await Users().RevokeAllAsync(userId, session.Identity.ToString(), cancellationToken).ConfigureAwait(false)
            : 0;
    }

    private IUserSessions Users() => services.GetService<IUserSessions>()
        ?? throw new InvalidOperationException("The index of users' sessions is not registered. Write services.AddRedisSession(...).AddUserIndex().AddSecurity().");
}
