using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Live;

/// <summary>Whose session a live connection belongs to. The id alone does not say it: under the same one another session may begin.</summary>
/// <param name="Store">Where it is from: the site's store, or a tenant's.</param>
/// <param name="Id">The id that it had when the connection was opened.</param>
/// <param name="CreatedAt">When it was created, Unix milliseconds; null if Redis could not be asked, and its first answer is to tell.</param>
/// <param name="UserId">Whose it was; null for nobody's.</param>
/// <param name="Idle">The site's idle timeout.</param>
internal readonly record struct LiveSubject(RedisSessionStore Store, Guid Id, long? CreatedAt, string? UserId, TimeSpan Idle)
{
    /// <summary>The session's key.</summary>
    public string Key => Store.Keys.Session(Id);

    /// <summary>The session of a request; null if it has none that is stored.</summary>
    public static LiveSubject? Of(RedisSession session) => session switch
    {
        { Stored: { } stored } => new LiveSubject(session.Store, session.Identity.Id, stored.CreatedAt, stored.GetMetadata(FieldNames.UserId), session.SitesIdleTimeout),
        { State: SessionStateKind.Loading or SessionStateKind.Unavailable, Identity.IsNew: false } => new LiveSubject(session.Store, session.Identity.Id, null, null, session.SitesIdleTimeout),
        _ => null,
    };
}
