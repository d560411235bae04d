using System.Globalization;
using Microsoft.AspNetCore.Authentication;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Users;

/// <summary>A persistent sign-in ("keep me signed in"): its session lives unused for as long as its ticket, and so does the session's cookie.</summary>
/// <param name="Life">How long the ticket lives from when it is issued, milliseconds.</param>
/// <param name="Ends">When the ticket at hand expires, Unix milliseconds.</param>
internal readonly record struct Persistence(long Life, long Ends)
{
    /// <returns>Null for a sign-in that is not persistent, or is over already.</returns>
    public static Persistence? Of(AuthenticationProperties properties, long now)
    {
        if (!properties.IsPersistent || properties.ExpiresUtc?.ToUnixTimeMilliseconds() is not { } ends || ends <= now)
        {
            return null;
        }

        // A ticket that is written again keeps its times: what is left of it is not its life.
        var issued = properties.IssuedUtc?.ToUnixTimeMilliseconds() is { } at && at < now ? at : now;
        return new(Ttl.Milliseconds(TimeSpan.FromMilliseconds(ends - issued)), ends);
    }
}

/// <summary>
/// What a session keeps of a persistent sign-in. The lifetime that was asked for is the session's own idle timeout; the cookie is sent
/// again when less than half of it is left, and whenever the ticket's is, so that a response that was lost parts neither from the other. The
/// absolute timeout bounds the hash in Redis, and the cookie as it is written.
/// </summary>
internal static class RememberedSession
{
    /// <summary>With the binding, whose metadata are stored at once.</summary>
    public static void Write(RedisSession session, Persistence? persistence)
    {
        if (persistence is { } asked)
        {
            session.SetMetadata(FieldNames.IdleTimeout, Text(asked.Life));
            session.SetMetadata(UserFields.PersistentLife, Text(asked.Life));
            session.SetMetadata(FieldNames.CookieEnds, Text(asked.Ends));
        }
        else if (session.GetMetadata(UserFields.PersistentLife) is { } life)
        {
            // The sign-in before was persistent, and this one is not. A timeout that the application set since stays.
            if (session.GetMetadata(FieldNames.IdleTimeout) == life)
            {
                session.SetMetadata(FieldNames.IdleTimeout, null);
            }

            session.SetMetadata(UserFields.PersistentLife, null);
            session.SetMetadata(FieldNames.CookieEnds, null);
        }
    }

    /// <summary>Sends the session's cookie again if it is time, or the ticket's cookie is sent again, too.</summary>
    public static void Renew(RedisSession session, SessionTimeouts timeouts, bool withTicket = false)
    {
        if (session.Stored is not { } stored
            || NumberOf(session, UserFields.PersistentLife) is not { } life
            || NumberOf(session, FieldNames.CookieEnds) is not { } known)
        {
            return;
        }

        var now = timeouts.Now;
        if (!withTicket && known - now >= life / 2)
        {
            return;
        }

        // Whoever has no ticket any more has no session; and where the ticket is not known, the session's own life counts.
        var latest = Math.Min(NumberOf(session, UserFields.TicketEnd) ?? SessionSnapshot.LatestTime, timeouts.EndOf(stored) ?? SessionSnapshot.LatestTime);
        var ends = Math.Min(now + life, latest);
        if ((ends > known || withTicket) && session.RenewCookie() && ends > known)
        {
            session.NoteMetadata(FieldNames.CookieEnds, Text(ends));
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static long? NumberOf(RedisSession session, string name) => SessionSnapshot.TimeOf(session.GetMetadata(name));
}
