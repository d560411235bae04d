namespace RedisSessions.Sessions;

/// <summary>
/// The session of a request, as one of its features: there before SessionMiddleware ran, because authentication often comes
/// first, and again when the pipeline is executed again.
/// </summary>
/// <param name="CookieSecret">The secret that the request's cookie names; null if it names none.</param>
/// <param name="Session">The session.</param>
internal sealed record RequestSession(string? CookieSecret, RedisSession Session);
