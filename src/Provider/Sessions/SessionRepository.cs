using System.Globalization;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Sessions;

/// <inheritdoc cref="ISessionRepository"/>
internal sealed class SessionRepository(SessionHash hash, SessionKeys keys) : ISessionRepository
{
    public async Task<CreatedSession> CreateAsync(IEnumerable<KeyValuePair<string, byte[]>>? fields, TimeSpan? idleTimeout, CancellationToken cancellationToken)
    {
        if (idleTimeout is { } own)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(own, TimeSpan.FromMilliseconds(1), nameof(idleTimeout));
        }

        var delta = new SessionDelta();
        foreach (var (name, value) in fields ?? [])
        {
            delta.Fields[FieldOf(name)] = ValueOf(value);
        }

        if (idleTimeout is { } timeout)
        {
            delta.SetMetadata(FieldNames.IdleTimeout, SessionHash.Milliseconds(timeout).ToString(CultureInfo.InvariantCulture));
        }

        var secret = SessionId.NewSecret();
        var id = SessionId.Derive(secret);
        await hash.CommitAsync(keys.Session(id), delta, hash.Timeouts.IdleTimeout, loaded: null).WaitAsync(cancellationToken).ConfigureAwait(false);
        return new CreatedSession(id.ToString(), secret);
    }

    public async Task<StoredSession?> GetAsync(string sessionId, CancellationToken cancellationToken)
    {
        if (KeyOf(sessionId) is not { } key)
        {
            return null;
        }

        var reply = await hash.EvaluateAsync(SessionScripts.Read, key, []).WaitAsync(cancellationToken).ConfigureAwait(false);
        if (reply.Length < 0)
        {
            return null;
        }

        var ttl = TimeSpan.FromMilliseconds((long)reply[0]);
        var session = hash.Parse(key, reply[1]);
        var now = hash.Timeouts.Clock.GetUtcNow();
        return new StoredSession(
            sessionId,
            session.Fields,
            DateTimeOffset.FromUnixTimeMilliseconds(session.CreatedAt),
            session.LastSeen(now, ttl, hash.Timeouts.IdleTimeout),
            now + ttl);
    }

    public async Task<byte[]?> GetFieldAsync(string sessionId, string key, CancellationToken cancellationToken)
    {
        var field = FieldOf(key);
        var reply = await EvaluateAsync(SessionScripts.ReadField, sessionId, [FieldNames.Encode(field)], cancellationToken).ConfigureAwait(false);
        return reply is { Length: 1 } ? hash.Decode(KeyOf(sessionId)!, field, (byte[])reply[0]!) : null;
    }

    public Task<bool> SetFieldAsync(string sessionId, string key, byte[] value, CancellationToken cancellationToken) =>
        SetFieldsAsync(sessionId, [new(key, value)], cancellationToken);

    public Task<bool> SetFieldsAsync(string sessionId, IEnumerable<KeyValuePair<string, byte[]>> fields, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(fields);
        var values = new List<RedisValue> { 0 };
        foreach (var (name, value) in fields)
        {
            var field = FieldOf(name);
            values.Add(FieldNames.Encode(field));
            values.Add(KeyOf(sessionId) is { } key ? hash.Encode(key, field, ValueOf(value)) : ValueOf(value));
        }

        values[0] = values.Count / 2;
        return ChangeAsync(sessionId, [.. values], cancellationToken);
    }

    public async Task<bool> RemoveFieldAsync(string sessionId, string key, CancellationToken cancellationToken)
    {
        var reply = await EvaluateAsync(SessionScripts.Change, sessionId, [0, FieldNames.Encode(FieldOf(key))], cancellationToken).ConfigureAwait(false);
        return reply is not null && (long)reply > 1;
    }

    public async Task<IReadOnlyList<string>?> GetFieldNamesAsync(string sessionId, CancellationToken cancellationToken)
    {
        var reply = await EvaluateAsync(SessionScripts.ReadNames, sessionId, [], cancellationToken).ConfigureAwait(false);
        if (reply is null || reply.Length < 0)
        {
            return null;
        }

        var names = new List<string>(reply.Length);
        for (var i = 0; i < reply.Length; i++)
        {
            var name = (string)reply[i]!;
            if (!FieldNames.IsMetadata(name))
            {
                names.Add(FieldNames.Decode(name));
            }
        }

        return names;
    }

    public async Task<bool> ExistsAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key
        && await (await hash.Connection.GetDatabaseAsync().ConfigureAwait(false)).KeyExistsAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false);

    public async Task<bool> TouchAsync(string sessionId, CancellationToken cancellationToken)
    {
        var values = new RedisValue[3];
        hash.WriteTimes(values, hash.Timeouts.IdleTimeout);
        var reply = await EvaluateAsync(SessionScripts.Touch, sessionId, values, cancellationToken).ConfigureAwait(false);
        return reply is not null && (long)reply == 1;
    }

    public async Task<TimeSpan?> GetTimeToLiveAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key
            ? await (await hash.Connection.GetDatabaseAsync().ConfigureAwait(false)).KeyTimeToLiveAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false)
            : null;

    public async Task<TimeSpan?> ExtendAsync(string sessionId, TimeSpan by, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.FromMilliseconds(1));
        RedisValue[] values = [hash.Timeouts.Now, hash.Timeouts.AbsoluteMilliseconds, SessionHash.Milliseconds(by)];
        var reply = await EvaluateAsync(SessionScripts.Extend, sessionId, values, cancellationToken).ConfigureAwait(false);
        return reply is not null && (long)reply is > 0 and var ttl ? TimeSpan.FromMilliseconds(ttl) : null;
    }

    public async Task<bool> DestroyAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key && await hash.DeleteAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false);

    private async Task<bool> ChangeAsync(string sessionId, RedisValue[] values, CancellationToken cancellationToken)
    {
        var reply = await EvaluateAsync(SessionScripts.Change, sessionId, values, cancellationToken).ConfigureAwait(false);
        return reply is not null && (long)reply != SessionScripts.Missing;
    }

    /// <returns><see langword="null"/> if the text is no session id.</returns>
    private async Task<RedisResult?> EvaluateAsync(RedisScript script, string sessionId, RedisValue[] values, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key ? await hash.EvaluateAsync(script, key, values).WaitAsync(cancellationToken).ConfigureAwait(false) : null;

    private string? KeyOf(string sessionId)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionId);
        return SessionId.TryParse(sessionId, out var id) ? keys.Session(id) : null;
    }

    private static string FieldOf(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        FieldNames.ThrowIfTooLong(key);
        return FieldNames.Normalize(key);
    }

    private static byte[] ValueOf(byte[] value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return value;
    }
}
