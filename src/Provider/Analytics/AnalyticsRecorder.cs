using Microsoft.Extensions.Options;
using RedisSessions.Clients;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Analytics;

/// <summary>
/// Records the moments of a session's life, and the application's events in it. Everything goes to the queue; nothing here touches Redis.
/// An event of a session that is not stored waits until it is, and is an event of nothing if that never happens: else whoever may not
/// create sessions could fill Redis with events.
/// </summary>
internal sealed class AnalyticsRecorder(AnalyticsWriter writer, SessionTimeouts timeouts, IOptions<SessionAnalyticsOptions> options) : SessionAddOn
{
    public override TimeSpan HeartbeatInterval => TimeSpan.FromMinutes(1);

    public override SessionAddOnOrder Order => SessionAddOnOrder.Observer;

    public override void Committed(RedisSession session, SessionDelta delta, bool created)
    {
        if (created)
        {
            Created(session);
        }
        else if (delta.Metadata.TryGetValue(FieldNames.UserId, out var userId) && userId is not null)
        {
            SignedIn(session, userId);
        }

        WriteWaiting(session);
    }

    public override void Loaded(RedisSession session) => WriteWaiting(session);

    /// <summary>Records an event of the application's, whose name and data are checked.</summary>
    public void Track(RedisSession session, AnalyticsRecord record)
    {
        switch (session.State)
        {
            case SessionStateKind.Loaded:
                writer.Add(record);
                break;
            case SessionStateKind.Loading or SessionStateKind.New or SessionStateKind.Absent:
                Wait(session, record);
                break;
        }
    }

    private void Wait(RedisSession session, AnalyticsRecord record)
    {
        var waiting = session.StateOf<List<AnalyticsRecord>>(this);
        if (waiting is null)
        {
            session.Keep(this, waiting = []);
        }

        if (waiting.Count < options.Value.EventsPerSession)
        {
            waiting.Add(record);
        }
    }

    private void WriteWaiting(RedisSession session)
    {
        if (session.StateOf<List<AnalyticsRecord>>(this) is { Count: > 0 } waiting)
        {
            foreach (var record in waiting)
            {
                writer.Add(record with { SessionId = session.Identity.Id });
            }

            waiting.Clear();
        }
    }

    private void Created(RedisSession session)
    {
        var context = session.Context;
        var device = UserAgents.DeviceName(context?.Request.Headers.UserAgent.ToString());
        writer.Add(Entry(RecordKind.Created, session) with { Data = device, Address = ClientAddress.Of(context?.Connection.RemoteIpAddress) });
        Event(session, LifecycleEvents.Created);
        if (session.GetMetadata(FieldNames.UserId) is { } userId)
        {
            SignedIn(session, userId);
        }
    }

    public override void HeartbeatDue(SessionBeat beat)
    {
        writer.Add(new AnalyticsRecord(RecordKind.Used, beat.At, beat.Id, beat.Stored.CreatedAt, Ttl.Milliseconds(beat.Life)));
        if (beat.Stored.GetMetadata(FieldNames.UserId) is { } userId)
        {
            writer.Add(new AnalyticsRecord(RecordKind.UserSeen, beat.At, beat.Id, Text: userId));
        }
    }

    public override void Regenerated(RedisSession session, Guid oldId)
    {
        writer.Add(Entry(RecordKind.Moved, session) with { Text = oldId.ToString() });
        Event(session, LifecycleEvents.Regenerated);
    }

    public override void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
        if (stored is not null && !rejected)
        {
            // It was in use until now, also where that was never recorded.
            writer.Add(Entry(RecordKind.Used, session) with { SessionId = id, CreatedAt = stored.CreatedAt });
        }

        writer.Add(new AnalyticsRecord(RecordKind.Ended, timeouts.Now, id, Text: rejected ? EndReasons.Rejected : EndReasons.SignedOut));
    }

    public override void Revoked(string userId, Guid id, SessionRevocation why) =>
        writer.Add(new AnalyticsRecord(RecordKind.Ended, timeouts.Now, id, Text: EndReasons.Revoked));

    public override void EndedById(EndedSession ended) =>
        writer.Add(new AnalyticsRecord(RecordKind.Ended, timeouts.Now, ended.Id, Text: EndReasons.Revoked));

    private void SignedIn(RedisSession session, string userId)
    {
        UserSeen(session, userId);
        Event(session, LifecycleEvents.SignedIn);
    }

    private void UserSeen(RedisSession session, string userId) =>
        writer.Add(new AnalyticsRecord(RecordKind.UserSeen, timeouts.Now, session.Identity.Id, Text: userId));

    private void Event(RedisSession session, string name) =>
        writer.Add(new AnalyticsRecord(RecordKind.Event, timeouts.Now, session.Identity.Id, Text: name));

    private AnalyticsRecord Entry(RecordKind kind, RedisSession session) =>
        new(kind, timeouts.Now, session.Identity.Id, session.Stored?.CreatedAt ?? timeouts.Now, Ttl.Milliseconds(session.Life));
}
