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

    public bool NeedEndpointTurn => _beforeEndpoint.Length > 0;

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

    public void Committed(RedisSession session, SessionDelta delta, bool created)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.Committed(session, delta, created);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(session.Identity.Id, exception);
            }
        }
    }

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

    public void Regenerated(RedisSession session, Guid oldId)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.Regenerated(session, oldId);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(oldId, exception);
            }
        }
    }

    public void HeartbeatDue(SessionBeat beat)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.HeartbeatDue(beat);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(beat.Id, exception);
            }
        }
    }

    public void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.Destroyed(session, id, stored, rejected);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(id, exception);
            }
        }
    }

    public void Revoked(string userId, Guid id)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.Revoked(userId, id);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(id, exception);
            }
        }
    }

    public void LimitReached(Guid id, string userId, int limit)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.LimitReached(userId, limit);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(id, exception);
            }
        }
    }

    public void Extended(Guid id, TimeSpan life)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.Extended(id, life);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(id, exception);
            }
        }
    }

    public void EndedById(EndedSession ended)
    {
        foreach (var addOn in _all)
        {
            try
            {
                addOn.EndedById(ended);
            }
            catch (Exception exception)
            {
                _logger.AddOnFailed(ended.Id, exception);
            }
        }
    }
}
