using RedisSessions.Sessions;

namespace RedisSessions;

/// <summary>
/// Makes requests to this endpoint ask Redis for their session, also where a GET or HEAD request may use a copy without asking
/// (<see cref="LocalCacheMode.Notified"/>): for pages that must know this very moment whether their session was revoked. Elsewhere it
/// changes nothing, for every request asks. <see cref="RequireRecentSignInAttribute"/> implies it.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class SessionValidatedAttribute : Attribute, ISessionValidatedMetadata;
