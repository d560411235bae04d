namespace RedisSessions;

/// <summary>Why a session ended.</summary>
public enum SessionEndReason
{
    /// <summary>It was not used for its idle timeout, or its absolute timeout or its sign-in's ticket was over.</summary>
    Expired,

    /// <summary>Its own browser ended it: a sign-out, <c>DestroyAsync</c>, or another user's sign-in.</summary>
    SignedOut,

    /// <summary>It was ended from elsewhere: by its user on another device, by an administrator, or by its id alone.</summary>
    Revoked,

    /// <summary>The user signed in elsewhere, and <see cref="UserIndexOptions.MaxSessionsPerUser"/> allowed no further session.</summary>
    Evicted,

    /// <summary>A request did not match the browser or the network that it was bound to.</summary>
    Mismatch,

    /// <summary>The user's password or another factor was changed: <see cref="ISessionSecurity.CredentialsChangedAsync(string, string?, CancellationToken)"/>.</summary>
    CredentialsChanged,
}
