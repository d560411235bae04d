using System.Security.Claims;
using RedisSessions.Storage;

namespace RedisSessions;

/// <summary>How sessions belong to users. See docs/users.md.</summary>
public sealed class UserIndexOptions
{
    private const string Subject = "sub";

    /// <summary>
    /// The claim that holds the user's id. Default <see langword="null"/>: <see cref="ClaimTypes.NameIdentifier"/>, else <c>sub</c>, else the
    /// identity's name.
    /// </summary>
    public string? UserIdClaimType { get; set; }

    /// <summary>
    /// Who a principal is, in place of any claim; it may answer <see langword="null"/> for somebody who has no id. Such a sign-in is
    /// protected like any other, but nobody can list or revoke it. Called for authenticated principals only. Default
    /// <see langword="null"/>.
    /// </summary>
    public Func<ClaimsPrincipal, string?>? UserIdOf { get; set; }

    /// <summary>
    /// Whether the issuer of the claim is part of the user's id. Turn it on wherever users come from more than one issuer (tenants,
    /// several identity providers), for each may have a user 42, and without it they are the same user here. The id then is the
    /// issuer, percent-encoded, <c>|</c>, and the claim's value: see <see cref="GetUserId"/>. Turning it on signs everybody out
    /// once. Says nothing about what <see cref="UserIdOf"/> answers. Default <see langword="false"/>.
    /// </summary>
    public bool QualifyByIssuer { get; set; }

    /// <summary>
    /// Whether a cookie sign-in and its session end together: a ticket is honoured only while its browser has the very session that
    /// its sign-in bound, so that a revocation, an expiry or a sign-out elsewhere ends the sign-in, and a copied authentication
    /// cookie is worth nothing after sign-out (OWASP ASVS 5.0, 7.4.1); and the session ends when the ticket expires. Default
    /// <see langword="true"/>.
    /// </summary>
    public bool EndSignInWithSession { get; set; } = true;

    /// <summary>What becomes of a cookie sign-in while Redis is away. Default <see cref="SignInWithoutRedis.Keep"/>.</summary>
    public SignInWithoutRedis WithoutRedis { get; set; }

    /// <summary>
    /// Whether cookie sign-ins that were made before this library was installed are accepted and bound to a session the
    /// first time they are seen, so that installing it signs nobody out. Each is bound once, to the browser that shows it first.
    /// Turn it off once the longest lifetime of the authentication cookie has passed. Default <see langword="true"/>.
    /// </summary>
    public bool AcceptEarlierSignIns { get; set; } = true;

    /// <summary>
    /// Authentication schemes, with cookies or without, whose principals are not this site's users: they bind no session and end
    /// none. Default: the intermediate cookies of ASP.NET Core
    /// Identity (<c>Identity.External</c>, <c>Identity.TwoFactorUserId</c>, <c>Identity.TwoFactorRememberMe</c>).
    /// </summary>
    public ISet<string> ExcludedSchemes { get; } = new HashSet<string>(StringComparer.Ordinal)
    {
        "Identity.External",
        "Identity.TwoFactorUserId",
        "Identity.TwoFactorRememberMe",
    };

    /// <summary>How many sessions a user may have at once; at least 1, or <see langword="null"/>, the default, for no limit.</summary>
    public int? MaxSessionsPerUser { get; set; }

    /// <summary>What happens at the limit. Default <see cref="SessionLimitBehavior.EvictOldest"/>.</summary>
    public SessionLimitBehavior LimitBehavior { get; set; }

    /// <summary>
    /// How often a session in use refreshes its entry in the index and its last address and user agent: once in this span,
    /// over all servers. Between 1 second and 1 hour. Default 1 minute.
    /// </summary>
    public TimeSpan RefreshInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// The parameter of the query by which cookie authentication's redirect to the sign-in page says why the sign-in ended: with
    /// <c>"ended"</c>, <c>?ended=evicted</c>; the values are <c>expired</c>, <c>signed-out</c>, <c>revoked</c>, <c>evicted</c>, <c>mismatch</c> and
    /// <c>credentials-changed</c>. For a text on that page and nothing else: anybody can write such a link. <see langword="null"/>, the default, for none.
    /// </summary>
    public string? EndedParameter { get; set; }

    /// <summary>
    /// Whether the devices (browsers) that users sign in on are remembered, by a cookie of their own: a sign-in on one that the user has not used
    /// before is a security event (<see cref="SessionSecurityEventKind.NewDevice"/>), and devices can be named. The cookie is sent with an interactive
    /// sign-in, HttpOnly and otherwise like the session's; it grants nothing. Default <see langword="false"/>.
    /// </summary>
    public bool RememberDevices { get; set; }

    /// <summary>
    /// For how long a device is remembered after the last sign-in on it, in the browser and in Redis; between 1 and 400 days, beyond which browsers keep no cookie.
    /// Default 400 days.
    /// </summary>
    public TimeSpan DeviceLifetime { get; set; } = TimeSpan.FromDays(400);

    /// <summary>
    /// How many devices of a user are remembered, between 1 and 1,000; the one that was signed in on least recently goes, with its name. Default 50.
    /// </summary>
    public int MaxDevicesPerUser { get; set; } = 50;

    /// <summary>
    /// The name of the devices' cookie. Default <c>.RedisSessions.Device</c>; where the session's cookie has the prefix <c>__Host-</c>, it gets that, too.
    /// </summary>
    public string DeviceCookieName { get; set; } = ".RedisSessions.Device";

    /// <summary>For how long a user without sessions is remembered as having been active. At least 1 hour. Default 30 days.</summary>
    public TimeSpan ActivityRetention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>
    /// Over how many keys the users by last activity are spread, 1 to 1,024. The same on every server; changing it makes
    /// users reappear at their next request. Default 16.
    /// </summary>
    public int ActivityShards { get; set; } = 16;

    /// <summary>
    /// How often a background service prunes the index, one server of the fleet at a time. <see cref="TimeSpan.Zero"/> turns
    /// it off. Default 10 minutes.
    /// </summary>
    public TimeSpan PruneInterval { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// The id by which a principal's sessions are listed and revoked: what <see cref="IUserSessions"/> takes. An unpaired surrogate in
    /// it is U+FFFD.
    /// </summary>
    /// <param name="principal">The principal.</param>
    /// <returns><see langword="null"/> for a principal that is not authenticated, or has no id.</returns>
    public string? GetUserId(ClaimsPrincipal? principal)
    {
        if (principal?.Identity?.IsAuthenticated != true)
        {
            return null;
        }

        var id = UserIdOf is { } function ? function(principal) : IdOf(IdClaimOf(principal));
        return string.IsNullOrEmpty(id) ? null : Normalize(id);
    }

    /// <summary>A user's id is stored, and so compared, as UTF-8, in which every unpaired surrogate is U+FFFD.</summary>
    internal static string Normalize(string userId) => FieldNames.Normalize(userId);

    private Claim? IdClaimOf(ClaimsPrincipal principal) => UserIdClaimType is { } type
        ? principal.FindFirst(type)
        : principal.FindFirst(ClaimTypes.NameIdentifier)
            ?? principal.FindFirst(Subject)
            ?? principal.FindFirst((principal.Identity as ClaimsIdentity)?.NameClaimType ?? ClaimTypes.Name)
            ?? principal.FindFirst(ClaimTypes.Name);

    // What is escaped has no bar, so no two pairs read alike.
    private string? IdOf(Claim? claim) => claim is null || !QualifyByIssuer || claim.Value.Length == 0
        ? claim?.Value
        : $"{Uri.EscapeDataString(Normalize(claim.Issuer))}|{claim.Value}";
}

/// <summary>What becomes of a cookie sign-in while the session cannot be read.</summary>
public enum SignInWithoutRedis
{
    /// <summary>It is honoured, as it would be without this library.</summary>
    Keep,

    /// <summary>The request is anonymous; the cookie stays, so that the user is signed in again when Redis is back.</summary>
    Refuse,
}

/// <summary>What happens when a user who has the most sessions allowed signs in once more.</summary>
public enum SessionLimitBehavior
{
    /// <summary>The least recently used session is revoked.</summary>
    EvictOldest,

    /// <summary>
    /// The sign-in throws <see cref="SessionLimitReachedException"/>, and the session that the browser has stays as it is. Where an
    /// authenticated request would create the session, nothing is stored.
    /// </summary>
    RejectNew,
}
