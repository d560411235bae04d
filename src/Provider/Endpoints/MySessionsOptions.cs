namespace RedisSessions;

/// <summary>How <c>MapMySessions</c> answers.</summary>
public sealed class MySessionsOptions
{
    /// <summary>
    /// How long ago the user's credentials may have been checked at most, in minutes, for a session to be ended; whoever comes later is
    /// asked to sign in again, as by <see cref="RequireRecentSignInAttribute"/>. At least 1. Default 10.
    /// </summary>
    public int RecentSignInMinutes { get; set; } = 10;

    /// <summary>How many sessions one answer lists, the most recently seen first; <c>?skip=</c> goes on. Between 1 and 1,000. Default 100.</summary>
    public int PageSize { get; set; } = 100;
}
