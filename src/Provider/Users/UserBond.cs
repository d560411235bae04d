using System.Security.Claims;

namespace RedisSessions.Users;

/// <summary>What binds a session to a user.</summary>
/// <param name="UserId">The user; null for a sign-in of somebody who has no id.</param>
/// <param name="Scheme">The authentication scheme that says so; null where nobody knows.</param>
internal sealed record UserBond(string? UserId, string? Scheme)
{
    /// <summary>The sign-in's number, for a cookie sign-in; null for what is none.</summary>
    public string? Number { get; init; }

    /// <summary>When credentials were checked, Unix milliseconds; null where nobody knows, or none were.</summary>
    public long? SignedInAt { get; init; }

    /// <summary>When the sign-in's ticket expires, and the session with it, Unix milliseconds; null for not with it.</summary>
    public long? Ends { get; init; }

    /// <summary>Who signs in, for what else is known of that; null for what is no sign-in.</summary>
    public ClaimsPrincipal? Principal { get; init; }

    /// <summary>How a persistent sign-in is remembered; null for one that ends with the browser.</summary>
    public Persistence? Persistence { get; init; }

    /// <summary>When the sign-in began, in UTC ticks: a revocation since then ends it; null for what is none.</summary>
    public long? BegunAt { get; init; }

    /// <summary>Whether this is the sign-in that bound the session, with another ticket: whatever ends that ends this.</summary>
    public bool Continues { get; init; }

    /// <summary>Whether somebody has just shown credentials, on the device that the request comes from.</summary>
    public bool ShowsCredentials { get; init; }

    /// <summary>Whether somebody signs in, so that the session gets a new id in any case.</summary>
    public bool IsSignIn => Number is not null;
}

/// <summary>What became of binding a session.</summary>
internal enum BindOutcome
{
    Bound,

    /// <summary>It was bound to this user already.</summary>
    Unchanged,

    /// <summary>The session may not be stored.</summary>
    NotStored,

    /// <summary>The user's sessions were revoked since the sign-in began: there is no session.</summary>
    Revoked,
}
