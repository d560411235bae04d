using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Users;

/// <summary>
/// Keeps sessions and users together through a session's life. A session is bound at cookie sign-in (<see cref="CookieSignIn"/>),
/// explicitly, or here: before the endpoint of the first authenticated request, and when an authenticated request creates it. How it is
/// bound is in <c>UserBinding.Binding.cs</c>.
/// </summary>
internal sealed partial class UserBinding(
    UserIndex index, UserDevices devices, RequestUsers users, SessionTimeouts timeouts, IServiceProvider services, ILogger<UserBinding> logger) : SessionAddOn
{
    // Not a constructor argument: this is part of it.
    private SessionAddOns AddOns => services.GetRequiredService<SessionAddOns>();

    // Where AddProviderSessions was called.
    private ProviderIndex? Providers => services.GetService<ProviderIndex>();

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

    public override void Loaded(RedisSession session)
    {
        // What a user kept in it is read by that user, and so not by whoever comes after the sign-in is over.
        if (session.Stored?.GetNumber(UserFields.TicketEnd) is { } end && end < timeouts.Now)
        {
            session.DestroyAndDisown(rejected: false);
            return;
        }

        RememberedSession.Renew(session, timeouts);
    }

    /// <summary>Where a sign-in ends with its session, it also ends for a request that was authenticated by it and waited since.</summary>
    public override bool MayGoOn(RedisSession session, SessionSnapshot before) =>
        !index.Options.EndSignInWithSession
        || before.GetMetadata(UserFields.SignInNumber) is not { } number
        || session.Context is not { } context
        || RequestSignIns.Find(context)?.HasNumber(number) != true
        || session.GetMetadata(UserFields.SignInNumber) == number;

    public override ValueTask BeforeEndpointAsync(RedisSession session, HttpContext context)
    {
        // A session that does not exist yet is bound when it is created; a request that stores nothing creates none.
        if (session.Stored is null || context.Response.HasStarted || index.Options.GetUserId(context.User) is not { } userId)
        {
            return ValueTask.CompletedTask;
        }

        return session.GetMetadata(UserFields.UserId) == userId
            ? ValueTask.CompletedTask
            : new ValueTask(BindBeforeEndpointAsync(session, context));
    }

    private async Task BindBeforeEndpointAsync(RedisSession session, HttpContext context)
    {
        if (await users.FindAsync(context).ConfigureAwait(false) is not { } bond || !MayTake(session, bond))
        {
            return;
        }

        try
        {
            await BindAsync(session, bond, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception) || exception is SessionLimitReachedException)
        {
            // The page works all the same; the next request tries again.
            logger.SessionNotBound(session.Identity.Id, exception);
        }
    }

    /// <summary>
    /// A sign-in's session ends with the sign-in, and for no token that comes beside it. What another kind of authentication bound goes
    /// to that one's next user, empty.
    /// </summary>
    private static bool MayTake(RedisSession session, UserBond bond) =>
        session.GetMetadata(UserFields.SignInNumber) is null
        && (session.GetMetadata(UserFields.UserId) is null || session.GetMetadata(UserFields.Scheme) == bond.Scheme);

    public override async ValueTask<bool> MayCreateAsync(RedisSession session)
    {
        if (session.Context is not { } context || session.StateOf<Binding>(this) is { IsUnderWay: true })
        {
            return true;
        }

        if (RequestSignIns.Find(context) is { HasUnverified: true })
        {
            // Who is not known to be signed in begins nothing.
            return false;
        }

        if (await users.FindAsync(context).ConfigureAwait(false) is not { UserId: { } userId } bond)
        {
            session.Keep(this, new Binding());
            return true;
        }

        // Noted before anything is stored: whoever revokes everyone after this finds the user, and who did before is met below.
        var begunAt = index.Ticks;
        var noted = index.NoteActivityAsync(userId, session.Life);
        noted.Observe();
        var creation = new Binding { Creator = bond, Revocation = await index.FindRevocationAsync(userId).ConfigureAwait(false) };
        await noted.ConfigureAwait(false);
        if (await index.FindEveryonesRevocationAsync(begunAt).ConfigureAwait(false) is not null)
        {
            return false;
        }

        try
        {
            await ReserveAsync(userId, new UserEntry(session.Identity.Id, session.Life, creation.Revocation), former: null).ConfigureAwait(false);
        }
        catch (SessionLimitReachedException exception)
        {
            logger.SessionNotBound(session.Identity.Id, exception);
            return false;
        }

        session.Keep(this, creation);
        return true;
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (session.Stored is null && session.StateOf<Binding>(this) is { IsUnderWay: false, Creator: { } bond } creation)
        {
            Write(delta.SetMetadata, session.Context, bond, creation.Revocation);
        }
    }

    public override void Committed(RedisSession session, SessionDelta delta, bool created)
    {
        if (session.StateOf<Binding>(this) is { IsUnderWay: true } || session.Stored?.GetMetadata(UserFields.UserId) is not { } userId)
        {
            return;
        }

        if (created)
        {
            if (session.StateOf<Binding>(this) is { Creator: { } creator })
            {
                AddOns.SignedIn(session.Identity.Id, userId, HowOf(creator));
            }

            _ = index.SendAsync(index.EnterNewOrEndAsync(userId, EntryOf(session, session.Stored)));
        }
        else if (delta.ChangesTimeouts)
        {
            _ = index.SendAsync(index.RefreshOrEndAsync(userId, EntryOf(session, session.Stored)), index.NoteActivityAsync(userId, session.Life));
        }
    }

    public override void HeartbeatDue(SessionBeat beat)
    {
        if (beat.Stored.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(
                index.NoteSightAsync(beat.Id, beat.Stored, beat.Address, UserFields.Bounded(beat.UserAgent)),
                index.RefreshOrEndAsync(userId, new UserEntry(beat.Id, beat.Life, beat.Stored.GetMetadata(UserFields.Revocation))),
                index.NoteActivityAsync(userId, beat.Life));
        }
    }

    /// <summary>
    /// Waited for, before the old hash goes and the browser learns the new id: whoever revokes all of the user's sessions
    /// finds the new one from here on, and one who did before is met here.
    /// </summary>
    public override async ValueTask<bool> MovingAsync(RedisSession session, SessionSnapshot moved, Guid oldId)
    {
        if (session.StateOf<Binding>(this) is { IsUnderWay: true } || moved.GetMetadata(UserFields.UserId) is not { } userId)
        {
            return true;
        }

        if (await index.RefreshAsync(userId, EntryOf(session, moved), oldId).ConfigureAwait(false) is not { Outcome: EnterOutcome.Revoked, Revocation: { } revocation })
        {
            return true;
        }

        await index.EndAsync(userId, oldId.ToString(), revocation).ConfigureAwait(false);
        return false;
    }

    public override void Regenerated(RedisSession session, Guid oldId)
    {
        if (session.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(index.RemoveAsync(userId, oldId.ToString()));
        }
    }

    public override void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected)
    {
        if (stored?.GetMetadata(UserFields.UserId) is { } userId)
        {
            _ = index.SendAsync(index.RemoveAsync(userId, id.ToString()));
        }
    }

    public override void EndedById(EndedSession ended)
    {
        if (ended.UserId is { } userId)
        {
            _ = index.SendAsync(index.RemoveAsync(userId, ended.Id.ToString()));
        }
    }

    public override void Extended(Guid id, TimeSpan life) => _ = index.SendAsync(index.ProlongAsync(id, life));

    private static UserEntry EntryOf(RedisSession session, SessionSnapshot stored) =>
        new(session.Identity.Id, session.Life, stored.GetMetadata(UserFields.Revocation));

    private static void Write(Action<string, string?> set, HttpContext? context, UserBond bond, string? revocation)
    {
        var (address, userAgent) = (UserFields.AddressOf(context), UserFields.UserAgentOf(context));
        set(UserFields.UserId, bond.UserId);
        set(UserFields.Scheme, bond.Scheme);
        set(UserFields.SignInNumber, bond.Number);
        set(UserFields.SignedInAt, bond.SignedInAt?.ToString(CultureInfo.InvariantCulture));
        set(UserFields.TicketEnd, bond.Ends?.ToString(CultureInfo.InvariantCulture));
        set(UserFields.Revocation, revocation);
        set(UserFields.SignInAddress, address);
        set(UserFields.SignInUserAgent, userAgent);
        set(UserFields.Address, address);
        set(UserFields.UserAgent, userAgent);
    }

    /// <summary>Kept with a request's session.</summary>
    private sealed class Binding
    {
        /// <summary>BindAsync is storing it, and enters it itself.</summary>
        public bool IsUnderWay { get; init; }

        /// <summary>Whose request creates it; null for nobody's.</summary>
        public UserBond? Creator { get; init; }

        /// <summary>That user's revocation, before anything was stored.</summary>
        public string? Revocation { get; init; }
    }
}
