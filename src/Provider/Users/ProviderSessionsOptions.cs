using System.Security.Claims;

namespace RedisSessions;

/// <summary>How sessions are known to identity providers. See docs/users.md.</summary>
public sealed class ProviderSessionsOptions
{
    /// <summary>
    /// Which provider's sign-in a principal is; <see langword="null"/> for none. Default <see langword="null"/>: <c>sid</c>, <c>sub</c> (else
    /// <see cref="ClaimTypes.NameIdentifier"/>), and as the issuer the claim <c>iss</c>, else what the claims themselves name as theirs. A principal whose
    /// claims the application made itself names no issuer: say here where it comes from.
    /// </summary>
    public Func<ClaimsPrincipal, ProviderSignIn?>? SignInOf { get; set; }
}

/// <summary>A sign-in at an identity provider.</summary>
public sealed class ProviderSignIn
{
    /// <summary>The provider, just as its tokens say in <c>iss</c>.</summary>
    public required string Issuer { get; init; }

    /// <summary>The user at the provider (<c>sub</c>); may be <see langword="null"/>.</summary>
    public string? Subject { get; init; }

    /// <summary>The session at the provider (<c>sid</c>); may be <see langword="null"/>.</summary>
    public string? SessionId { get; init; }
}

/// <summary>What a provider's logout token says, by who has validated it.</summary>
public sealed class ProviderLogout
{
    /// <summary>The provider (<c>iss</c>).</summary>
    public required string Issuer { get; init; }

    /// <summary>The user (<c>sub</c>). Without a <see cref="SessionId"/> all of the user's sessions that this provider began end.</summary>
    public string? Subject { get; init; }

    /// <summary>The session (<c>sid</c>).</summary>
    public string? SessionId { get; init; }

    /// <summary>The token (<c>jti</c>), which counts once.</summary>
    public required string TokenId { get; init; }

    /// <summary>Until when somebody could show it again.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }
}

/// <summary>Sessions by what identity providers know of them. Works on any server of the fleet.</summary>
public interface IProviderSessions
{
    /// <summary>
    /// Ends the sessions that a provider's sign-in began, and sign-ins of it that are still under way. May be called again after it
    /// threw: a token counts as used only when all is done.
    /// </summary>
    /// <param name="logout">What is to end: a token that the caller has validated.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>How many sessions were ended; <see langword="null"/> if the token was used before, and nothing was done.</returns>
    /// <exception cref="ArgumentException">It names neither subject nor session, or no issuer or token id.</exception>
    Task<long?> EndAsync(ProviderLogout logout, CancellationToken cancellationToken = default);
}
