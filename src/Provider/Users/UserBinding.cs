using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// Binds sessions to users, and keeps the index current while they are in use. A session is bound at cookie sign-in
/// (<see cref="CookieSignIn"/>), explicitly, or here: before the endpoint of the first authenticated request, and when an
/// authenticated request creates it.
/// </summary>
internal sealed class UserBinding(UserIndex index, ILogger<UserBinding> logger) : SessionAddOn
{
    // Sessions that a commit under way creates bound, and that Created must enter; BindAsync enters its own.
    private readonly ConditionalWeakTable<RedisSession, string> _createdBound = [];

    public override TimeSpan HeartbeatInterval
    {
        get
        {
            // A session must refresh its entry before that is over, however short its life.
            var half = index.Hash.Timeouts.IdleTimeout / 2;
            return index.Options.RefreshInterval < half ? index.Options.RefreshInterval : half;
        }
    }

    /// <summary>
    /// Makes the session the user's under a new id, within the limit, and stores that at once.
    /// <para>
    /// Where others are evicted, the session is stored before it is entered: whoever finds its entry to evict it then also
    /// finds the hash to delete. Being cut off in between leaves a session that its first heartbeat enters. Where new ones
    /// are rejected, it is entered first, and being cut off leaves an entry without a session, which the next list removes.
    /// </para>
    /// </summary>
    public async Task BindAsync(RedisSession session, string userId, bool signIn, CancellationToken cancellationToken)
    {
        await session.LoadAsync(cancellationToken).ConfigureAwait(false);
        if (!session.IsAvailable)
        {
            // Whose it is is not known, and writing to it all the same might give one user's data to another.
            throw new RedisException("The session could not be read, and so not be bound to a user.");
        }

        var owner = session.GetMetadata(UserFields.UserId);
        if (owner == userId && !signIn)
        {
            return;
        }

        if (owner is not null && owner != userId)
        {
            // Nothing of one user is for another.
            await session.DestroyAsync(cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await session.RegenerateIdAsync(cancellationToken).ConfigureAwait(false);
        }

        if (session.IsGone)
        {
            // Ended by another request meanwhile: begin afresh rather than leave the user without a session.
            await session.DestroyAsync(cancellationToken).ConfigureAwait(false);
        }

        session.Establish();
        var rejects = index.Options is { MaxSessionsPerUser: not null, LimitBehavior: SessionLimitBehavior.RejectNew };
        if (rejects)
        {
            await ReserveAsync(session, userId).ConfigureAwait(false);
        }

        SetOwner(session.SetMetadata, session.Context, userId);
        await session.CommitAsync(cancellationToken).ConfigureAwait(false);
        if (!rejects)
        {
            await index.EnterNewAsync(userId, session.Identity, LifeOf(session)).ConfigureAwait(false);
        }

        await index.NoteActivityAsync(userId, LifeOf(session)).ConfigureAwait(false);
    }

    private async Task ReserveAsync(RedisSession session, string userId)
    {
        if (await index.EnterNewAsync(userId, session.Identity, LifeOf(session)).ConfigureAwait(false))
        {
            return;
        }

        // Full; but are they all alive?
        await index.HealAsync(userId).ConfigureAwait(false);
        if (!await index.EnterNewAsync(userId, session.Identity, LifeOf(session)).ConfigureAwait(false))
        {
            throw new SessionLimitReachedException(index.Options.MaxSessionsPerUser!.Value);
        }
    }

    private void SetOwner(Action<string, string?> set, HttpContext? context, string userId)
    {
        var (address, userAgent) = (UserFields.AddressOf(context), UserFields.UserAgentOf(context));
        set(UserFields.UserId, userId);
        set(UserFields.SignedInAt, index.Now.ToString(CultureInfo.InvariantCulture));
        set(UserFields.SignInAddress, address);
        set(UserFields.SignInUserAgent, userAgent);
        set(UserFields.Address, address);
        set(UserFields.UserAgent, userAgent);
    }

    public override ValueTask BeforeEndpointAsync(RedisSession session, HttpContext context)
    {
        // A session that does not exist yet is bound when it is created; a request that stores nothing creates none.
        if (session.Stored is null || context.Response.HasStarted || index.Options.UserIdOf(context.User) is not { } userId)
        {
            return ValueTask.CompletedTask;
        }

        return session.GetMetadata(UserFields.UserId) == userId
            ? ValueTask.CompletedTask
            : new ValueTask(BindBeforeEndpointAsync(session, userId));
    }

    private async Task BindBeforeEndpointAsync(RedisSession session, string userId)
    {
        try
        {
            await BindAsync(session, userId, signIn: false, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException or OperationCanceledException or SessionLimitReachedException)
        {
            // The page works all the same; the next request tries again.
            logger.SessionNotBound(session.Identity, exception);
        }
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (session.Stored is null
            && !delta.Metadata.ContainsKey(UserFields.UserId)
            && index.Options.UserIdOf(session.Context?.User) is { } userId)
        {
            SetOwner(delta.SetMetadata, session.Context, userId);
            _createdBound.AddOrUpdate(session, userId);
        }
    }

    public override void Created(RedisSession session)
    {
        if (_createdBound.Remove(session, out var userId))
        {
            _ = index.SendAsync(index.EnterNewAsync(userId, session.Identity, LifeOf(session)), index.NoteActivityAsync(userId, LifeOf(session)));
        }
    }

    public override void HeartbeatDue(RedisSession session)
    {
        if (session.Stored is { } stored && stored.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(
                index.NoteSightAsync(session.Identity, stored, UserFields.AddressOf(session.Context), UserFields.UserAgentOf(session.Context)),
                index.RefreshAsync(userId, session.Identity, LifeOf(session)),
                index.NoteActivityAsync(userId, LifeOf(session)));
        }
    }

    public override void Regenerated(RedisSession session, Guid oldId)
    {
        if (session.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(index.RefreshAsync(userId, session.Identity, LifeOf(session), oldId));
        }
    }

    public override void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
        if (stored?.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(index.RemoveAsync(userId, id.ToString()));
        }
    }

    private TimeSpan LifeOf(RedisSession session) =>
        session.Stored?.GetMilliseconds(FieldNames.IdleTimeout) ?? index.Hash.Timeouts.IdleTimeout;
}
