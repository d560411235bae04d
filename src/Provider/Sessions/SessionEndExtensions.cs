using RedisSessions;

namespace Microsoft.AspNetCore.Http;

/// <summary>Why sessions end.</summary>
public static class SessionEndExtensions
{
    /// <summary>
    /// Why the session whose cookie came with this request is not there: for a page that says "you were signed out on another device" in place of
    /// "please sign in". It costs a round trip where the session was not there, and nothing where it was. A browser is told until
    /// something is set in a session again, for <see cref="RedisSessionOptions.EndReasonRetention"/>; afterwards, and where nobody ended the session, it
    /// has <see cref="SessionEndReason.Expired"/>. Only the holder of the session's cookie is told. While Redis is away this throws what
    /// <see cref="ISession.LoadAsync"/> throws.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>
    /// <see langword="null"/> if the session lives, under this or another id, if the request came without one, or if nothing is kept.
    /// </returns>
    public static Task<SessionEndReason?> GetEndReasonAsync(this ISession session, CancellationToken cancellationToken = default) =>
        RedisSessionExtensions.Require(session).FindEndReasonAsync(cancellationToken);
}
