namespace RedisSessions;

/// <summary>Which sign-ins keep their tickets in the session. See docs/users.md.</summary>
public sealed class TicketStoreOptions
{
    /// <summary>
    /// The cookie schemes whose tickets are kept in the session. Default: none named, which means every one that
    /// <see cref="UserIndexOptions.ExcludedSchemes"/> does not name; those of that set never are, for they bind no session. A scheme for which the
    /// application set a <c>SessionStore</c> of its own keeps that.
    /// </summary>
    public ISet<string> Schemes { get; } = new HashSet<string>(StringComparer.Ordinal);
}
