using System.Globalization;
using RedisSessions.Redis;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Sessions;

/// <inheritdoc cref="ISessionRepository"/>
internal sealed class SessionRepository(SessionHash hash, SessionTimeouts timeouts, SessionKeys keys, SessionAddOns addOns, Durability durability) : ISessionRepository
{
    public async Task<CreatedSession> CreateAsync(IEnumerable<KeyValuePair<string, byte[]>>? fields, TimeSpan? idleTimeout, CancellationToken cancellationToken)
    {
        if (idleTimeout is { } own)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(own, TimeSpan.FromMilliseconds(1), nameof(idleTimeout));
        }

        var delta = DeltaOf(fields ?? []);
        if (idleTimeout is { } timeout)
        {
            delta.SetMetadata(FieldNames.IdleTimeout, Ttl.Milliseconds(timeout).ToString(CultureInfo.InvariantCulture));
        }

        var secret = SessionId.NewSecret();
        var id = SessionId.Derive(secret);
        var createdAt = timeouts.Now;
        var session = SessionSnapshot.Applied(SessionSnapshot.NoVersion, createdAt, null, delta);
        addOns.StoringById(id, session, isStored: false);
        var request = new CommitRequest(keys.Session(id), delta, Expected.Anything, timeouts.IdleTimeout) { CreatedAt = createdAt };
        await hash.CommitAsync(request).WaitAsync(cancellationToken).ConfigureAwait(false);
        addOns.StoringById(id, session, isStored: true);
        return new CreatedSession(id.ToString(), secret);
    }

    public async Task<StoredSession?> GetAsync(string sessionId, CancellationToken cancellationToken)
    {
        if (KeyOf(sessionId) is not { } key)
        {
            return null;
        }

        var reply = await hash.ReadAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false);
        if (reply.Session is not { } session || timeouts.IsOver(session))
        {
            return null;
        }

        var ttl = reply.Life ?? timeouts.IdleOf(session, timeouts.IdleTimeout);
        return new StoredSession(
            sessionId,
            session.Fields.At(timeouts.Now).Values,
            DateTimeOffset.FromUnixTimeMilliseconds(session.CreatedAt),
            timeouts.LastSeen(ttl, session.GetMilliseconds(FieldNames.IdleTimeout), session.GetMilliseconds(FieldNames.LastSeen)),
            timeouts.Clock.GetUtcNow() + ttl);
    }

    public async Task<byte[]?> GetFieldAsync(string sessionId, string key, CancellationToken cancellationToken)
    {
        var field = FieldOf(key);
        return KeyOf(sessionId) is { } hashKey ? await hash.ReadFieldAsync(hashKey, field).WaitAsync(cancellationToken).ConfigureAwait(false) : null;
    }

    public Task<bool> SetFieldAsync(string sessionId, string key, byte[] value, CancellationToken cancellationToken) =>
        SetFieldsAsync(sessionId, [new(key, value)], cancellationToken);

    public async Task<bool> SetFieldsAsync(string sessionId, IEnumerable<KeyValuePair<string, byte[]>> fields, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(fields);
        var delta = DeltaOf(fields);
        return KeyOf(sessionId) is { } key && await hash.EditAsync(key, delta).WaitAsync(cancellationToken).ConfigureAwait(false) is not null;
    }

    public async Task<bool> RemoveFieldAsync(string sessionId, string key, CancellationToken cancellationToken)
    {
        var delta = new SessionDelta();
        delta.Remove(FieldOf(key));
        return KeyOf(sessionId) is { } hashKey && await hash.EditAsync(hashKey, delta).WaitAsync(cancellationToken).ConfigureAwait(false) > 0;
    }

    public async Task<IReadOnlyList<string>?> GetFieldNamesAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key ? await hash.ReadNamesAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false) : null;

    public async Task<bool> ExistsAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key && await hash.ExistsAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false);

    public async Task<bool> TouchAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key
        && await hash.SlideAsync(key, timeouts.IdleTimeout, heartbeat: TimeSpan.Zero).WaitAsync(cancellationToken).ConfigureAwait(false) != SlideReply.Missing;

    public async Task<TimeSpan?> GetTimeToLiveAsync(string sessionId, CancellationToken cancellationToken) =>
        KeyOf(sessionId) is { } key ? await hash.ReadLifeAsync(key).WaitAsync(cancellationToken).ConfigureAwait(false) : null;

    public async Task<TimeSpan?> ExtendAsync(string sessionId, TimeSpan by, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.FromMilliseconds(1));
        if (KeyOf(sessionId) is not { } key || await hash.ExtendAsync(key, by).WaitAsync(cancellationToken).ConfigureAwait(false) is not { } life)
        {
            return null;
        }

        addOns.Extended(Guid.Parse(sessionId), life);
        return life;
    }

    public async Task<bool> DestroyAsync(string sessionId, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionId);
        return SessionId.TryParse(sessionId, out var id) && await EndAsync(id).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    // Add-ons are told whether or not the caller waits.
    private async Task<bool> EndAsync(Guid id)
    {
        var durable = await DurableWrites.BeginAsync(durability.Revocations).ConfigureAwait(false);
        if ((await hash.EndAsync(id, SessionEndReason.Revoked).ConfigureAwait(false)).Ended is not { } ended)
        {
            return false;
        }

        addOns.EndedById(ended);
        addOns.Over(new SessionEnd(ended, SessionEndReason.Revoked));
        if (durable is not null)
        {
            await durable.EndAsync(keys.Session(id)).ConfigureAwait(false);
        }

        return true;
    }

    /// <returns><see langword="null"/> if the text is no session id.</returns>
    private string? KeyOf(string sessionId)
    {
        ArgumentException.ThrowIfNullOrEmpty(sessionId);
        return SessionId.TryParse(sessionId, out var id) ? keys.Session(id) : null;
    }

    private static SessionDelta DeltaOf(IEnumerable<KeyValuePair<string, byte[]>> fields)
    {
        var delta = new SessionDelta { Creates = true };
        foreach (var (name, value) in fields)
        {
            ArgumentNullException.ThrowIfNull(value);
            delta.Set(FieldOf(name), value);
        }

        return delta;
    }

    private static string FieldOf(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        FieldNames.ThrowIfTooLong(key);
        return FieldNames.Normalize(key);
    }
}
