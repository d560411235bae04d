using RedisSessions.Redis;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Storage;

/// <summary>A commit that is asked for, and all that it takes to send it, once or again.</summary>
/// <param name="Key">The session's key.</param>
/// <param name="Delta">What to change.</param>
/// <param name="Expected">The session that is meant; where there is another, nothing is written.</param>
/// <param name="Idle">The idle timeout of a session that has none of its own.</param>
internal sealed record CommitRequest(string Key, SessionDelta Delta, Expected Expected, TimeSpan Idle)
{
    /// <summary>The creation time if this creates the session, Unix milliseconds; null for now.</summary>
    public long? CreatedAt { get; init; }

    /// <summary>What it may hold afterwards; null for no limit.</summary>
    public CommitBound? Bound { get; init; }

    /// <summary>The session as the caller knows it; null for none.</summary>
    public SessionSnapshot? Known { get; init; }

    /// <summary>Whether the caller knows that its TTL needs no sliding yet.</summary>
    public bool IsFresh { get; init; }

    /// <summary>The session's id, where a session may have ended under it before; null for an id that nobody had.</summary>
    public Guid? Reused { get; init; }

    /// <summary>What is to be there before a session that this creates, should it be sent again; null for nothing.</summary>
    public IBeforeAgain? Before { get; init; }

    /// <summary>The turn of the request that commits; null for none.</summary>
    public TurnFence? Turn { get; init; }

    /// <summary>The session of which the caller knows that its TTL needs no sliding yet; null for none.</summary>
    public SessionSnapshot? Fresh => IsFresh ? Known : null;

    /// <summary>The same to exactly what there is, of which no more is known than that.</summary>
    public CommitRequest To(SessionSnapshot? now) => this with { Expected = Expected.Exactly(now), Known = now, IsFresh = false };
}
