namespace RedisSessions;

/// <summary>
/// What happens in sessions, counted as it happens: no figure is made by reading sessions, so each costs the same however many
/// there are. Needs <c>AddRedisSession(...).AddAnalytics()</c>. Days are UTC. While Redis is away reading throws what
/// StackExchange.Redis throws. Recorded by themselves are the events <c>created</c>, <c>signed in</c>, <c>regenerated</c>,
/// <c>signed out</c>, <c>revoked</c>, <c>rejected</c> and <c>expired</c>.
/// </summary>
public interface ISessionAnalytics
{
    /// <summary>
    /// Records an event of a session. It is queued and written by a background service, so it costs the request next to
    /// nothing; what does not fit into the queue is dropped and counted.
    /// </summary>
    /// <param name="sessionId">The session's id.</param>
    /// <param name="eventName">
    /// What happened, within <see cref="SessionAnalyticsOptions.MaxEventNameLength"/>; not a name that is recorded by itself, in whatever case.
    /// </param>
    /// <param name="data">More about it, within <see cref="SessionAnalyticsOptions.MaxEventDataLength"/>; may be <see langword="null"/>.</param>
    /// <exception cref="ArgumentException">The id is no session id; the name or the data are too long, or the name is empty or reserved.</exception>
    ValueTask TrackAsync(string sessionId, string eventName, string? data = null);

    /// <summary>A session's latest events, newest first, those under its former ids included.</summary>
    /// <param name="sessionId">The session's id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<IReadOnlyList<SessionEvent>> GetEventsAsync(string sessionId, CancellationToken cancellationToken = default);

    /// <summary>How often each event happened on a day, by name.</summary>
    /// <param name="day">The day, UTC.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<IReadOnlyDictionary<string, long>> GetEventCountsAsync(DateOnly day, CancellationToken cancellationToken = default);

    /// <summary>How things are now.</summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<SessionStatistics> GetMetricsAsync(CancellationToken cancellationToken = default);

    /// <summary>How a day was.</summary>
    /// <param name="day">The day, UTC; one without figures is all zeros.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<DailyReport> GetDailyReportAsync(DateOnly day, CancellationToken cancellationToken = default);

    /// <summary>How the days of a range were, in order.</summary>
    /// <param name="from">The first day.</param>
    /// <param name="to">The last day, not before the first and at most 366 days after it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    Task<IReadOnlyList<DailyReport>> GetRangeAsync(DateOnly from, DateOnly to, CancellationToken cancellationToken = default);
}

/// <summary>An event of a session.</summary>
/// <param name="Name">What happened.</param>
/// <param name="At">When, UTC.</param>
/// <param name="Data">More about it; may be <see langword="null"/>.</param>
public sealed record SessionEvent(string Name, DateTimeOffset At, string? Data);

/// <summary>How things are now.</summary>
/// <param name="TotalSessions">Live sessions.</param>
/// <param name="ActiveSessions">Those used within <see cref="SessionAnalyticsOptions.ActiveWindow"/>, to within a minute.</param>
/// <param name="UniqueUsers">Users seen today, to within 1% or so (HyperLogLog).</param>
/// <param name="SessionsPerUser">Sessions created today by users seen today; 0 without users.</param>
/// <param name="AverageDuration">How long the sessions that ended today lived; zero if none did.</param>
/// <param name="TopUserAgents">Devices of sessions created today, the most first.</param>
/// <param name="TopAddresses">Addresses of sessions created today, the most first.</param>
public sealed record SessionStatistics(
    long TotalSessions,
    long ActiveSessions,
    long UniqueUsers,
    double SessionsPerUser,
    TimeSpan AverageDuration,
    IReadOnlyList<KeyValuePair<string, long>> TopUserAgents,
    IReadOnlyList<KeyValuePair<string, long>> TopAddresses);

/// <summary>How a day was.</summary>
/// <param name="Day">The day, UTC.</param>
/// <param name="Created">Sessions created.</param>
/// <param name="SignedOut">Sessions ended by sign-out or destroy.</param>
/// <param name="Revoked">Sessions ended by revocation.</param>
/// <param name="Expired">Sessions ended by expiry.</param>
/// <param name="Rejected">Sessions ended because a request did not match them.</param>
/// <param name="UniqueUsers">Users seen, to within 1% or so (HyperLogLog).</param>
/// <param name="SessionsPerUser">Sessions created by users seen; 0 without users.</param>
/// <param name="AverageDuration">How long the sessions that ended lived; zero if none did.</param>
/// <param name="PeakConcurrentByHour">For each hour of the day, the most live sessions that a sample saw.</param>
/// <param name="TopUserAgents">Devices of sessions created, the most first.</param>
/// <param name="TopAddresses">Addresses of sessions created, the most first.</param>
/// <param name="CreatedChange">Sessions created, against the day before.</param>
/// <param name="UniqueUsersChange">Users seen, against the day before.</param>
public sealed record DailyReport(
    DateOnly Day,
    long Created,
    long SignedOut,
    long Revoked,
    long Expired,
    long Rejected,
    long UniqueUsers,
    double SessionsPerUser,
    TimeSpan AverageDuration,
    IReadOnlyList<long> PeakConcurrentByHour,
    IReadOnlyList<KeyValuePair<string, long>> TopUserAgents,
    IReadOnlyList<KeyValuePair<string, long>> TopAddresses,
    long CreatedChange,
    long UniqueUsersChange);
