using System.Security.Claims;

namespace RedisSessions;

/// <summary>How sessions belong to users. See docs/users.md.</summary>
public sealed class UserIndexOptions
{
    /// <summary>
    /// The claim that holds the user's id. Default <see langword="null"/>: <see cref="ClaimTypes.NameIdentifier"/>, and
    /// <see cref="ClaimTypes.Name"/> where that is missing.
    /// </summary>
    public string? UserIdClaimType { get; set; }

    /// <summary>
    /// Whether a cookie sign-in ends with its session: a principal is honoured only while its browser's session is alive and
    /// bound to the same user, so that a revocation, an expiry or a sign-out elsewhere ends the sign-in, and a copied
    /// authentication cookie is worth nothing after sign-out (OWASP ASVS 5.0, 7.4.1). Default <see langword="true"/>.
    /// </summary>
    public bool EndSignInWithSession { get; set; } = true;

    /// <summary>What becomes of a cookie sign-in while Redis is away. Default <see cref="SignInWithoutRedis.Keep"/>.</summary>
    public SignInWithoutRedis WithoutRedis { get; set; }

    /// <summary>
    /// Whether cookie sign-ins that were made before this library was installed are accepted and bound to a session the
    /// first time they are seen, so that installing it signs nobody out. Turn it off once the longest lifetime of the
    /// authentication cookie has passed: until then such a cookie, if copied, works as it did before. Default
    /// <see langword="true"/>.
    /// </summary>
    public bool AcceptEarlierSignIns { get; set; } = true;

    /// <summary>
    /// Authentication schemes whose cookies are not a user's sign-in. Default: the intermediate cookies of ASP.NET Core
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

    internal string? UserIdOf(ClaimsPrincipal? principal)
    {
        if (principal?.Identity?.IsAuthenticated != true)
        {
            return null;
        }

        var id = UserIdClaimType is { } type
            ? principal.FindFirstValue(type)
            : principal.FindFirstValue(ClaimTypes.NameIdentifier) ?? principal.FindFirstValue(ClaimTypes.Name);
        return string.IsNullOrEmpty(id) ? null : id;
    }
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
    /// <summary>The least recently seen session is revoked.</summary>
    EvictOldest,

    /// <summary>The sign-in throws <see cref="SessionLimitReachedException"/>.</summary>
    RejectNew,
}
