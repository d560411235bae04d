using RedisSessions.Redis;

namespace RedisSessions.Sessions;

/// <summary>Why the last commit failed.</summary>
/// <param name="Exception">What it threw.</param>
/// <param name="Changes">How many changes there were by then.</param>
/// <param name="IsRefused">Redis answered, and the answer was no: the same changes would be refused again.</param>
internal sealed record FailedCommit(Exception Exception, int Changes, bool IsRefused)
{
    /// <summary>Whether the same changes need not be tried again.</summary>
    public bool IsFinal => IsRefused || IsOutcomeUnknown;

    /// <summary>Redis may have applied the changes, and was too slow to say so: a second wait would not make that clearer.</summary>
    public bool IsOutcomeUnknown { get; } = RedisAway.LeavesOutcomeUnknown(Exception);

    /// <summary>Nobody met it, because the response had to go out.</summary>
    public bool IsUnmet { get; init; }
}
