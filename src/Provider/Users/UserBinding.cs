using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// Binds sessions to users, and keeps the index current while they are in use. A session is bound at cookie sign-in
/// (<see cref="CookieSignIn"/>), explicitly, or here: before the endpoint of the first authenticated request, and when an
/// authenticated request creates it.
/// </summary>
internal sealed class UserBinding(UserIndex index, SessionTimeouts timeouts, ILogger<UserBinding> logger) : SessionAddOn
{
    // Kept with a session that BindAsync is storing: it enters that itself.
    private static readonly object Entering = new();

    public override SessionAddOnOrder Order => SessionAddOnOrder.Owner;

    public override bool NeedsEndpointTurn => true;

    public override TimeSpan HeartbeatInterval
    {
        get
        {
            // A session must refresh its entry before that is over, however short its life.
            var half = timeouts.IdleTimeout / 2;
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

        session.Keep(this, Entering);
        var rejects = index.Options is { MaxSessionsPerUser: not null, LimitBehavior: SessionLimitBehavior.RejectNew };
        if (rejects)
        {
            await ReserveAsync(session, userId).ConfigureAwait(false);
        }

        SetOwner(session.SetMetadata, session.Context, userId);
        await session.CommitAsync(cancellationToken).ConfigureAwait(false);
        if (session.State == SessionStateKind.Gone)
        {
            // Ended by another request meanwhile: begin afresh rather than leave the user without a session.
            await session.DestroyAsync(cancellationToken).ConfigureAwait(false);
            SetOwner(session.SetMetadata, session.Context, userId);
            await session.CommitAsync(cancellationToken).ConfigureAwait(false);
        }

        if (!rejects)
        {
            await index.EnterNewAsync(userId, session.Identity.Id, session.Life).ConfigureAwait(false);
        }

        await index.NoteActivityAsync(userId, session.Life).ConfigureAwait(false);
    }

    private async Task ReserveAsync(RedisSession session, string userId)
    {
        if (await index.EnterNewAsync(userId, session.Identity.Id, session.Life).ConfigureAwait(false))
        {
            return;
        }

        // Full; but are they all alive?
        await index.HealAsync(userId).ConfigureAwait(false);
        if (!await index.EnterNewAsync(userId, session.Identity.Id, session.Life).ConfigureAwait(false))
        {
            throw new SessionLimitReachedException(index.Options.MaxSessionsPerUser!.Value);
        }
    }

    private void SetOwner(Action<string, string?> set, HttpContext? context, string userId)
    {
        var (address, userAgent) = (UserFields.AddressOf(context), UserFields.UserAgentOf(context));
        set(UserFields.UserId, userId);
        set(UserFields.SignedInAt, timeouts.Now.ToString(CultureInfo.InvariantCulture));
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
        catch (Exception exception) when (RedisAway.Explains(exception) || exception is SessionLimitReachedException)
        {
            // The page works all the same; the next request tries again.
            logger.SessionNotBound(session.Identity.Id, exception);
        }
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (session.Stored is null
            && !delta.Metadata.ContainsKey(UserFields.UserId)
            && index.Options.UserIdOf(session.Context?.User) is { } userId)
        {
            SetOwner(delta.SetMetadata, session.Context, userId);
        }
    }

    public override void Committed(RedisSession session, SessionDelta delta, bool created)
    {
        if (created && session.StateOf<object>(this) is null && delta.Metadata.TryGetValue(UserFields.UserId, out var userId) && userId is not null)
        {
            _ = index.SendAsync(index.EnterNewAsync(userId, session.Identity.Id, session.Life), index.NoteActivityAsync(userId, session.Life));
        }
    }

    public override void HeartbeatDue(SessionBeat beat)
    {
        if (beat.Stored.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(
                index.NoteSightAsync(beat.Id, beat.Stored, beat.Address, UserFields.Bounded(beat.UserAgent)),
                index.RefreshAsync(userId, beat.Id, beat.Life),
                index.NoteActivityAsync(userId, beat.Life));
        }
    }

    public override void Regenerated(RedisSession session, Guid oldId)
    {
        if (session.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(index.RefreshAsync(userId, session.Identity.Id, session.Life, oldId));
        }
    }

    public override void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
        if (stored?.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(index.RemoveAsync(userId, id.ToString()));
        }
    }
}
