namespace RedisSessions;

/// <summary>How live connections belong to their sessions.</summary>
public sealed class LiveConnectionOptions
{
    /// <summary>What on a live connection keeps its session alive. Default <see cref="LiveTraffic.Messages"/>.</summary>
    public LiveTraffic KeepAlive { get; set; }

    /// <summary>
    /// Whether a connection goes on when its session gets another id (<c>RegenerateIdAsync</c>, or the same user signs in again). Default <see langword="true"/>. It never goes on
    /// where the session becomes another user's, or a user's that was nobody's; but an application without <c>AddUserIndex</c>, which the library does not tell who has signed
    /// in, and whose live connections show what is in the session, turns it off: else who planted a session in a browser keeps looking at it after the sign-in.
    /// </summary>
    public bool FollowNewId { get; set; } = true;
}

/// <summary>What on a live connection is a use of its session.</summary>
public enum LiveTraffic
{
    /// <summary>
    /// What the user does: calls of hub methods, events of components, messages of WebSockets. A ping that only keeps the connection open is none, so that a page that is left open
    /// does not keep its session for ever.
    /// </summary>
    Messages,

    /// <summary>That it is open. The session then lives as long as the connection, but for its absolute timeout and a revocation.</summary>
    Open,

    /// <summary>Nothing: only requests, and <see cref="ILiveSession.LoadAsync"/>.</summary>
    Nothing,
}
