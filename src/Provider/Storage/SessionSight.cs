using System.Globalization;
using RedisSessions.Redis;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>A session as seen from afar, without its fields.</summary>
/// <param name="IsThere">Whether it is there, and not over.</param>
/// <param name="CreatedAt">When it was created, Unix milliseconds: another one under the same id has another time.</param>
/// <param name="UserId">Whose it is; null for nobody's.</param>
/// <param name="Idle">Its idle timeout; null for that of all sessions.</param>
/// <param name="Ends">When it ends if nobody uses it, Unix milliseconds; null for never.</param>
/// <param name="MovedTo">Where it is not there: the id that it was given within the last minute.</param>
/// <param name="Reason">Where it is not there and has not moved: why it ended.</param>
internal readonly record struct SessionSight(bool IsThere, long CreatedAt, string? UserId, TimeSpan? Idle, long? Ends, Guid? MovedTo, SessionEndReason Reason)
{
    /// <summary>What <see cref="Of"/> is to be given.</summary>
    public static RedisValue[] Fields { get; } =
        [FieldNames.Version, FieldNames.Created, FieldNames.UserId, FieldNames.IdleTimeout, FieldNames.AbsoluteTimeout, FieldNames.TicketEnd];

    public static SessionSight Gone(Guid? movedTo, SessionEndReason reason) => new(false, 0, null, null, null, movedTo, reason);

    /// <returns>Null if there is no session.</returns>
    public static SessionSight? Of(RedisValue[] fields, TimeSpan? life, SessionTimeouts timeouts)
    {
        if (fields[0].IsNull)
        {
            return null;
        }

        var created = NumberOf(fields[1]) ?? 0;
        var limit = Earlier(timeouts.EndOf(created, NumberOf(fields[4])), NumberOf(fields[5]));
        if (limit <= timeouts.Now)
        {
            return Gone(null, SessionEndReason.Expired);
        }

        var idle = NumberOf(fields[3]) is > 0 and <= SessionSnapshot.LatestTime and var own ? Ttl.Within(TimeSpan.FromMilliseconds(own)) : (TimeSpan?)null;
        return new SessionSight(true, created, fields[2], idle, Earlier(limit, life is { } left ? timeouts.Now + (long)left.TotalMilliseconds : null), null, default);
    }

    private static long? NumberOf(RedisValue value) => long.TryParse((string?)value, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static long? Earlier(long? one, long? other) => one is { } first && other is { } second ? Math.Min(first, second) : one ?? other;
}
