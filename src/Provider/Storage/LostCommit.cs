using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Storage;

/// <summary>A commit whose reply was lost, and all that it takes to send it again.</summary>
/// <param name="Version">Its own: the hash is at it if the commit was made and nothing since.</param>
/// <param name="Key">The session's key.</param>
/// <param name="Delta">What it changes.</param>
/// <param name="Expected">The session that is meant.</param>
/// <param name="Idle">The idle timeout of a session that has none of its own.</param>
/// <param name="Creation">The creation time if it creates the session, Unix milliseconds.</param>
/// <param name="Bound">What it may hold afterwards; null for no limit.</param>
/// <param name="Known">What it was to change, as far as the caller knew; null if it knew of none.</param>
/// <param name="MarkKey">What goes where it creates the session; null for nothing.</param>
/// <param name="Before">What is to be there before it; null for nothing.</param>
/// <param name="Turn">The turn of the request that commits; null for none.</param>
internal sealed record LostCommit(
    long Version,
    string Key,
    SessionDelta Delta,
    Expected Expected,
    TimeSpan Idle,
    long Creation,
    CommitBound? Bound,
    SessionSnapshot? Known,
    string? MarkKey,
    IBeforeAgain? Before,
    TurnFence? Turn)
{
    /// <summary>What it was to change is known whole: the version, and all that was there.</summary>
    private bool IsKnown => Known is null ? Expected.CreatedAt is null : Known is { IsPartial: false, Version: not SessionSnapshot.NoVersion };

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
            return Delta;
        }

        if (IsKnown && now.Version == Known?.Version)
        {
            return Delta;
        }

        // Who names a version made the change from what was there then, and not for anything else.
        return IsKnown && !now.IsPartial && Expected.Version is null ? SessionDelta.Remaining(Delta, Known, now, at) : null;
    }
}
