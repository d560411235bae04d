using Microsoft.AspNetCore.Authorization;

namespace RedisSessions.Security.RecentSignIn;

/// <param name="Age">How long ago credentials may have been checked at most.</param>
internal sealed record RecentSignInRequirement(TimeSpan Age) : IAuthorizationRequirement
{
    // Servers' clocks differ by that much at most; a time further ahead was not written by one of them.
    private const long ClockSkew = 60_000;

    /// <param name="signedIn">When credentials were checked, Unix milliseconds; whatever somebody wrote there.</param>
    /// <param name="now">Unix milliseconds.</param>
    public bool IsMetBy(long signedIn, long now) => signedIn >= now - (long)Age.TotalMilliseconds && signedIn <= now + ClockSkew;
}
