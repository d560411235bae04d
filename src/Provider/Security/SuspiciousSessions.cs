using System.Net;
using Microsoft.Extensions.Options;
using RedisSessions.Clients;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>What is suspicious about the sessions that one user has at once.</summary>
internal sealed class SuspiciousSessions(IOptions<SessionSecurityOptions> options, NetworksInUse networks, SessionTimeouts timeouts)
{
    private SessionSecurityOptions Options => options.Value;

    /// <param name="sessions">In the order of last sight, the latest first.</param>
    public async Task<IReadOnlyList<SuspiciousFinding>> FindAsync(IReadOnlyList<UserSession> sessions)
    {
        var since = timeouts.Clock.GetUtcNow() - Options.SuspiciousSignInWindow;
        var signedIn = sessions.Where(session => session.SignedInAt >= since).ToArray();
        var apart = await networks.FindAsync(sessions, Options.SuspiciousSignInWindow).ConfigureAwait(false);
        string[] pairs = [.. ImpossiblePair(sessions).Select(static session => session.Id).Union(apart)];

        var findings = new List<SuspiciousFinding>();
        Add(SuspiciousReason.TooManyNetworks, sessions.Select(NetworkOf).Distinct().Count() > Options.SuspiciousNetworks, sessions.Select(static session => session.Id));
        Add(SuspiciousReason.TooManyBrowsers, sessions.Select(session => UserAgents.Family(session.UserAgent)).Distinct().Count() > Options.SuspiciousBrowsers, sessions.Select(static session => session.Id));
        Add(SuspiciousReason.TooManySignIns, signedIn.Length > Options.SuspiciousSignIns, signedIn.Select(static session => session.Id));
        Add(SuspiciousReason.ImpossiblePair, pairs.Length > 0, pairs);
        return findings;

        void Add(SuspiciousReason reason, bool applies, IEnumerable<string> concerned)
        {
            if (applies)
            {
                findings.Add(new SuspiciousFinding(reason, [.. concerned]));
            }
        }
    }

    private IEnumerable<UserSession> ImpossiblePair(IReadOnlyList<UserSession> sessions)
    {
        // Neighbours in time are neighbours in the list.
        for (var i = 1; i < sessions.Count; i++)
        {
            var (later, earlier) = (sessions[i - 1], sessions[i]);
            if (later.LastSeenAt - earlier.LastSeenAt < Options.ImpossiblePairWindow
                && later.Address is not null && earlier.Address is not null && NetworkOf(later) != NetworkOf(earlier))
            {
                return [later, earlier];
            }
        }

        return [];
    }

    private string NetworkOf(UserSession session) => IPAddress.TryParse(session.Address, out var address) ? Options.NetworkOf(address) : "";
}
