namespace RedisSessions;

/// <summary>
/// The in-process copies of sessions, which let Redis answer "unchanged" in place of all fields, or nothing at all.
/// </summary>
public sealed class LocalCacheOptions
{
    /// <summary>
    /// How much memory the copies may take on this server, in bytes (estimated). 0 turns them off: every load then carries
    /// all fields. Default 64 MiB.
    /// </summary>
    public long SizeLimit { get; set; } = 64 * 1024 * 1024;

    /// <summary>
    /// Whether a request asks Redis about its copy. Default <see cref="LocalCacheMode.Validated"/>: always, so that nothing is ever stale.
    /// The whole fleet must have the same, or change it in steps; see <see cref="LocalCacheMode"/>.
    /// </summary>
    public LocalCacheMode Mode { get; set; }

    /// <summary>
    /// With <see cref="LocalCacheMode.Notified"/>, how long ago this server must have had proof that it has heard all changes, to use a copy
    /// without asking; so no request sees a session older than that. A proof is made four times within it. From 50 milliseconds to 1 minute.
    /// Default 500 milliseconds.
    /// </summary>
    public TimeSpan MaxLag { get; set; } = TimeSpan.FromMilliseconds(500);
}
