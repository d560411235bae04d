using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace MvcSample.Models;

/// <summary>
/// The second step of a sign-in: a code in the session of whoever gave the right password. It has a life of its own, much shorter than
/// the session's, and a few tries, which are counted on the server so that guesses at the same time all count.
/// </summary>
public static class SignInCode
{
    public static readonly TimeSpan Life = TimeSpan.FromMinutes(2);
    private const int MostTries = 5;
    private const string User = "code:user";
    private const string Code = "code:value";
    private const string Until = "code:until";
    private const string Tries = "code:tries";

    /// <summary>Begins the second step. A real site sends the code to the user; this one shows it.</summary>
    public static void Begin(ISession session, string user, DateTimeOffset now)
    {
        session.SetString(User, user);
        session.SetString(Code, RandomNumberGenerator.GetInt32(1_000_000).ToString("000000", CultureInfo.InvariantCulture));
        session.SetString(Until, (now + Life).ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture));
        session.Remove(Tries);
    }

    /// <summary>The code that is waited for, for the demo to show; null if there is none, or its time is over.</summary>
    public static string? Pending(ISession session, DateTimeOffset now) => IsPending(session, now) ? session.GetString(Code) : null;

    /// <summary>Who has signed in with both steps; null for a wrong code, too late or too often.</summary>
    public static async Task<string?> RedeemAsync(ISession session, string? code, DateTimeOffset now)
    {
        if (!IsPending(session, now) || await session.IncrementAsync(Tries) > MostTries)
        {
            End(session);
            return null;
        }

        var expected = Encoding.UTF8.GetBytes(session.GetString(Code)!);
        if (!CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(code?.Trim() ?? "")))
        {
            return null;
        }

        // Of two requests with the right code one signs in.
        var user = await session.TakeStringAsync(Code) is null ? null : session.GetString(User);
        End(session);
        return user;
    }

    private static bool IsPending(ISession session, DateTimeOffset now) =>
        session.GetString(Code) is not null
        && long.TryParse(session.GetString(Until), CultureInfo.InvariantCulture, out var until)
        && now.ToUnixTimeMilliseconds() < until;

    private static void End(ISession session)
    {
        foreach (var field in new[] { User, Code, Until, Tries })
        {
            session.Remove(field);
        }
    }
}
