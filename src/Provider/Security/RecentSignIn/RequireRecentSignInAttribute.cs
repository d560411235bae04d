using Microsoft.AspNetCore.Authorization;
using RedisSessions.Security.RecentSignIn;
using RedisSessions.Sessions;

namespace RedisSessions;

/// <summary>
/// Lets only users in whose credentials were checked a short while ago, in the session that they come with, for sensitive pages (OWASP
/// ASVS 5.0, 7.5.1 and 7.5.3); others are asked to sign in again, by the policy's schemes. For controllers, actions, Razor Pages and
/// minimal APIs. Implies <see cref="SessionValidatedAttribute"/>. Needs the user index, whose user and sign-in time it goes by: a session of somebody else's counts for nothing.
/// </summary>
/// <param name="minutes">How long ago at most, in minutes; positive.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class RequireRecentSignInAttribute(int minutes) : Attribute, IAuthorizeData, IAuthorizationRequirementData, ISessionValidatedMetadata
{
    /// <summary>How long ago the sign-in may be at most, in minutes.</summary>
    public int Minutes { get; } = minutes > 0 ? minutes : throw new ArgumentOutOfRangeException(nameof(minutes));

    /// <inheritdoc/>
    public string? Policy { get; set; }

    /// <inheritdoc/>
    public string? Roles { get; set; }

    /// <inheritdoc/>
    public string? AuthenticationSchemes { get; set; }

    /// <inheritdoc/>
    public IEnumerable<IAuthorizationRequirement> GetRequirements() => [new RecentSignInRequirement(TimeSpan.FromMinutes(Minutes))];
}
