namespace RedisSessions.Analytics;

/// <summary>Something that happened, waiting to be written.</summary>
/// <param name="Kind">What.</param>
/// <param name="At">When, Unix milliseconds.</param>
/// <param name="SessionId">In which session.</param>
/// <param name="CreatedAt">When that was created, Unix milliseconds, where it is entered.</param>
/// <param name="LifeMilliseconds">How long it lives unused, where it is entered.</param>
/// <param name="Text">The user, the reason, the event's name or the former id, by kind.</param>
/// <param name="Data">The event's data, or the device.</param>
/// <param name="Address">The client's address.</param>
internal readonly record struct AnalyticsRecord(
    RecordKind Kind,
    long At,
    Guid SessionId,
    long CreatedAt = 0,
    long LifeMilliseconds = 0,
    string? Text = null,
    string? Data = null,
    string? Address = null);

internal enum RecordKind
{
    Created,
    Used,
    UserSeen,
    Moved,
    Ended,
    Event,
}
