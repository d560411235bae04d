using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Live;

/// <summary>
/// All live connections of this server, by their sessions' keys, and what closes them.
/// <para>
/// Whoever ends a session, or gives it another id, publishes that its key holds nothing any more, and does so in the step that does it. What is heard is not believed but
/// asked about: one look at Redis says whether the session is there, where it has moved, or why it ended. The same look is made when a connection is entered, for the session may have
/// ended before it was; when the session may have expired, and at least once a minute, for not all that ends one is heard (an eviction, a DEL by hand); and about every session when some changes may not have been
/// heard. A look judges the connections that were there before it was sent, and no others.
/// </para>
/// </summary>
internal sealed class LiveConnections : IChangeListener, IDisposable
{
    /// <summary>The session is there, and another user's.</summary>
    public const string UserChanged = "user-changed";

    /// <summary>The session has another id, and the options say not to follow it.</summary>
    public const string NewId = "new-id";

    private const string ReasonTag = "session.end.reason";
    private const string KindTag = "connection.kind";

    // Of one look at all sessions, so that it neither floods Redis nor takes long.
    private const int LooksAtOnce = 128;

    private static readonly TimeSpan AskedWithin = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan AgainAfterFailure = TimeSpan.FromSeconds(5);

    // Clocks count in milliseconds, and a key may be there for the rest of one.
    private static readonly TimeSpan BehindExpiry = TimeSpan.FromMilliseconds(20);

    private readonly SessionTimeouts _timeouts;
    private readonly SessionAddOns _addOns;
    private readonly LiveConnectionOptions _options;
    private readonly ILogger<LiveConnections> _logger;
    private readonly Counter<long> _closed;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LiveGroup> _groups = [];
    private readonly long[] _counts = new long[Enum.GetValues<LiveKind>().Length];
    private bool _isDisposed;

    public LiveConnections(
        SessionTimeouts timeouts,
        SessionAddOns addOns,
        IOptions<LiveConnectionOptions> options,
        IMeterFactory meters,
        ILogger<LiveConnections> logger)
    {
        (_timeouts, _addOns, _options, _logger) = (timeouts, addOns, options.Value, logger);
        var meter = meters.Create(SessionMetrics.MeterName);
        meter.CreateObservableGauge("redis_sessions.live.connections", Count, "{connection}", "Live connections that belong to a session.");
        _closed = meter.CreateCounter<long>("redis_sessions.live.closed", "{connection}", "Live connections closed because their session was over.");
    }

    /// <summary>A connection was opened. It is closed at once if its session is over by now.</summary>
    public LiveConnection Enter(LiveSubject subject, LiveKind kind, LiveClient client, Action close)
    {
        var connection = new LiveConnection(this, subject, kind, client, close);
        lock (_lock)
        {
            Join(connection, subject.Store, subject.Id, subject.Idle);
            _counts[(int)kind]++;
        }

        _ = LookAsync(connection.Group!);
        return connection;
    }

    /// <summary>It is not open any more, for whatever reason.</summary>
    public void Leave(LiveConnection connection)
    {
        lock (_lock)
        {
            Part(connection);
        }
    }

    /// <summary>The session of a connection as it is now; null if it is over, or not the connection's any more.</summary>
    public async Task<RedisSession?> LoadAsync(LiveConnection connection, CancellationToken cancellationToken)
    {
        while (connection is { MayRead: true, Group: { } group })
        {
            var session = group.Store.Open(group.Id, group.SitesIdle);
            await session.LoadAsync(cancellationToken).ConfigureAwait(false);
            if (session.Stored is { } stored && Belongs(connection, stored))
            {
                return session;
            }

            // It may have another id.
            await LookAsync(group).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (ReferenceEquals(connection.Group, group))
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>Whether a connection's session still is there, and is the one that a request has just found.</summary>
    public async Task<bool> IsSameAsync(LiveConnection connection, LiveSubject subject)
    {
        if (connection.Group is { } group && group.Key != subject.Key)
        {
            // It may have another id.
            await LookAsync(group).ConfigureAwait(false);
        }

        lock (_lock)
        {
            return connection.Group is { } now && now.Key == subject.Key && subject.CreatedAt is { } createdAt && connection.Belongs(createdAt, subject.UserId);
        }
    }

    private bool Belongs(LiveConnection connection, SessionSnapshot stored)
    {
        lock (_lock)
        {
            return connection.Belongs(stored.CreatedAt, stored.GetMetadata(FieldNames.UserId));
        }
    }

    /// <summary>There was traffic: at most once in a twentieth of the idle timeout, and once a minute, it slides the session.</summary>
    public void Used(LiveConnection connection)
    {
        if (_options.KeepAlive != LiveTraffic.Nothing && connection.Group is { } group && group.TakesSlide(_timeouts.Now, SlideIntervalOf(group)))
        {
            _ = SlideAsync(group, connection.Client);
        }
    }

    void IChangeListener.Changed(string key, long version)
    {
        if (version != SessionSnapshot.NoVersion)
        {
            return;
        }

        LiveGroup? group;
        lock (_lock)
        {
            _groups.TryGetValue(key, out group);
        }

        if (group is not null)
        {
            _ = LookAsync(group);
        }
    }

    void IChangeListener.MayHaveMissed()
    {
        LiveGroup[] all;
        lock (_lock)
        {
            all = [.. _groups.Values];
        }

        _ = Parallel.ForEachAsync(all, new ParallelOptions { MaxDegreeOfParallelism = LooksAtOnce }, (group, _) => new ValueTask(LookAsync(group)));
    }

    /// <summary>Nothing is asked any more. The server itself closes its connections when it stops.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            foreach (var group in _groups.Values)
            {
                group.Timer?.Dispose();
            }
        }
    }

    private long SlideIntervalOf(LiveGroup group)
    {
        var interval = Math.Min((long)group.Idle.TotalMilliseconds / 20, (long)AskedWithin.TotalMilliseconds);
        return _addOns.HeartbeatInterval > TimeSpan.Zero ? Math.Min(interval, (long)_addOns.HeartbeatInterval.TotalMilliseconds) : interval;
    }

    /// <summary>Never throws.</summary>
    private async Task LookAsync(LiveGroup group)
    {
        // Whoever is told may not wait for this, and Redis's answer may come on a thread that has other things to do.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        LiveConnection[] judged;
        lock (_lock)
        {
            judged = [.. group.Connections];
        }

        if (judged.Length == 0)
        {
            return;
        }

        SessionSight sight;
        try
        {
            sight = await group.Store.Hash.LookAsync(group.Id).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            _logger.LiveSessionNotSeen(exception);
            AskIn(group, AgainAfterFailure);
            return;
        }

        Judge(group, judged, sight);
    }

    private void Judge(LiveGroup group, LiveConnection[] judged, SessionSight sight)
    {
        var closing = new List<(LiveConnection Connection, string Reason)>();
        LiveGroup? next = null;
        lock (_lock)
        {
            foreach (var connection in judged.Where(connection => ReferenceEquals(connection.Group, group)))
            {
                if (sight.IsThere && connection.Belongs(sight.CreatedAt, sight.UserId))
                {
                    continue;
                }

                if (sight.MovedTo is { } id && _options.FollowNewId)
                {
                    Move(connection, id);
                    next = connection.Group;
                    continue;
                }

                closing.Add((connection, ReasonOf(connection, sight)));
                Part(connection);
            }
        }

        foreach (var (connection, reason) in closing)
        {
            Close(connection, reason);
        }

        if (next is not null)
        {
            // Whether it is there, and still the same user's.
            _ = LookAsync(next);
        }

        if (sight.IsThere)
        {
            group.Idle = sight.Idle ?? group.SitesIdle;
            var due = sight.Ends is { } ends ? TimeSpan.FromMilliseconds(ends - _timeouts.Now) + BehindExpiry : AskedWithin;
            if (_options.KeepAlive == LiveTraffic.Open)
            {
                due = Min(due, TimeSpan.FromMilliseconds(SlideIntervalOf(group)));
                judged[0].Used();
            }

            AskIn(group, Min(due, AskedWithin));
        }
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private static string ReasonOf(LiveConnection connection, SessionSight sight)
    {
        if (sight.IsThere)
        {
            return connection.IsOf(sight.CreatedAt) ? UserChanged : SessionEnding.NameOf(SessionEndReason.Revoked);
        }

        return sight.MovedTo is not null ? NewId : SessionEnding.NameOf(sight.Reason);
    }

    private void Close(LiveConnection connection, string reason)
    {
        _closed.Add(1, new(ReasonTag, reason), new(KindTag, NameOf(connection.Kind)));
        _logger.LiveConnectionClosed(NameOf(connection.Kind), reason);
        try
        {
            connection.Close();
        }
        catch (Exception exception)
        {
            // What listens to its end is the application's.
            _logger.LiveConnectionCloseFailed(exception);
        }
    }

    private async Task SlideAsync(LiveGroup group, LiveClient client)
    {
        try
        {
            switch (await group.Store.Hash.SlideAsync(group.Key, group.SitesIdle, _addOns.HeartbeatInterval).ConfigureAwait(false))
            {
                case SlideReply.Missing:
                    await LookAsync(group).ConfigureAwait(false);
                    break;
                case SlideReply.SlidAndHeartbeatDue when (await group.Store.Hash.ReadAsync(group.Key).ConfigureAwait(false)).Session is { } stored:
                    _addOns.HeartbeatDue(new SessionBeat(group.Id, _timeouts.Now, stored, _timeouts.IdleOf(stored, group.SitesIdle), client.Address, client.UserAgent));
                    break;
            }
        }
        catch (Exception exception)
        {
            // Traffic that comes later tries again.
            _logger.SessionNotSlid(group.Id, exception);
        }
    }

    private void AskIn(LiveGroup group, TimeSpan due)
    {
        lock (_lock)
        {
            if (_isDisposed || group.Connections.Count == 0)
            {
                return;
            }

            due = due < BehindExpiry ? BehindExpiry : due;
            if (group.Timer is { } timer)
            {
                timer.Change(due, Timeout.InfiniteTimeSpan);
                return;
            }

            using (ExecutionContext.SuppressFlow())
            {
                // It is no part of the request that happened to be there.
                group.Timer = _timeouts.Clock.CreateTimer(_ => _ = LookAsync(group), null, due, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Join(LiveConnection connection, RedisSessionStore store, Guid id, TimeSpan idle)
    {
        var key = store.Keys.Session(id);
        if (!_groups.TryGetValue(key, out var group))
        {
            _groups.Add(key, group = new LiveGroup(store, id, idle));
        }

        group.Connections.Add(connection);
        connection.Group = group;
    }

    private void Move(LiveConnection connection, Guid id)
    {
        var (store, idle) = (connection.Group!.Store, connection.Group.SitesIdle);
        Forsake(connection);
        Join(connection, store, id, idle);
    }

    private void Part(LiveConnection connection)
    {
        if (connection.Group is not null)
        {
            Forsake(connection);
            _counts[(int)connection.Kind]--;
        }
    }

    private void Forsake(LiveConnection connection)
    {
        var group = connection.Group!;
        connection.Group = null;
        group.Connections.Remove(connection);
        if (group.Connections.Count == 0)
        {
            _groups.Remove(group.Key);
            group.Timer?.Dispose();
        }
    }

    private IEnumerable<Measurement<long>> Count()
    {
        lock (_lock)
        {
            return [.. Enum.GetValues<LiveKind>().Select(kind => new Measurement<long>(_counts[(int)kind], new KeyValuePair<string, object?>(KindTag, NameOf(kind))))];
        }
    }

    private static string NameOf(LiveKind kind) => kind switch
    {
        LiveKind.Hub => "hub",
        LiveKind.Circuit => "circuit",
        _ => "request",
    };
}
