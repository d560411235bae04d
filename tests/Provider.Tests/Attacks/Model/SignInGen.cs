using CsCheck;

namespace RedisSessions.Tests.Attacks.Model;

/// <summary>Random histories of three browsers, two users, an administrator and somebody with copied cookies.</summary>
internal static class SignInGen
{
    private const int MaxSteps = 24;
    private const int MostCommands = 12;

    private static readonly Gen<SignInAct> Acts = Gen.Frequency(
        (12, SignInAct.See), (8, SignInAct.Write), (14, SignInAct.SignIn), (6, SignInAct.SignOut), (6, SignInAct.Regenerate), (5, SignInAct.Refresh),
        (3, SignInAct.ChangePassword), (4, SignInAct.RevokeOne), (3, SignInAct.RevokeAll), (2, SignInAct.RevokeOthers), (1, SignInAct.RevokeEveryone), (6, SignInAct.Pass));

    private static readonly Gen<SignInAct> Meanwhile = Gen.Frequency(
        (3, SignInAct.RevokeOne), (4, SignInAct.RevokeAll), (1, SignInAct.RevokeEveryone), (3, SignInAct.SignOut), (1, SignInAct.Regenerate), (1, SignInAct.ChangePassword), (1, SignInAct.Write));

    // Nearly half of all requests are replays: of the latest pair, of an older one, of a mix of two.
    private static readonly Gen<(int Who, int TicketAge, int SessionAge)> Who = Gen.Select(
        Gen.Frequency((8, 0), (4, 1), (2, 2), (9, SignInStep.Replay)), Gen.Int[-1, 12], Gen.Int[-1, 12], Gen.Int[0, 2])
        .Select(static (who, ticket, session, mixes) => (who, ticket, mixes == 0 ? session : ticket));

    private static readonly Gen<Trouble> Troubles = Gen.Frequency(
        (780, Trouble.None), (40, Trouble.SlowValidation), (20, Trouble.SlowRequest), (120, Trouble.Held), (40, Trouble.LostReply));

    /// <summary>Some requests overlap with what others do, and some lose a reply, which costs a new connection.</summary>
    public static Gen<SignInStep[]> All { get; } = Histories();

    private static Gen<SignInStep[]> Histories()
    {
        var how = Gen.Select(Troubles, Gen.Int[0, MostCommands - 1], Meanwhile);
        var step = Gen.Select(Acts, Who, Gen.Int[0, 59], Gen.Int[0, 1], Gen.Int[0, 7], how).Select(static (act, who, number, server, rest, how) =>
        {
            var step = new SignInStep(act, who.Who, number)
            {
                Server = server,
                TicketAge = who.TicketAge,
                SessionAge = who.SessionAge,
                IsOtherAgent = who.Who == SignInStep.Replay && rest == 0,
                IsRemembered = act == SignInAct.SignIn && rest > 4,
            };
            return step.IsRequest ? step with { Trouble = how.Item1, At = how.Item1 == Trouble.LostReply ? how.Item2 / 2 : how.Item2, Meanwhile = how.Item3 } : step;
        });
        return step.Array[1, MaxSteps];
    }
}
