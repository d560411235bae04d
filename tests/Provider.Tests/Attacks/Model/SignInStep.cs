namespace RedisSessions.Tests.Attacks.Model;

/// <summary>What may happen next in a history of sign-ins.</summary>
internal enum SignInAct
{
    See,
    Write,
    SignIn,
    SignOut,
    Regenerate,
    Refresh,
    ChangePassword,
    RevokeOne,
    RevokeAll,
    RevokeOthers,
    RevokeEveryone,
    Pass,
}

/// <summary>What befalls a request on its way.</summary>
internal enum Trouble
{
    None,

    /// <summary>Redis is slow just while the ticket is validated, and quick again when the page runs.</summary>
    SlowValidation,

    /// <summary>Redis is slow for the whole request; what was sent arrives after it.</summary>
    SlowRequest,

    /// <summary>A reply is lost, and the connection with it.</summary>
    LostReply,

    /// <summary>The request is held before one of its commands while something happens on the other server.</summary>
    Held,
}

/// <summary>One step of a history.</summary>
/// <param name="Act">What happens.</param>
/// <param name="Who">Which honest browser does it; <see cref="Replay"/> for somebody with copied cookies.</param>
/// <param name="Number">Which user, session or span of time.</param>
internal sealed record SignInStep(SignInAct Act, int Who, int Number)
{
    public const int Replay = -1;

    /// <summary>Half a minute, two heartbeats, more than an idle timeout, more than half a ticket's life, more than all of it.</summary>
    public static readonly TimeSpan[] Spans =
        [TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(25), TimeSpan.FromDays(8), TimeSpan.FromDays(15)];

    public int Server { get; init; }

    /// <summary>A replay's ticket: from the pair of so many steps of cookies ago; -1 for none.</summary>
    public int TicketAge { get; init; }

    /// <summary>A replay's session cookie, likewise.</summary>
    public int SessionAge { get; init; }

    /// <summary>Whether a replay comes from a browser of another family.</summary>
    public bool IsOtherAgent { get; init; }

    /// <summary>Whether a sign-in is to be remembered, as docs/users.md says.</summary>
    public bool IsRemembered { get; init; }

    public Trouble Trouble { get; init; }

    /// <summary>How many commands pass before one is held, or which reply is lost.</summary>
    public int At { get; init; }

    /// <summary>What happens while the request is held.</summary>
    public SignInAct Meanwhile { get; init; }

    public bool IsReplay => Who == Replay;

    public bool IsRequest => Act < SignInAct.RevokeOne;

    public TimeSpan Span => Spans[Number % Spans.Length];

    public override string ToString()
    {
        var text = Act switch
        {
            SignInAct.SignIn => $"signs in as user {Number % 2}{(IsRemembered ? ", remembered" : "")}",
            SignInAct.Pass => $"{Span} pass",
            _ => $"{Act}",
        };
        if (!IsRequest)
        {
            return Act == SignInAct.Pass ? text : $"administrator on server {"AB"[Server]}: {text} ({Number})";
        }

        var who = IsReplay
            ? $"replay of ticket {TicketAge} ago, session cookie {SessionAge} ago{(IsOtherAgent ? ", in another browser" : "")}"
            : $"browser {Who}";
        var trouble = Trouble switch
        {
            Trouble.None => "",
            Trouble.Held => $", held before command {At + 1} while {Meanwhile} ({Number})",
            Trouble.LostReply => $", reply {At + 1} lost",
            _ => $", {Trouble}",
        };
        return $"{who} on server {"AB"[Server]}: {text}{trouble}";
    }

    public IEnumerable<SignInStep> Plainer() => new[]
    {
        this with { Trouble = Trouble.None, At = 0, Meanwhile = default },
        this with { At = 0 },
        this with { IsOtherAgent = false },
        this with { IsRemembered = false },
        this with { Server = 0 },
        this with { Number = 0 },
        this with { Act = IsRequest ? SignInAct.See : Act },
        this with { TicketAge = 0, SessionAge = 0 },
    }.Where(step => step != this);
}
