namespace RedisSessions;

/// <summary>How the application is told that sessions have ended. The same on every server. See docs/lifecycle.md.</summary>
public sealed class SessionLifecycleOptions
{
    /// <summary>
    /// The fields of the session that are handed over when it has ended, such as <c>refresh_token_id</c>. They are kept a second time in Redis, as they
    /// are in the session (encrypted with <c>AddEncryption</c>), so name few and short ones. Default: none.
    /// </summary>
    public ISet<string> Fields { get; } = new HashSet<string>(StringComparer.Ordinal);

    /// <summary>
    /// Whether only sessions that were a user's are told of. It saves what the others cost: two commands and some 500 bytes each. Default
    /// <see langword="false"/>.
    /// </summary>
    public bool SignedInOnly { get; set; }

    /// <summary>
    /// How long a call of <see cref="ISessionLifecycle.EndedAsync"/> may take. After that it counts as failed, and any server may call again. Well above
    /// what the servers' clocks differ by. Between 1 second and 1 hour. Default 1 minute.
    /// </summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// How often each server looks for sessions that have ended. An end that is somebody's doing is told at once; an expiry by itself within this time. Between
    /// 100 milliseconds and 10 minutes. Default 5 seconds.
    /// </summary>
    public TimeSpan LookInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>After what time a call that failed is made again; doubled with each failure. Between 100 milliseconds and <see cref="MaxRetryDelay"/>. Default 5 seconds.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest time between two calls. At most 1 day. Default 10 minutes.</summary>
    public TimeSpan MaxRetryDelay { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// For how long calls that fail are made again; after that the end is given up, which is logged as an error. Also for how long Redis keeps what this needs
    /// after the sessions' lives, should nobody ask for it any more. Between 1 hour and 400 days. Default 7 days.
    /// </summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(7);
}
