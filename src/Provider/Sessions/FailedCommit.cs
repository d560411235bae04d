using RedisSessions.Redis;

namespace RedisSessions.Sessions;

/// <summary>Why the last commit failed.</summary>
/// <param name="Exception">What it threw.</param>
/// <param name="Changes">How many changes there were by then.</param>
internal sealed record FailedCommit(Exception Exception, int Changes)
{
    /// <summary>Redis may have applied the changes, and was too slow to say so: a second wait would not make that clearer.</summary>
    public bool IsOutcomeUnknown { get; } = RedisAway.LeavesOutcomeUnknown(Exception);
}
