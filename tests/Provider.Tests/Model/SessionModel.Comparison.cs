using System.Globalization;

namespace RedisSessions.Tests.Model;

// What is compared after every step.
internal sealed partial class SessionModel
{
    /// <summary>Redis counts TTLs in its own time, the model in its own: a step takes milliseconds, on a busy machine seconds.</summary>
    public static readonly TimeSpan Drift = TimeSpan.FromSeconds(15);

    /// <summary>How much longer than its idle timeout a session may live, for sliding is not exact.</summary>
    private static readonly TimeSpan Precision = TimeSpan.FromMinutes(1);

    /// <summary>Throws where the store is not as the model's.</summary>
    /// <exception cref="DifferenceException">It says where.</exception>
    public void CompareStore(IReadOnlyDictionary<Guid, SessionSeen> seen)
    {
        foreach (var (id, session) in seen)
        {
            Agree(_store.ContainsKey(id), $"Redis holds {id} {Text(session.Fields)}, which should not exist");
            Agree(session.Version is not null && session.Created is not null, $"{id} has no version or no creation time");
        }

        foreach (var (id, stored) in _store)
        {
            Agree(seen.TryGetValue(id, out var session), $"{id} {Text(stored.Fields)} should exist");
            Agree(Text(stored.Fields) == Text(session!.Fields), $"{id} holds {Text(session.Fields)}, should hold {Text(stored.Fields)}");
        }
    }

    /// <summary>Whether a load's sliding, which nobody waits for, is yet to be seen.</summary>
    public bool IsSlidingDue(IReadOnlyDictionary<Guid, SessionSeen> seen) =>
        _store.Any(pair => pair.Value is { Touch: Touch.Load, IsTakenBack: false } && seen.TryGetValue(pair.Key, out var session) && session.TimeToLive < IdleOf(pair.Value) - Drift);

    /// <exception cref="DifferenceException">A session would end too early, too late or never.</exception>
    public void CompareTimes(IReadOnlyDictionary<Guid, SessionSeen> seen)
    {
        foreach (var (id, stored) in _store)
        {
            var left = seen[id].TimeToLive;
            Agree(left > TimeSpan.Zero, $"{id} has no TTL");
            if (_requests.Any(request => request is { Move.IsWritten: true } && request.Id == id))
            {
                // On its way to an id that nobody knows yet: its timeouts may follow with the second half.
                continue;
            }

            var before = stored.Deadline - Now;
            var idle = IdleOf(stored);
            var (least, most) = stored.Touch switch
            {
                // A failover that brings an old TTL back is seen at the next slide.
                Touch.Write when stored.IsTakenBack => (before < idle ? before : idle, Max(before, idle + Precision)),
                Touch.Write => (idle, idle + Precision),
                Touch.Load when !stored.IsTakenBack => (idle, Max(before, idle + Precision)),
                Touch.Load or Touch.LostLoad => (before, Max(before, idle + Precision)),
                // Nobody waits for the slide, and whether one was due only the copy knows.
                _ when stored.IsTakenBack || stored.MaySlideYet => (before, Max(before, idle + Precision)),
                _ => (before, before),
            };
            Agree(left >= least - Drift && left <= most + Drift, $"{id} lives for {left}, should for {least} to {most}");
        }
    }

    private static TimeSpan IdleOf(StoredSession stored) => stored.OwnIdle ?? IdleTimeout;

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    public static string Text(IReadOnlyDictionary<string, long> fields) =>
        Text(fields.ToDictionary(pair => pair.Key, pair => pair.Value.ToString(CultureInfo.InvariantCulture)));

    public static string Text(IReadOnlyDictionary<string, string> fields) =>
        $"{{{string.Join(", ", fields.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"))}}}";
}
