using RedisSessions.Storage.Scripts;

namespace RedisSessions.Storage;

/// <summary>A commit whose reply was lost.</summary>
/// <param name="Request">What was asked for; with what it was to change, as far as the caller knew.</param>
/// <param name="Version">Its own: the hash is at it if the commit was made and nothing since.</param>
/// <param name="Creation">The creation time if it creates the session, Unix milliseconds.</param>
internal sealed record LostCommit(CommitRequest Request, long Version, long Creation)
{
    private SessionSnapshot? Known => Request.Known;

    /// <summary>What it was to change is known whole: the version, and all that was there.</summary>
    private bool IsKnown => Known is null ? Request.Expected.CreatedAt is null : Known is { IsPartial: false, Version: not SessionSnapshot.NoVersion };

    /// <summary>It was made. Where it created the session it is said to have replaced none; else what it replaced is not known.</summary>
    public CommitReply Done(SessionSnapshot now) =>
        new(CommitOutcome.Done, Version, Known is null && now.CreatedAt == Creation ? SessionSnapshot.NoVersion : Version, now.CreatedAt);

    /// <summary>What is left to do where the hash is at another version than its own; null if that cannot be told.</summary>
    /// <param name="now">What there is.</param>
    /// <param name="at">When that is, Unix milliseconds.</param>
    public SessionDelta? LeftOf(SessionSnapshot? now, long at)
    {
        if (now is null)
        {
            return Request.Delta;
        }

        if (IsKnown && now.Version == Known?.Version)
        {
            return Request.Delta;
        }

        // Who names a version made the change from what was there then, and not for anything else.
        return IsKnown && !now.IsPartial && Request.Expected.Version is null ? SessionDelta.Remaining(Request.Delta, Known, now, at) : null;
    }
}
