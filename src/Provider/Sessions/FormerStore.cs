using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// Another store that sessions come from, under the same secret keys. The core asks it only for a session that has no hash
/// (or always, while old servers still write there), and tells it what became of the session.
/// </summary>
internal abstract class FormerStore
{
    /// <summary>Whether the former store is written, too, and so has to be asked on every load.</summary>
    public abstract bool IsStillUsed { get; }

    /// <summary>What the former store holds that is not in the hash; null for nothing. <paramref name="isStored"/>: there is a hash.</summary>
    public abstract Task<FormerSession?> FindAsync(string secret, bool isStored);

    /// <summary>As <see cref="FindAsync"/>, on the calling thread.</summary>
    public abstract FormerSession? Find(string secret, bool isStored);

    /// <summary>The hash holds this now, so that the former store need not, or must too.</summary>
    public abstract Task CommittedAsync(string secret, Guid id, SessionSnapshot session, TimeSpan idleTimeout);

    /// <summary>The session has ended, or has another secret. Answers whether it was there.</summary>
    public abstract Task<bool> RemoveAsync(string secret);
}

/// <summary>A session as the former store holds it.</summary>
/// <param name="replaces">Whether its values take the place of what the hash holds; else they are added to it.</param>
internal abstract class FormerSession(bool replaces)
{
    public bool Replaces { get; } = replaces;

    public abstract void CopyTo(Dictionary<string, byte[]?> fields);
}
