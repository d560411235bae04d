using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using RedisSessions.Clients;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>
/// Keeps the watch set informed. A session is entered before it is stored, and its move to another id before the old hash goes: so whatever is lost and
/// whoever dies, no session lives unwatched, and none that lives on counts as ended. All else that is noted only makes what is told better, or earlier, and a
/// request does not wait for it; a session in use enters itself again at its next heartbeat.
/// </summary>
internal sealed class LifecycleRecorder(SessionWatch watch, WatchSignals signals, SessionTimeouts timeouts, IOptions<SessionLifecycleOptions> options) : SessionAddOn
{
    // A hostile header must not fill Redis.
    private const int MostAgent = 256;

    private static readonly TimeSpan Beat = TimeSpan.FromMinutes(5);

    // What is under way is over by then.
    private static readonly TimeSpan Soon = TimeSpan.FromMinutes(1);

    private readonly string[] _fields = [.. options.Value.Fields.Select(FieldNames.Normalize)];

    public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

    public override TimeSpan HeartbeatInterval => timeouts.IdleTimeout / 2 < Beat ? timeouts.IdleTimeout / 2 : Beat;

    public override void IdChanging(RedisSession session)
    {
        if (session.GetMetadata(FieldNames.FirstId) is null)
        {
            session.SetMetadata(FieldNames.FirstId, session.Identity.ToString());
        }
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (!IsToldOf(session.GetMetadata(FieldNames.UserId)))
        {
            return;
        }

        if (session.Stored is { } stored)
        {
            if (Concerns(delta))
            {
                // Should nobody learn that it was stored, the hash is asked.
                _ = watch.SendAsync(NoteOf(LifeOf(session, stored.CreatedAt), NoteKind.Known, session.Identity.Id, LifetimeOf(session), Soon));
            }

            return;
        }

        session.Keep(this, watch.SendAsync(CreationOf(session, NoteKind.Begins, session.CreatesAt)));
    }

    public override async Task CommittingAgainAsync(RedisSession session)
    {
        if (IsToldOf(session.GetMetadata(FieldNames.UserId)))
        {
            await watch.NoteAsync(CreationOf(session, NoteKind.Begins, session.CreatesAt)).ConfigureAwait(false);
        }
    }

    public override void Committed(RedisSession session, SessionDelta delta, bool created)
    {
        if (session.Stored is not { } stored || !IsToldOf(stored.GetMetadata(FieldNames.UserId)))
        {
            return;
        }

        if (created)
        {
            // The first look confirms the others, or what is found of one that ended before that.
            var isFound = session.Identity.IsNew && timeouts.EndReasonRetention > TimeSpan.Zero && session.Life >= 4 * Soon;
            if (!isFound || session.StateOf<Task<bool>>(this) is not { IsCompletedSuccessfully: true, Result: true })
            {
                _ = watch.SendAsync(CreationOf(session, NoteKind.Lives, stored.CreatedAt));
            }
        }
        else if (Concerns(delta))
        {
            var note = NoteOf(LifeOf(session, stored.CreatedAt), NoteKind.Changes, session.Identity.Id, session.Life, Soon);
            AddWhole(note.Initially, note.Life, stored);
            note.Always[WatchRecord.Seen] = timeouts.Now;
            foreach (var name in _fields)
            {
                if (delta.Fields.TryGetValue(name, out var value) || delta.IsCleared)
                {
                    note.Always[WatchRecord.FieldPrefix + name] = watch.Encode(note.Life, name, delta.ExpiryOf(name) is null ? value : null);
                }
            }

            AddUser(note.Always, delta.Metadata);
            _ = watch.SendAsync(note);
        }
    }

    /// <summary>Waited for: from here on the end of the old hash is no end.</summary>
    /// <returns>False if the end was told already: what goes on from here is to be another session.</returns>
    public override async ValueTask<bool> MovingAsync(RedisSession session, SessionSnapshot moved, Guid oldId)
    {
        if (!IsToldOf(moved.GetMetadata(FieldNames.UserId)))
        {
            return true;
        }

        var note = NoteOf(SessionLife.Of(oldId, moved.GetMetadata(FieldNames.FirstId), moved.CreatedAt), NoteKind.Moves, session.Identity.Id, session.Life, Soon);
        AddWhole(note.Always, note.Life, moved);
        AddClient(note.Always, session);
        note.Always[WatchRecord.Seen] = timeouts.Now;
        return await watch.NoteAsync(note).ConfigureAwait(false);
    }

    public override void Regenerated(RedisSession session, Guid oldId)
    {
        if (session.Stored is { } stored && IsToldOf(stored.GetMetadata(FieldNames.UserId)))
        {
            _ = watch.SendAsync(NoteOf(LifeOf(session, stored.CreatedAt), NoteKind.Known, session.Identity.Id, session.Life, Soon) with { FormerId = oldId });
        }
    }

    public override void MoveWithdrawn(RedisSession session, SessionSnapshot departed, Guid oldId, Guid newId)
    {
        var life = SessionLife.Of(oldId, departed.GetMetadata(FieldNames.FirstId), departed.CreatedAt);
        _ = watch.SendAsync(NoteOf(life, NoteKind.Known, oldId, timeouts.IdleOf(departed, timeouts.IdleTimeout), Soon) with { FormerId = newId });
    }

    public override void HeartbeatDue(SessionBeat beat)
    {
        if (!IsToldOf(beat.Stored.GetMetadata(FieldNames.UserId)))
        {
            return;
        }

        // Others may have changed it since it was loaded: what it holds is for a record that does not have it yet.
        var note = NoteOf(SessionLife.Of(beat.Id, beat.Stored.GetMetadata(FieldNames.FirstId), beat.Stored.CreatedAt), NoteKind.Lives, beat.Id, beat.Life, Soon);
        AddWhole(note.Initially, note.Life, beat.Stored);
        AddClient(note.Always, beat.Address, beat.UserAgent);
        note.Always[WatchRecord.Seen] = beat.At;
        _ = watch.SendAsync(note);
    }

    public override void StoringById(Guid id, SessionSnapshot session, bool isStored)
    {
        if (IsToldOf(session.GetMetadata(FieldNames.UserId)))
        {
            var note = NoteOf(new SessionLife(id, session.CreatedAt), isStored ? NoteKind.Lives : NoteKind.Begins, id, timeouts.IdleOf(session, timeouts.IdleTimeout), Soon);
            AddWhole(note.Initially, note.Life, session);
            note.Initially[WatchRecord.Fresh] = 1;
            note.Initially[WatchRecord.Seen] = session.CreatedAt;
            _ = watch.SendAsync(note);
        }
    }

    public override void Over(SessionEnd end)
    {
        if (end.Session.CreatedAt is not { } createdAt)
        {
            // What was there was no session.
            return;
        }

        var life = SessionLife.Of(end.Session.Id, end.Session.FirstId, createdAt);
        var isToldOf = IsToldOf(end.Session.UserId);
        var note = NoteOf(life, isToldOf ? NoteKind.Ends : NoteKind.Known, end.Session.Id, timeouts.IdleTimeout, TimeSpan.Zero);
        if (end.Stored is { } stored)
        {
            AddWhole(note.Initially, life, stored);
        }

        note.Always[WatchRecord.EndId] = end.Session.Id.ToString();
        note.Always[WatchRecord.End] = SessionEnding.NameOf(end.Reason);
        note.Always[WatchRecord.EndAt] = timeouts.Now;
        note.Always[WatchRecord.By] = Secret(life, WatchRecord.By, end.Revocation?.By);
        note.Always[WatchRecord.Why] = Secret(life, WatchRecord.Why, end.Revocation?.Note);
        if (end.Session.UserId is { } userId)
        {
            note.Always[WatchRecord.User] = userId;
        }

        _ = SendAndLookAsync(note);
    }

    private async Task SendAndLookAsync(WatchNote note)
    {
        if (await watch.SendAsync(note).ConfigureAwait(false))
        {
            signals.Signal(note.Life.Shard);
        }
    }

    private bool IsToldOf(string? userId) => userId is not null || !options.Value.SignedInOnly;

    /// <summary>Whether what is kept of the session changes with this.</summary>
    private bool Concerns(SessionDelta delta) =>
        delta.ChangesTimeouts
        || delta.Metadata.ContainsKey(FieldNames.UserId)
        || (_fields.Length > 0 && (delta.IsCleared || Array.Exists(_fields, delta.Fields.ContainsKey)));

    /// <summary>As it is about to be stored.</summary>
    private static TimeSpan LifetimeOf(RedisSession session) =>
        long.TryParse(session.GetMetadata(FieldNames.IdleTimeout), CultureInfo.InvariantCulture, out var own) && own is > 0 and <= SessionSnapshot.LatestTime
            ? TimeSpan.FromMilliseconds(own)
            : session.Life;

    private static SessionLife LifeOf(RedisSession session, long createdAt) => SessionLife.Of(session.Identity.Id, session.GetMetadata(FieldNames.FirstId), createdAt);

    /// <param name="life">The life.</param>
    /// <param name="kind">What is noted.</param>
    /// <param name="id">About which id.</param>
    /// <param name="lifetime">How long it lives unused.</param>
    /// <param name="look">When to look, at the latest; for one that lives shorter, while it does.</param>
    private WatchNote NoteOf(SessionLife life, NoteKind kind, Guid id, TimeSpan lifetime, TimeSpan look)
    {
        var half = lifetime / 2;
        return new WatchNote(life, kind, id, timeouts.Now + (long)(half < look ? half : look).TotalMilliseconds, lifetime);
    }

    private WatchNote CreationOf(RedisSession session, NoteKind kind, long createdAt)
    {
        var note = NoteOf(LifeOf(session, createdAt), kind, session.Identity.Id, LifetimeOf(session), Soon);
        var into = note.Initially;
        into[WatchRecord.User] = session.GetMetadata(FieldNames.UserId);
        into[WatchRecord.SignedIn] = session.GetMetadata(FieldNames.SignedInAt);
        into[WatchRecord.Seen] = createdAt;
        if (session.Identity.IsNew)
        {
            into[WatchRecord.Fresh] = 1;
        }

        foreach (var name in _fields)
        {
            into[WatchRecord.FieldPrefix + name] = watch.Encode(note.Life, name, session.PeekLasting(name));
        }

        AddClient(into, session);
        return note;
    }

    private void AddWhole(Dictionary<string, RedisValue> into, SessionLife life, SessionSnapshot session)
    {
        into[WatchRecord.User] = session.GetMetadata(FieldNames.UserId);
        into[WatchRecord.SignedIn] = session.GetMetadata(FieldNames.SignedInAt);
        foreach (var name in _fields)
        {
            into[WatchRecord.FieldPrefix + name] = watch.Encode(life, name, session.Fields.TryGet(name, out var value) && session.Fields.ExpiryOf(name) is null ? value : null);
        }
    }

    private static void AddUser(Dictionary<string, RedisValue> into, IReadOnlyDictionary<string, string?> metadata)
    {
        if (metadata.TryGetValue(FieldNames.UserId, out var userId))
        {
            into[WatchRecord.User] = userId;
        }

        if (metadata.TryGetValue(FieldNames.SignedInAt, out var signedInAt))
        {
            into[WatchRecord.SignedIn] = signedInAt;
        }
    }

    private static void AddClient(Dictionary<string, RedisValue> into, RedisSession session) => AddClient(
        into, ClientAddress.Of(session.Context?.Connection.RemoteIpAddress), session.Context?.Request.Headers[HeaderNames.UserAgent].ToString() ?? "");

    private static void AddClient(Dictionary<string, RedisValue> into, string address, string agent)
    {
        into[WatchRecord.Address] = address;
        into[WatchRecord.Agent] = agent.Length <= MostAgent ? agent : agent[..MostAgent];
    }

    // An administrator's words are as secret as the session's values.
    private RedisValue Secret(SessionLife life, string name, string? text) => text is null ? RedisValue.EmptyString : watch.Encode(life, name, Encoding.UTF8.GetBytes(text));
}
