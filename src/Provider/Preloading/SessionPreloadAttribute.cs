namespace RedisSessions;

/// <summary>
/// Says whether the session's load is awaited before this endpoint runs, where
/// <see cref="RedisSessionOptions.PreloadSession"/> is on. Turn it off for an endpoint that does not touch the session and
/// should not wait for it; reading the session there still works.
/// </summary>
/// <param name="enabled">Whether to wait.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class SessionPreloadAttribute(bool enabled) : Attribute
{
    /// <summary>Whether to wait.</summary>
    public bool Enabled { get; } = enabled;
}
