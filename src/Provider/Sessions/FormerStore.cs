using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <summary>
/// Another store that sessions come from, under the same secret keys. The core asks it for a session that has no hash (or always, while
/// old servers still write there), moves what it finds into a hash at once, and tells it what becomes of the session. Its keys hold secrets, so no
/// exception of the client's leaves it, for those name keys.
/// </summary>
internal abstract class FormerStore
{
    /// <summary>Whether the former store is written, too, and so has to be asked on every load.</summary>
    public abstract bool IsStillUsed { get; }

    /// <summary>Begins to ask.</summary>
    public abstract FormerQuery BeginFind(IDatabase database, string secret);

    /// <summary>
    /// Begins to tell that what was found is in the hash now. Where that says that it is not there any more, somebody else took it, or
    /// ended the session, in between: then the hash must not be there because of it.
    /// </summary>
    /// <param name="database">The connection.</param>
    /// <param name="secret">The secret key.</param>
    /// <param name="id">The session's id.</param>
    /// <param name="found">What was found.</param>
    /// <param name="session">What the hash holds now.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    public abstract FormerConfirmation BeginConfirm(IDatabase database, string secret, Guid id, FormerSession found, SessionSnapshot session, TimeSpan idle);

    /// <summary>The hash holds this now, and the former store must too.</summary>
    public abstract Task CommittedAsync(string secret, Guid id, SessionSnapshot session, TimeSpan idle);

    /// <summary>The session has ended, or has another secret.</summary>
    public abstract Task RemoveAsync(string secret);
}

/// <summary>A question under way.</summary>
internal abstract class FormerQuery
{
    /// <summary>The client's own task, so that waiting for it needs no other thread.</summary>
    public abstract Task Pending { get; }

    /// <summary>What there is that is not in the hash; null for nothing. Once <see cref="Pending"/> has ended.</summary>
    /// <param name="isStored">Whether there is a hash.</param>
    public abstract FormerSession? End(bool isStored);
}

/// <summary>A notice under way.</summary>
internal abstract class FormerConfirmation
{
    /// <summary>The client's own task.</summary>
    public abstract Task Pending { get; }

    /// <returns>False if more was sent: wait for <see cref="Pending"/> again.</returns>
    public abstract bool TryEnd(out bool wasThere);
}

/// <summary>A session as the former store holds it.</summary>
/// <param name="replaces">Whether its values take the place of what the hash holds; else they are added to it.</param>
internal abstract class FormerSession(bool replaces)
{
    public bool Replaces { get; } = replaces;

    public abstract void CopyTo(Dictionary<string, byte[]?> fields);
}
