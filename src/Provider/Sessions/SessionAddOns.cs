using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Sessions;

/// <summary>All add-ons in their order, and what becomes of what they throw: see <see cref="SessionAddOn"/>.</summary>
internal sealed class SessionAddOns
{
    private readonly SessionAddOn[] _all;
    private readonly SessionAddOn[] _beforeEndpoint;
    private readonly SessionAddOn? _limiting;
    private readonly ILogger<SessionAddOns> _logger;

    public SessionAddOns(IEnumerable<SessionAddOn> all, ILogger<SessionAddOns> logger)
    {
        _all = [.. all.OrderBy(static addOn => addOn.Order)];
        _beforeEndpoint = Array.FindAll(_all, static addOn => addOn.NeedsEndpointTurn);
        _limiting = Array.Find(_all, static addOn => addOn.Limits is not null);
        _logger = logger;
        foreach (var addOn in _all)
        {
            var interval = addOn.HeartbeatInterval;
            if (interval > TimeSpan.Zero && (HeartbeatInterval == TimeSpan.Zero || interval < HeartbeatInterval))
            {
                HeartbeatInterval = interval;
            }
        }
    }

    /// <summary>How often one load of a session, of all servers', is told that the session's heartbeat is due; zero for never.</summary>
    public TimeSpan HeartbeatInterval { get; }

    /// <summary>What a session may hold; null for no limit.</summary>
    public SessionLimits? Limits => _limiting?.Limits;

    /// <summary>What holds add-ons that do not know tenants.</summary>
    public IReadOnlyCollection<string> ForWholeSite => [.. _all.Where(static addOn => !addOn.KnowsTenants).Select(static addOn => addOn.GetType().Namespace!.Split('.')[^1]).Distinct().Order(StringComparer.Ordinal)];

    public bool NeedEndpointTurn => _beforeEndpoint.Length > 0;

    public bool NeedSessionAt(Endpoint endpoint) => Array.Exists(_all, addOn => addOn.NeedsSessionAt(endpoint));

    /// <summary>Whether a request is a use of its session.</summary>
    public bool IsUse(HttpContext context)
    {
        foreach (var addOn in _all)
        {
            if (!addOn.IsUse(context))
            {
                return false;
            }
        }

        return true;
    }

    public void Loaded(RedisSession session)
    {
        foreach (var addOn in _all)
        {
            // One of them may have found that the session is not this browser's.
            if (session.Stored is not null)
            {
                addOn.Loaded(session);
            }
        }
    }

    public void EndpointBegins(RedisSession session, HttpContext context)
    {
        foreach (var addOn in _beforeEndpoint)
        {
            addOn.EndpointBegins(session, context);
        }
    }

    public async ValueTask BeforeEndpointAsync(RedisSession session, HttpContext context)
    {
        foreach (var addOn in _beforeEndpoint)
        {
            try
            {
                await addOn.BeforeEndpointAsync(session, context).ConfigureAwait(false);
            }
            catch (Exception exception)
            {
                session.Fail(exception);
            }
        }
    }

    public bool MayGoOn(RedisSession session, SessionSnapshot before) => Array.TrueForAll(_all, addOn => addOn.MayGoOn(session, before));

    public void Setting(RedisSession session, string key, int bytes)
    {
        foreach (var addOn in _all)
        {
            addOn.Setting(session, key, bytes);
        }
    }

    /// <summary>What the application meets whose commit was refused because of <see cref="Limits"/>.</summary>
    public Exception Refused(RedisSession session, CommitOutcome outcome) => _limiting!.Refused(session, outcome);

    public async ValueTask<bool> MayCreateAsync(RedisSession session)
    {
        foreach (var addOn in _all)
        {
            if (!await addOn.MayCreateAsync(session).ConfigureAwait(false))
            {
                return false;
            }
        }

        return true;
    }

    public void IdChanging(RedisSession session)
    {
        foreach (var addOn in _all)
        {
            addOn.IdChanging(session);
        }
    }

    public void Committing(RedisSession session, SessionDelta delta)
    {
        try
        {
            foreach (var addOn in _all)
            {
                addOn.Committing(session, delta);
            }
        }
        catch (Exception exception)
        {
            _logger.AddOnSpoiledCommit(session.Identity.Id, exception);
            throw;
        }
    }

    public async Task CommittingAgainAsync(RedisSession session)
    {
        foreach (var addOn in _all)
        {
            await addOn.CommittingAgainAsync(session).ConfigureAwait(false);
        }
    }

    public void Committed(RedisSession session, SessionDelta delta, bool created) =>
        Tell(session.Identity.Id, (session, delta, created), static (addOn, told) => addOn.Committed(told.session, told.delta, told.created));

    public async ValueTask<bool> MovingAsync(RedisSession session, SessionSnapshot moved, Guid oldId)
    {
        foreach (var addOn in _all)
        {
            if (!await addOn.MovingAsync(session, moved, oldId).ConfigureAwait(false))
            {
                return false;
            }
        }

        return true;
    }

    public void Regenerated(RedisSession session, Guid oldId) =>
        Tell(oldId, (session, oldId), static (addOn, told) => addOn.Regenerated(told.session, told.oldId));

    public void HeartbeatDue(SessionBeat beat) =>
        Tell(beat.Id, beat, static (addOn, beat) => addOn.HeartbeatDue(beat));

    public void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected) =>
        Tell(id, (session, id, stored, rejected), static (addOn, told) => addOn.Destroyed(told.session, told.id, told.stored, told.rejected));

    public void Revoked(string userId, Guid id, SessionRevocation why) =>
        Tell(id, (userId, id, why), static (addOn, told) => addOn.Revoked(told.userId, told.id, told.why));

    public void Ended(Guid id, SessionSnapshot? stored, SessionEndReason reason)
    {
        if (stored?.GetMetadata(FieldNames.UserId) is { } userId)
        {
            Tell(id, (id, userId, reason), static (addOn, told) => addOn.Ended(told.id, told.userId, told.reason));
        }
    }

    public void Over(SessionEnd end) =>
        Tell(end.Session.Id, end, static (addOn, end) => addOn.Over(end));

    public void StoringById(Guid id, SessionSnapshot session, bool isStored) =>
        Tell(id, (id, session, isStored), static (addOn, told) => addOn.StoringById(told.id, told.session, told.isStored));

    public void MoveWithdrawn(RedisSession session, SessionSnapshot departed, Guid oldId, Guid newId) =>
        Tell(oldId, (session, departed, oldId, newId), static (addOn, told) => addOn.MoveWithdrawn(told.session, told.departed, told.oldId, told.newId));

    public void SignedIn(Guid id, string? userId, string how) =>
        Tell(id, (id, userId, how), static (addOn, told) => addOn.SignedIn(told.id, told.userId, told.how));

    public void SignInRefused(Guid id, string? userId, string why) =>
        Tell(id, (id, userId, why), static (addOn, told) => addOn.SignInRefused(told.id, told.userId, told.why));

    public void SignedInOnNewDevice(Guid id, string userId, NewDevice device) =>
        Tell(id, (id, userId, device), static (addOn, told) => addOn.SignedInOnNewDevice(told.id, told.userId, told.device));

    public void Returned(string? userId, Guid id, SessionEndReason reason) =>
        Tell(id, (userId, id, reason), static (addOn, told) => addOn.Returned(told.userId, told.id, told.reason));

    public void LimitReached(Guid id, string userId, int limit) =>
        Tell(id, (userId, limit), static (addOn, told) => addOn.LimitReached(told.userId, told.limit));

    public void Extended(Guid id, TimeSpan life) =>
        Tell(id, (id, life), static (addOn, told) => addOn.Extended(told.id, told.life));

    public void EndedById(EndedSession ended) =>
        Tell(ended.Id, ended, static (addOn, ended) => addOn.EndedById(ended));

    /// <summary>What has happened has happened: one that throws harms neither the request nor the others.</summary>
    private void Tell<T>(Guid id, T told, Action<SessionAddOn, T> tell)
    {
        foreach (var addOn in _all)
        {
            try
            {
                tell(addOn, told);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(id, exception);
            }
        }
    }
}
