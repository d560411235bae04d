using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>Which session: the secret key that only the browser knows, and what follows from it.</summary>
internal sealed class SessionIdentity
{
    private string? _text;

    /// <param name="secret">The secret key.</param>
    /// <param name="keys">How keys are named.</param>
    /// <param name="isNew">Whether the secret was made in this request, so that nobody else can know it.</param>
    public SessionIdentity(string secret, SessionKeys keys, bool isNew)
    {
        Secret = secret;
        Id = SessionId.Derive(secret);
        Key = keys.Session(Id);
        IsNew = isNew;
    }

    /// <summary>Never stored, logged or shown.</summary>
    public string Secret { get; }

    public Guid Id { get; }

    /// <summary>The key of the session's hash.</summary>
    public string Key { get; }

    public bool IsNew { get; }

    public override string ToString() => _text ??= Id.ToString();
}
