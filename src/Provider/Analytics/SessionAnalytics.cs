using Microsoft.Extensions.Options;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Analytics;

/// <inheritdoc cref="ISessionAnalytics"/>
internal sealed class SessionAnalytics(AnalyticsStore store, AnalyticsWriter writer, AnalyticsRecorder recorder, IOptions<SessionAnalyticsOptions> options) : ISessionAnalytics
{
    private const int MostDays = 366;

    public ValueTask TrackAsync(string sessionId, string eventName, string? data)
    {
        writer.Add(EventOf(IdOf(sessionId), eventName, data));
        return ValueTask.CompletedTask;
    }

    /// <summary>As <see cref="TrackAsync"/>, for the session of a request.</summary>
    public void Track(RedisSession session, string eventName, string? data) => recorder.Track(session, EventOf(session.Identity.Id, eventName, data));

    private AnalyticsRecord EventOf(Guid id, string eventName, string? data)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(eventName);
        if (eventName.Length > options.Value.MaxEventNameLength || eventName.AsSpan().ContainsAny('\n', '\r'))
        {
            throw new ArgumentException($"The name is longer than SessionAnalyticsOptions.MaxEventNameLength ({options.Value.MaxEventNameLength}) allows, or has a line break.", nameof(eventName));
        }

        if (LifecycleEvents.Contains(eventName))
        {
            throw new ArgumentException($"The library records events of the name \"{eventName.Trim()}\" itself. Write another name, for example with a prefix of your application's.", nameof(eventName));
        }

        if (data?.Length > options.Value.MaxEventDataLength)
        {
            throw new ArgumentException($"The data are longer than SessionAnalyticsOptions.MaxEventDataLength ({options.Value.MaxEventDataLength}) allows.", nameof(data));
        }

        return new AnalyticsRecord(RecordKind.Event, store.Now, id, Text: eventName, Data: data);
    }

    public async Task<IReadOnlyList<SessionEvent>> GetEventsAsync(string sessionId, CancellationToken cancellationToken) =>
        await store.EventsAsync(IdOf(sessionId)).WaitAsync(cancellationToken).ConfigureAwait(false);

    public async Task<IReadOnlyDictionary<string, long>> GetEventCountsAsync(DateOnly day, CancellationToken cancellationToken) =>
        await store.EventCountsAsync(day).WaitAsync(cancellationToken).ConfigureAwait(false);

    public Task<SessionStatistics> GetMetricsAsync(CancellationToken cancellationToken) => store.MetricsAsync().WaitAsync(cancellationToken);

    public Task<DailyReport> GetDailyReportAsync(DateOnly day, CancellationToken cancellationToken) => store.ReportAsync(day).WaitAsync(cancellationToken);

    public async Task<IReadOnlyList<DailyReport>> GetRangeAsync(DateOnly from, DateOnly to, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(to, from);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(to.DayNumber - from.DayNumber, MostDays, nameof(to));
        var days = Enumerable.Range(0, to.DayNumber - from.DayNumber + 1).Select(offset => store.ReportAsync(from.AddDays(offset)));
        return await Task.WhenAll(days).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private static Guid IdOf(string sessionId)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionId);
        return SessionId.TryParse(sessionId, out var id) ? id : throw new ArgumentException("The text is no session id.", nameof(sessionId));
    }
}
