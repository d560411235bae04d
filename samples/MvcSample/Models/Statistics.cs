using RedisSessions;

namespace MvcSample.Models;

public sealed record Statistics(
    SessionStatistics Now,
    DailyReport Today,
    IReadOnlyDictionary<string, long> Counts,
    IReadOnlyList<SessionEvent> Events);
