using RedisSessions.Redis;
using RedisSessions.Sessions;
using StackExchange.Redis;

namespace RedisSessions.Users;

// How a session is bound.
internal sealed partial class UserBinding
{
    /// <summary>
    /// Makes the session the user's under a new id, within the limit, and stores that at once. Nothing changes where the limit does
    /// not allow it.
    /// <para>
    /// The user's revocation is read first and kept with the session. A session is stored before it is entered: whoever finds its
    /// entry then also finds the hash to delete, and whoever revoked all sessions in between is met when it enters. Being cut off in
    /// between leaves a session that its first heartbeat enters. Where new ones are rejected, its place is taken before anything is
    /// stored, and being cut off leaves an entry without a session, which the next list removes.
    /// </para>
    /// </summary>
    /// <exception cref="SessionLimitReachedException">The user has the most sessions allowed, and new ones are rejected.</exception>
    public async Task<BindOutcome> BindAsync(RedisSession session, UserBond bond, CancellationToken cancellationToken)
    {
        await session.LoadAsync(cancellationToken).ConfigureAwait(false);
        if (!session.IsAvailable)
        {
            // Whose it is is not known, and writing to it all the same might give one user's data to another.
            throw new RedisException("The session could not be read, and so not be bound to a user.");
        }

        var begunAt = bond.BegunAt ?? index.Ticks;
        var owner = session.GetMetadata(UserFields.UserId);
        if (owner is not null && owner == bond.UserId && !bond.IsSignIn)
        {
            return BindOutcome.Unchanged;
        }

        var revocation = bond.Continues ? session.GetMetadata(UserFields.Revocation)
            : bond.UserId is null ? null
            : await session.InTimeAsync(index.FindRevocationAsync(bond.UserId), cancellationToken).ConfigureAwait(false);
        if (!bond.Continues && revocation is not null && bond.BegunAt < UserIndexScripts.TimeOf(revocation))
        {
            return BindOutcome.Revoked;
        }

        // Nothing of one user is for another.
        var startsOver = owner is not null && owner != bond.UserId;
        Guid? former = startsOver || session.Stored is null ? null : session.FormerId ?? session.Identity.Id;
        if (bond.UserId is not null)
        {
            var id = startsOver || !session.Identity.IsNew ? session.NextId : session.Identity.Id;
            await ReserveAsync(bond.UserId, new UserEntry(id, session.Life, revocation), former).ConfigureAwait(false);
        }

        var device = devices.Find(bond, session.Context);
        session.Keep(this, new Binding { IsUnderWay = true });
        try
        {
            await (startsOver ? session.DestroyAsync(cancellationToken) : session.RegenerateIdAsync(cancellationToken)).ConfigureAwait(false);
            await StoreAsync(session, bond, revocation, device, cancellationToken).ConfigureAwait(false);
            if (session.State == SessionStateKind.Gone)
            {
                if (bond.Continues)
                {
                    return BindOutcome.Revoked;
                }

                // Ended by another request meanwhile: begin afresh rather than leave the user without a session.
                await session.DestroyAsync(cancellationToken).ConfigureAwait(false);
                await StoreAsync(session, bond, revocation, device, cancellationToken).ConfigureAwait(false);
            }

            if (session.Stored is null)
            {
                _ = bond.UserId is null ? Task.CompletedTask : index.SendAsync(index.RemoveAsync(bond.UserId, session.Identity.Id.ToString()));
                return BindOutcome.NotStored;
            }

            if (session.Stored.GetMetadata(UserFields.Origin) is { } origin
                && Providers is { } providers
                && !await session.InTimeAsync(providers.EnterAsync(session.Identity.Id, session.Life, origin), cancellationToken).ConfigureAwait(false))
            {
                // Its provider has ended it while it was under way.
                await session.DestroyAsync(SessionEndReason.SignedOut, cancellationToken).ConfigureAwait(false);
                return BindOutcome.Revoked;
            }

            var outcome = await EnterAsync(session, bond, former, begunAt, cancellationToken).ConfigureAwait(false);
            if (outcome == BindOutcome.Bound)
            {
                AddOns.SignedIn(session.Identity.Id, bond.UserId, HowOf(bond));
                if (device is { } signedInOn)
                {
                    await devices.SignedInAsync(session, session.Context!, bond.UserId!, signedInOn).ConfigureAwait(false);
                }
            }

            return outcome;
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // Half a binding must not be stored at the end of the request, nor fail it: the sign-in may be kept without a session.
            session.Fail(exception);
            throw;
        }
        finally
        {
            session.Keep(this, new Binding());
        }
    }

    private static string HowOf(UserBond bond) => (bond switch
    {
        { IsSignIn: false } => "bound",
        { Continues: true } => "ticket written again",
        _ => "signed in",
    }) + (bond.Scheme is { } scheme ? $", scheme {scheme}" : "");

    private Task StoreAsync(RedisSession session, UserBond bond, string? revocation, SignInDevice? device, CancellationToken cancellationToken)
    {
        Write(session.SetMetadata, session.Context, bond, revocation);
        RememberedSession.Write(session, bond.Persistence);
        if (Providers?.OriginOf(bond.Principal, bond.BegunAt ?? index.Ticks) is var origin && origin != session.GetMetadata(UserFields.Origin))
        {
            session.SetMetadata(UserFields.Origin, origin);
        }

        if (!bond.Continues && (device is not null || session.GetMetadata(UserFields.Device) is not null))
        {
            session.SetMetadata(UserFields.Device, device?.Id.ToString());
        }

        if (session.GetMetadata(UserFields.Ticket) is not null)
        {
            // That of the sign-in before.
            session.SetMetadata(UserFields.Ticket, null);
        }

        return session.CommitAsync(cancellationToken);
    }

    private async Task<BindOutcome> EnterAsync(RedisSession session, UserBond bond, Guid? former, long begunAt, CancellationToken cancellationToken)
    {
        if (bond.UserId is not { } userId)
        {
            return BindOutcome.Bound;
        }

        // Noted before the browser is answered: whoever revokes everyone finds the user from here on.
        var noted = index.NoteActivityAsync(userId, session.Life);
        noted.Observe();
        SessionEndReason? everyones = null;
        var (outcome, revocation) = await session.InTimeAsync(index.EnterNewAsync(userId, EntryOf(session, session.Stored!), former), cancellationToken).ConfigureAwait(false);
        if (outcome == EnterOutcome.Entered)
        {
            await session.InTimeAsync(noted, cancellationToken).ConfigureAwait(false);

            // Asked behind the note: who revokes everyone after this finds the user, and who did before is met here.
            everyones = bond.Continues ? null : await session.InTimeAsync(index.FindEveryonesRevocationAsync(begunAt), cancellationToken).ConfigureAwait(false);
            if (everyones is null)
            {
                return BindOutcome.Bound;
            }
        }
        else
        {
            _ = index.SendAsync(noted);
        }

        var reason = everyones ?? revocation?.Reason ?? (outcome == EnterOutcome.Full ? SessionEndReason.Evicted : SessionEndReason.Revoked);
        await session.DestroyAsync(reason, cancellationToken).ConfigureAwait(false);
        return outcome == EnterOutcome.Full ? throw LimitReached(session.Identity.Id, userId) : BindOutcome.Revoked;
    }

    /// <summary>Takes a place in the index, where new sessions are rejected at the limit.</summary>
    private async Task ReserveAsync(string userId, UserEntry entry, Guid? former)
    {
        if (index.Options is not { MaxSessionsPerUser: not null, LimitBehavior: SessionLimitBehavior.RejectNew }
            || (await index.EnterNewAsync(userId, entry, former).ConfigureAwait(false)).Outcome != EnterOutcome.Full)
        {
            return;
        }

        // Full; but are they all alive?
        await index.HealAsync(userId).ConfigureAwait(false);
        if ((await index.EnterNewAsync(userId, entry, former).ConfigureAwait(false)).Outcome == EnterOutcome.Full)
        {
            throw LimitReached(entry.Id, userId);
        }
    }

    private SessionLimitReachedException LimitReached(Guid id, string userId)
    {
        var limit = index.Options.MaxSessionsPerUser!.Value;
        AddOns.LimitReached(id, userId, limit);
        return new SessionLimitReachedException(limit);
    }
}
