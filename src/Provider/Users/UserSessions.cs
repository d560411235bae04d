using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using RedisSessions.Clients;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <inheritdoc cref="IUserSessions"/>
internal sealed class UserSessions(
    UserIndex index,
    UserBinding binding,
    UserDevices devices,
    RedisConnection connection,
    SessionTimeouts timeouts,
    Durability durability,
    IHttpContextAccessor contexts) : IUserSessions
{
    private const int BatchSize = 500;
    private static readonly SessionRevocation Unsaid = new();

    // The order in which Describe reads them.
    private static readonly RedisValue[] Described =
    [
        UserFields.UserId, FieldNames.Created, FieldNames.IdleTimeout, FieldNames.LastSeen, UserFields.SignedInAt,
        UserFields.SignInAddress, UserFields.SignInUserAgent, UserFields.Address, UserFields.UserAgent, UserFields.TicketEnd,
        UserFields.Device,
    ];

    private RedisSession? Current => contexts.HttpContext?.Features.Get<ISessionFeature>()?.Session as RedisSession;

    public Task BindCurrentSessionAsync(string userId, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(userId);
        var session = Current ?? throw new InvalidOperationException(
            "There is no request with a session on Redis. Call this within a request, after UseSession() and AddRedisSession().");
        return binding.BindAsync(session, new UserBond(UserIndexOptions.Normalize(userId), Scheme: null), cancellationToken);
    }

    public async Task<IReadOnlyList<UserSession>> ListAsync(string userId, int skip, int take, CancellationToken cancellationToken)
    {
        userId = Checked(userId);
        ArgumentOutOfRangeException.ThrowIfNegative(skip);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(take);
        var ids = await index.PageAsync(userId, skip, (long)skip + take - 1).WaitAsync(cancellationToken).ConfigureAwait(false);
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var fields = new Task<RedisValue[]>[ids.Length];
        var lives = new Task<TimeSpan?>[ids.Length];
        for (var i = 0; i < ids.Length; i++)
        {
            var key = index.SessionKey(ids[i]!);
            fields[i] = database.HashGetAsync(key, Described);
            lives[i] = database.KeyTimeToLiveAsync(key);
        }

        var sessions = new List<UserSession>(ids.Length);
        var stale = new List<RedisValue>();
        for (var i = 0; i < ids.Length; i++)
        {
            var values = await fields[i].WaitAsync(cancellationToken).ConfigureAwait(false);
            var life = await lives[i].WaitAsync(cancellationToken).ConfigureAwait(false);
            if (life is not { } ttl || !string.Equals((string?)values[0], userId, StringComparison.Ordinal))
            {
                stale.Add(ids[i]);
            }
            else if (Describe(ids[i]!, values, ttl) is var session && session.ExpiresAt > timeouts.Clock.GetUtcNow())
            {
                sessions.Add(session);
            }
        }

        await index.RemoveAsync(userId, [.. stale]).WaitAsync(cancellationToken).ConfigureAwait(false);
        sessions.Sort(static (a, b) => b.LastSeenAt.CompareTo(a.LastSeenAt));
        await AddNamesAsync(userId, sessions, cancellationToken).ConfigureAwait(false);
        return sessions;
    }

    /// <summary>One round trip more, where there are devices.</summary>
    private async Task AddNamesAsync(string userId, List<UserSession> sessions, CancellationToken cancellationToken)
    {
        var known = sessions.Where(static session => session.DeviceId is not null).Select(static session => Guid.Parse(session.DeviceId!)).Distinct().ToArray();
        if (known.Length == 0)
        {
            return;
        }

        var names = await devices.FindNamesAsync(userId, known).WaitAsync(cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < sessions.Count; i++)
        {
            if (sessions[i].DeviceId is { } device)
            {
                sessions[i] = sessions[i] with { GivenDeviceName = names[Array.IndexOf(known, Guid.Parse(device))] };
            }
        }
    }

    public Task<bool> NameDeviceAsync(string userId, string deviceId, string? name, CancellationToken cancellationToken)
    {
        userId = Checked(userId);
        ArgumentException.ThrowIfNullOrEmpty(deviceId);
        UserDevices.CheckName(name, nameof(name));
        return Guid.TryParse(deviceId, out var device)
            ? devices.SetNameAsync(userId, device, name).WaitAsync(cancellationToken)
            : Task.FromResult(false);
    }

    public async Task<long> ForgetUserAsync(string userId, SessionRevocation? revocation, CancellationToken cancellationToken)
    {
        // First: what is under way from here on notes no device.
        var ended = await RevokeAllAsync(userId, null, revocation, cancellationToken).ConfigureAwait(false);
        userId = Checked(userId);
        await devices.ForgetAsync(userId).WaitAsync(cancellationToken).ConfigureAwait(false);
        await index.ForgetActivityAsync(userId).WaitAsync(cancellationToken).ConfigureAwait(false);
        return ended;
    }

    private UserSession Describe(string id, RedisValue[] values, TimeSpan ttl)
    {
        var now = timeouts.Clock.GetUtcNow();
        var lastSeen = timeouts.LastSeen(ttl, Milliseconds(values[2]), Milliseconds(values[3]));
        var created = DateTimeOffset.UnixEpoch + (Milliseconds(values[1]) ?? TimeSpan.Zero);
        var userAgent = TextOf(values[8]);
        var expires = now + ttl;
        if (Milliseconds(values[9]) is { } ticket && DateTimeOffset.UnixEpoch + ticket < expires)
        {
            expires = DateTimeOffset.UnixEpoch + ticket;
        }

        return new UserSession(
            id,
            created,
            Milliseconds(values[4]) is { } signedIn ? DateTimeOffset.UnixEpoch + signedIn : created,
            lastSeen,
            expires,
            TextOf(values[5]),
            TextOf(values[6]),
            TextOf(values[7]),
            userAgent,
            UserAgents.DeviceName(userAgent),
            Current is { } current && Guid.TryParse(id, out var guid) && current.GoesBy(guid))
        {
            DeviceId = Guid.TryParse((string?)values[10], out var device) ? device.ToString() : null,
        };
    }

    private static TimeSpan? Milliseconds(RedisValue value) =>
        SessionSnapshot.TimeOf(value.ToString()) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null;

    private static string? TextOf(RedisValue value) => value.IsNullOrEmpty ? null : value.ToString();

    public Task<long> CountAsync(string userId, CancellationToken cancellationToken)
    {
        userId = Checked(userId);
        return index.CountAsync(userId).WaitAsync(cancellationToken);
    }

    private static string Checked(string userId)
    {
        ArgumentException.ThrowIfNullOrEmpty(userId);
        return UserIndexOptions.Normalize(userId);
    }

    public async Task<RevokeResult> RevokeAsync(string userId, string sessionId, SessionRevocation? revocation, CancellationToken cancellationToken)
    {
        userId = Checked(userId);
        ArgumentException.ThrowIfNullOrEmpty(sessionId);
        revocation ??= Unsaid;
        if (!SessionId.TryParse(sessionId, out var id))
        {
            return RevokeResult.NotFound;
        }

        var durable = await DurableWrites.BeginAsync(durability.Revocations).ConfigureAwait(false);
        var result = await index.EndAsync(userId, id.ToString(), revocation).WaitAsync(cancellationToken).ConfigureAwait(false);
        if (durable is not null && result == RevokeResult.Revoked)
        {
            durable.Touch(index.SessionKey(id.ToString()));
            await durable.EndAsync(index.UserKey(userId)).WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return result;
    }

    public async Task<long> RevokeAllAsync(string userId, string? exceptSessionId, SessionRevocation? revocation, CancellationToken cancellationToken)
    {
        userId = Checked(userId);
        var durable = await DurableWrites.BeginAsync(durability.Revocations).ConfigureAwait(false);
        var revoked = await RevokeAllAsync(userId, exceptSessionId, revocation, durable, cancellationToken).ConfigureAwait(false);
        if (durable is not null)
        {
            await durable.EndAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return revoked;
    }

    private async Task<long> RevokeAllAsync(string userId, string? exceptSessionId, SessionRevocation? revocation, DurableChange? durable, CancellationToken cancellationToken)
    {
        revocation ??= Unsaid;
        var spared = SparedBy(exceptSessionId);

        // First: what enters from here on was begun after this, and what entered before is found below.
        await index.MarkRevokedAsync(userId, spared, revocation.Reason).WaitAsync(cancellationToken).ConfigureAwait(false);
        durable?.Touch(index.UserKey(userId));
        long revoked = 0;
        var kept = 0;
        while (true)
        {
            var ids = await index.AllAsync(userId, kept, kept + BatchSize - 1).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (ids.Length == 0)
            {
                return revoked;
            }

            var batch = Array.FindAll(ids, id => !Guid.TryParse((string)id!, out var guid) || !spared.Contains(guid));
            kept += ids.Length - batch.Length;
            var results = await Task.WhenAll(Array.ConvertAll(batch, id => index.RevokeHashAsync(userId, (string)id!, revocation)))
                .WaitAsync(cancellationToken).ConfigureAwait(false);
            foreach (var result in results)
            {
                revoked += result == RevokeResult.Revoked ? 1 : 0;
            }

            if (durable is not null)
            {
                Array.ForEach(batch, id => durable.Touch(index.SessionKey(id!)));
            }

            await index.RemoveAsync(userId, batch).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The present session may be on its way to another id: sparing it by either spares both.</summary>
    private HashSet<Guid> SparedBy(string? exceptSessionId)
    {
        if (!SessionId.TryParse(exceptSessionId, out var except))
        {
            return [];
        }

        var spared = new HashSet<Guid> { except };
        if (Current is { } current && current.GoesBy(except))
        {
            spared.Add(current.Identity.Id);
            if (current.FormerId is { } former)
            {
                spared.Add(former);
            }
        }

        return spared;
    }

    public async Task<RevokeEveryoneProgress> RevokeEveryoneAsync(
        IProgress<RevokeEveryoneProgress>? progress, SessionRevocation? revocation, CancellationToken cancellationToken)
    {
        revocation ??= Unsaid;

        // First, for a user whom nobody has seen yet is in no shard: a sign-in that is under way, or was made while Redis was away.
        var durable = await DurableWrites.BeginAsync(durability.Revocations).ConfigureAwait(false);
        await index.MarkEveryoneRevokedAsync(revocation.Reason).WaitAsync(cancellationToken).ConfigureAwait(false);
        durable?.Touch(index.EveryoneKey);
        var total = default(RevokeEveryoneProgress);
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        for (var shard = 0; shard < index.Options.ActivityShards; shard++)
        {
            // A cursor meets every member that stays throughout, however scores change meanwhile.
            var sinceReport = 0;
            await foreach (var entry in database.SortedSetScanAsync(index.ShardKey(shard), pageSize: BatchSize).WithCancellation(cancellationToken).ConfigureAwait(false))
            {
                var sessions = await RevokeAllAsync(Checked(entry.Element!), null, revocation, durable, cancellationToken).ConfigureAwait(false);
                total = new RevokeEveryoneProgress(total.Users + (sessions > 0 ? 1 : 0), total.Sessions + sessions);
                if (++sinceReport % BatchSize == 0)
                {
                    progress?.Report(total);
                }
            }

            progress?.Report(total);
        }

        if (durable is not null)
        {
            await durable.EndAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return total;
    }

    public async IAsyncEnumerable<ActiveUser> GetActiveUsersAsync(DateTimeOffset since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        for (var shard = 0; shard < index.Options.ActivityShards; shard++)
        {
            // From the newest down: who becomes active meanwhile moves to where we have been, and is not met twice.
            var highest = double.PositiveInfinity;
            var atBoundary = new HashSet<string>(StringComparer.Ordinal);
            while (true)
            {
                var page = await database.SortedSetRangeByScoreWithScoresAsync(
                    index.ShardKey(shard), since.ToUnixTimeMilliseconds(), highest, Exclude.None, Order.Descending, 0, BatchSize + atBoundary.Count)
                    .WaitAsync(cancellationToken).ConfigureAwait(false);
                var met = 0;
                foreach (var entry in page)
                {
                    var user = (string)entry.Element!;
                    if (entry.Score == highest && !atBoundary.Add(user))
                    {
                        continue;
                    }

                    if (entry.Score < highest)
                    {
                        highest = entry.Score;
                        atBoundary.Clear();
                        atBoundary.Add(user);
                    }

                    met++;
                    yield return new ActiveUser(user, DateTimeOffset.FromUnixTimeMilliseconds((long)entry.Score));
                }

                if (met == 0)
                {
                    break;
                }
            }
        }
    }

    public async Task<long> PruneAsync(CancellationToken cancellationToken)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var before = index.Now - (long)index.Options.ActivityRetention.TotalMilliseconds;
        long pruned = 0;
        for (var shard = 0; shard < index.Options.ActivityShards; shard++)
        {
            var kept = 0;
            while (true)
            {
                var users = await database.SortedSetRangeByScoreAsync(index.ShardKey(shard), double.NegativeInfinity, before, Exclude.None, Order.Ascending, kept, BatchSize)
                    .WaitAsync(cancellationToken).ConfigureAwait(false);
                if (users.Length == 0)
                {
                    break;
                }

                // A user whose sessions live on unused for longer than that must still be found.
                var counts = await Task.WhenAll(Array.ConvertAll(users, user => index.CountAsync(user!))).WaitAsync(cancellationToken).ConfigureAwait(false);
                var gone = users.Where((_, i) => counts[i] == 0).ToArray();
                kept += users.Length - gone.Length;
                pruned += await database.SortedSetRemoveAsync(index.ShardKey(shard), gone).WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        return pruned;
    }
}
