using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Session;

namespace RedisSessions.Benchmarks.Contenders;

/// <summary>The JSON blobs behind ISession, as a tutorial would put them there.</summary>
public sealed class JsonBlobSessionStore(JsonBlobSessions sessions) : ISessionStore
{
    public ISession Create(string sessionKey, TimeSpan idleTimeout, TimeSpan ioTimeout, Func<bool> tryEstablishSession, bool isNewSessionKey) =>
        new BlobSession(sessions, sessionKey, idleTimeout, tryEstablishSession);
}

public sealed class BlobSession(JsonBlobSessions sessions, string id, TimeSpan life, Func<bool> tryEstablish) : ISession
{
    private Dictionary<string, byte[]>? _fields;
    private bool _changed;

    public bool IsAvailable => true;

    public string Id => id;

    public IEnumerable<string> Keys => Loaded().Keys;

    public async Task LoadAsync(CancellationToken cancellationToken = default) =>
        _fields ??= await sessions.GetAsync(id).ConfigureAwait(false) ?? [];

    public Task CommitAsync(CancellationToken cancellationToken = default) =>
        _changed ? sessions.WriteAsync(id, Loaded(), life) : sessions.TouchAsync(id, life);

    public bool TryGetValue(string key, [NotNullWhen(true)] out byte[]? value) => Loaded().TryGetValue(key, out value);

    public void Set(string key, byte[] value)
    {
        if (!tryEstablish())
        {
            throw new InvalidOperationException("The session cannot be established after the response has started.");
        }

        Loaded()[key] = value;
        _changed = true;
    }

    public void Remove(string key) => _changed |= Loaded().Remove(key);

    public void Clear()
    {
        Loaded().Clear();
        _changed = true;
    }

    private Dictionary<string, byte[]> Loaded() => _fields ??= sessions.Get(id) ?? [];
}
