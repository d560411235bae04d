using System.Net;

namespace RedisSessions;

/// <summary>
/// What binds a session to its browser, how long it lives, and what a client may cause. See docs/security.md.
/// </summary>
public sealed class SessionSecurityOptions
{
    /// <summary>
    /// Whether the session cookie's name begins with <c>__Host-</c>, so that no other host of the domain can set it. The cookie is then
    /// Secure in every environment, has no domain and the path <c>/</c>; sessions under the former name are begun anew. Default
    /// <see langword="false"/>.
    /// </summary>
    public bool UseHostCookie { get; set; }

    /// <summary>Whether the client's address must stay the same. Default <see cref="AddressBinding.Off"/>: phones change networks.</summary>
    public AddressBinding Address { get; set; }

    /// <summary>What happens when the address differs. Default <see cref="BindingAction.Reject"/>.</summary>
    public BindingAction AddressAction { get; set; } = BindingAction.Reject;

    /// <summary>The length of an IPv4 network's prefix in bits, 1 to 32. Default 24.</summary>
    public int IPv4PrefixLength { get; set; } = 24;

    /// <summary>The length of an IPv6 network's prefix in bits, 1 to 128. Default 64.</summary>
    public int IPv6PrefixLength { get; set; } = 64;

    /// <summary>Whether the User-Agent header must stay the same. Default <see cref="UserAgentBinding.Family"/>.</summary>
    public UserAgentBinding UserAgent { get; set; } = UserAgentBinding.Family;

    /// <summary>What happens when the user agent differs. Default <see cref="BindingAction.Reject"/>.</summary>
    public BindingAction UserAgentAction { get; set; } = BindingAction.Reject;

    /// <summary>
    /// Whether the headers in <see cref="FingerprintHeaders"/> must stay the same, kept as a SHA-256 digest. Default
    /// <see langword="false"/>: a browser update changes them.
    /// </summary>
    public bool Fingerprint { get; set; }

    /// <summary>
    /// The headers of the fingerprint. Default User-Agent, Accept-Language, Accept-Encoding; not Accept, which differs between
    /// a page and what it fetches.
    /// </summary>
    public IList<string> FingerprintHeaders { get; } = ["User-Agent", "Accept-Language", "Accept-Encoding"];

    /// <summary>What happens when the fingerprint differs. Default <see cref="BindingAction.Reject"/>.</summary>
    public BindingAction FingerprintAction { get; set; } = BindingAction.Reject;

    /// <summary>
    /// May overrule a difference: what it returns is done in place of the configured action, <see langword="null"/> accepts the
    /// request. Must be quick; it runs on the request's path. Default <see langword="null"/>.
    /// </summary>
    public Func<SessionMismatch, BindingAction?>? OnMismatch { get; set; }

    /// <summary>
    /// Timeouts of a user's sessions, asked at sign-in with the user's id. What is shorter wins, against
    /// <see cref="Microsoft.AspNetCore.Builder.SessionOptions.IdleTimeout"/> and <see cref="RedisSessionOptions.AbsoluteTimeout"/>.
    /// Needs the user index. Default <see langword="null"/>.
    /// </summary>
    public Func<string, UserTimeouts>? TimeoutsOf { get; set; }

    /// <summary>
    /// Whether <see cref="ISessionSecurity.CredentialsChangedAsync(Microsoft.AspNetCore.Http.HttpContext, CancellationToken)"/> ends the user's other sessions (OWASP ASVS 5.0, 7.4.3).
    /// Default <see langword="true"/>.
    /// </summary>
    public bool EndOtherSessionsOnCredentialChange { get; set; } = true;

    /// <summary>The most fields of a session. Default 1,000.</summary>
    public int MaxFieldCount { get; set; } = 1_000;

    /// <summary>The most bytes of one field. Default 1 MiB.</summary>
    public int MaxFieldSize { get; set; } = 1024 * 1024;

    /// <summary>The most bytes of a session, names and values. Default 4 MiB.</summary>
    public long MaxSessionSize { get; set; } = 4 * 1024 * 1024;

    /// <summary>
    /// How many sessions one client network may create in a minute, and how many the authenticated requests of one user; 0 for no limit.
    /// Past it a session works in memory for its request and is not stored, so that a robot without cookies cannot fill Redis. A
    /// sign-in is never limited, nor is a client without an address (as behind a Unix socket without forwarded headers). Default 300.
    /// </summary>
    public int MaxCreationsPerMinute { get; set; } = 300;

    /// <summary>From how many networks at once a user's sessions are suspicious: more than this. Default 5.</summary>
    public int SuspiciousNetworks { get; set; } = 5;

    /// <summary>In how many browsers at once a user's sessions are suspicious: more than this. Default 5.</summary>
    public int SuspiciousBrowsers { get; set; } = 5;

    /// <summary>How many sign-ins within <see cref="SuspiciousSignInWindow"/> are suspicious: more than this. Default 10.</summary>
    public int SuspiciousSignIns { get; set; } = 10;

    /// <summary>Default 1 hour.</summary>
    public TimeSpan SuspiciousSignInWindow { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Two networks in use within this span are an impossible pair. Default 10 seconds; zero turns it off.</summary>
    public TimeSpan ImpossiblePairWindow { get; set; } = TimeSpan.FromSeconds(10);

    internal string NetworkOf(IPAddress? address)
    {
        if (address is null)
        {
            return "";
        }

        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        var bytes = address.GetAddressBytes();
        var length = bytes.Length == 4 ? IPv4PrefixLength : IPv6PrefixLength;
        for (var bit = length; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return $"{new IPAddress(bytes)}/{length}";
    }
}

/// <summary>How much of the client's address must stay the same. It is Connection.RemoteIpAddress, never a raw header.</summary>
public enum AddressBinding
{
    /// <summary>Nothing.</summary>
    Off,

    /// <summary>All of it.</summary>
    Exact,

    /// <summary>Its network.</summary>
    Network,
}

/// <summary>How much of the User-Agent header must stay the same.</summary>
public enum UserAgentBinding
{
    /// <summary>Nothing.</summary>
    Off,

    /// <summary>All of it: a browser update signs people out.</summary>
    Exact,

    /// <summary>Browser and system, without versions.</summary>
    Family,
}

/// <summary>What happens to a request that does not match its session.</summary>
public enum BindingAction
{
    /// <summary>It is reported, and goes on.</summary>
    Log,

    /// <summary>The request sees an empty session and gets a new id; the owner's session stays.</summary>
    Reject,

    /// <summary>The session ends, for its owner too.</summary>
    Destroy,
}

/// <summary>A request that does not match its session.</summary>
/// <param name="SessionId">The session.</param>
/// <param name="Reason">What differs: <c>address</c>, <c>user agent</c> or <c>fingerprint</c>.</param>
/// <param name="Action">The action configured for that.</param>
/// <param name="Context">The request.</param>
public sealed record SessionMismatch(string SessionId, string Reason, BindingAction Action, Microsoft.AspNetCore.Http.HttpContext Context);

/// <summary>Timeouts of a user's sessions; <see langword="null"/> for the site's.</summary>
/// <param name="Idle">Idle timeout, positive.</param>
/// <param name="Absolute">Absolute timeout, positive.</param>
public readonly record struct UserTimeouts(TimeSpan? Idle, TimeSpan? Absolute);
