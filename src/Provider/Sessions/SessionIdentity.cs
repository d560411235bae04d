using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>Which session: the secret key that only the browser knows, and what follows from it. Requests of one browser may share one.</summary>
internal sealed class SessionIdentity
{
    private readonly string? _secret;
    private string? _text;

    /// <param name="secret">The secret key.</param>
    /// <param name="keys">How keys are named.</param>
    /// <param name="isNew">Whether the secret was made in this request, so that nobody else can know it.</param>
    public SessionIdentity(string secret, SessionKeys keys, bool isNew)
    {
        _secret = secret;
        Id = SessionId.Derive(secret);
        Key = keys.Session(Id);
        IsNew = isNew;
    }

    /// <summary>Of a session that is known by its id alone, outside a request of its browser's.</summary>
    public SessionIdentity(Guid id, SessionKeys keys)
    {
        Id = id;
        Key = keys.Session(id);
    }

    /// <summary>Never stored, logged or shown.</summary>
    /// <exception cref="InvalidOperationException">Only the id is known.</exception>
    public string Secret => _secret ?? throw new InvalidOperationException("Of this session only the id is known.");

    public bool HasSecret => _secret is not null;

    public Guid Id { get; }

    /// <summary>The key of the session's hash.</summary>
    public string Key { get; }

    public bool IsNew { get; }

    public override string ToString() => _text ??= Id.ToString();
}
