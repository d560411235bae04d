using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>The one place that says which exceptions mean that Redis could not be asked, or did not answer in time.</summary>
internal static class RedisAway
{
    // What a server says that is no master now, or not yet, or lacks what it needs to take a write. Each speaks of the server's own state, which it looks at
    // before the first write of a script: so nothing was done. Not among them what waiting does not mend: a full Redis, a full disk, a user without rights.
    private static readonly string[] Passing =
    [
        "READONLY ", // a replica: the master was demoted, or this is the one that is to be promoted
        "LOADING ", // restarted, and reads its data
        "MASTERDOWN ", // a replica that has lost its master, and says nothing meanwhile
        "CLUSTERDOWN ", // nobody serves the slot, until a replica is promoted
        "TRYAGAIN ", // the slot is on its way to another node, and only one of two keys has arrived
        "NOREPLICAS ", // just promoted, and the replicas have not found their new master
        "Key has MOVED ", // the client follows the first such answer, and not a second
    ];

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

    /// <summary>Whether nothing was done, and the same may be taken a moment later: no connection at hand, or a server that is no master now.</summary>
    public static bool IsRefusedForNow(Exception exception) => exception switch
    {
        RedisServerException => IsPassing(exception.Message),
        // Of a connection that was replaced by one to another master.
        RedisConnectionException or ObjectDisposedException => !LeavesOutcomeUnknown(exception),
        _ => false,
    };

    private static bool IsPassing(string message)
    {
        // Redis up to 6 puts its own words around what a command within a script was told, and the client, for some commands, what kind of reply it was.
        const string InScript = "ERR Error running script", InReply = "SimpleError: ";
        var text = message.AsSpan();
        text = text.StartsWith(InReply, StringComparison.Ordinal) ? text[InReply.Length..] : text;
        text = text.StartsWith(InScript, StringComparison.Ordinal) ? text[(text.IndexOf(" -", StringComparison.Ordinal) + 2)..] : text;
        foreach (var word in Passing)
        {
            if (text.StartsWith(word, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
