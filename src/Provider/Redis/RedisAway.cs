using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>The one place that says which exceptions mean that Redis could not be asked, or did not answer in time.</summary>
internal static class RedisAway
{
    /// <summary>
    /// The client's own exceptions, a server's refusal among them, and a time-out of the session's that travels, as the in-box
    /// session's does, within an <see cref="OperationCanceledException"/>. A cancellation that the caller asked for is none.
    /// </summary>
    public static bool Explains(Exception exception) =>
        exception is RedisException or TimeoutException or OperationCanceledException { InnerException: TimeoutException };

    /// <summary>
    /// Whether the server may have done what it was asked to all the same: it was asked, and nobody knows what became of it.
    /// </summary>
    public static bool LeavesOutcomeUnknown(Exception exception) => exception switch
    {
        RedisServerException => false,
        // Refused before anything was sent.
        RedisConnectionException { FailureType: ConnectionFailureType.UnableToResolvePhysicalConnection or ConnectionFailureType.UnableToConnect } => false,
        _ => Explains(exception),
    };
}
