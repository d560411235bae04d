namespace RedisSessions;

/// <summary>
/// Whether a request asks Redis about its copy. A fleet goes from <see cref="Validated"/> to <see cref="Notified"/> by way of
/// <see cref="Notifying"/>, one roll-out after the other, and back the same way, so that whoever relies on hearing of changes is never
/// among servers that do not tell.
/// </summary>
public enum LocalCacheMode
{
    /// <summary>Every request asks whether its copy is current: one round trip, and nothing is ever stale.</summary>
    Validated,

    /// <summary>As <see cref="Validated"/>, and every change of a session is published, in the step that makes it.</summary>
    Notifying,

    /// <summary>
    /// As <see cref="Notifying"/>, and GET and HEAD requests use a copy without a round trip as long as this server is sure to have heard of all
    /// changes until <see cref="LocalCacheOptions.MaxLag"/> ago; where it is not, they ask. All others ask as ever, and so do endpoints with
    /// <see cref="SessionValidatedAttribute"/>. Needs a server that knows HELLO (Redis 6 or later, Valkey), and commands beyond the other modes'
    /// (docs/keys.md); where Redis does not let it listen, that is logged, and every request asks.
    /// </summary>
    Notified,
}
