namespace RedisSessions;

/// <summary>
/// The in-process copies of sessions, which let Redis answer "unchanged" in place of all fields.
/// </summary>
public sealed class LocalCacheOptions
{
    /// <summary>
    /// How much memory the copies may take on this server, in bytes (estimated). 0 turns them off: every load then carries
    /// all fields. Default 64 MiB.
    /// </summary>
    public long SizeLimit { get; set; } = 64 * 1024 * 1024;

    /// <summary>
    /// For how long after Redis confirmed a copy a GET or HEAD request may use it without asking again. Zero, the default,
    /// asks on every request, so that nothing is ever stale. Otherwise the request saves its round trip, and sees a change
    /// made on another server, a revocation or a sign-out up to this much later; the session's TTL slides up to this much
    /// later too. Never more than half of the idle timeout is used.
    /// </summary>
    public TimeSpan MaxStaleness { get; set; }
}
