namespace RedisSessions.Storage.Scripts;

/// <summary>The session that a change is meant for.</summary>
/// <param name="CreatedAt">The creation time of the session that the caller loaded, Unix milliseconds; null for whichever there is, or none.</param>
/// <param name="Version">The version that it must be at, 0 for no session; null for any.</param>
internal readonly record struct Expected(long? CreatedAt, long? Version)
{
    /// <summary>Whichever there is; without one it is created.</summary>
    public static Expected Anything => default;

    /// <summary>No session: it is created.</summary>
    private static Expected Nothing => new(null, SessionSnapshot.NoVersion);

    /// <summary>The session that the caller loaded, whatever was committed to it since.</summary>
    public static Expected Session(SessionSnapshot loaded) => new(loaded.CreatedAt, null);

    /// <summary>The session as the caller knows it, and nothing committed to it since.</summary>
    public static Expected Exactly(SessionSnapshot? known) => known is null ? Nothing : new(known.CreatedAt, known.Version);
}

internal enum CommitOutcome
{
    /// <summary>The session that was expected is not there; nothing was written.</summary>
    Missing,

    /// <summary>It is at another version than was expected; nothing was written.</summary>
    Changed,

    /// <summary>It would have more fields than <see cref="SessionLimits"/> allow; nothing was written.</summary>
    TooManyFields,

    /// <summary>It would have more bytes than <see cref="SessionLimits"/> allow; nothing was written.</summary>
    TooLarge,

    /// <summary>Another request has had the turn since the caller had it; nothing was written.</summary>
    TurnLost,

    Done,
}

/// <summary>What a change came to.</summary>
/// <param name="Outcome">Whether it was made.</param>
/// <param name="Version">The version now.</param>
/// <param name="Replaced">The version that it took the place of; 0 if it created the session.</param>
/// <param name="CreatedAt">When the session was created, Unix milliseconds.</param>
/// <param name="KeepsLife">Whether the TTL was left as it was.</param>
internal readonly record struct CommitReply(CommitOutcome Outcome, long Version = 0, long Replaced = 0, long CreatedAt = 0, bool KeepsLife = false);

/// <param name="Commit">What it came to.</param>
/// <param name="Value">The sum, as decimal text.</param>
/// <param name="Expires">When the field expires by itself, Unix milliseconds; null for never.</param>
internal readonly record struct IncrementReply(CommitReply Commit, byte[] Value, long? Expires = null);

/// <param name="Commit">What it came to.</param>
/// <param name="Value">What was taken; null if there was nothing.</param>
internal readonly record struct TakeReply(CommitReply Commit, byte[]? Value);

internal enum SlideReply
{
    Missing,
    Slid,

    /// <summary>And the caller is the one who does what is to be done about a session now and then.</summary>
    SlidAndHeartbeatDue,
}

internal enum DeleteReply
{
    Missing,
    Deleted,

    /// <summary>It is at another version; nothing was deleted.</summary>
    Changed,

    /// <summary>Another request has had the turn since the caller had it; nothing was deleted.</summary>
    TurnLost,
}
