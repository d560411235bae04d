namespace RedisSessions.Tests.Model;

/// <summary>What may happen next in a history.</summary>
internal enum Act
{
    Begin,
    Set,
    SetAtStart,
    Remove,
    Clear,
    SetIdle,
    Increment,
    Regenerate,
    Destroy,
    Commit,
    Start,
    ExecuteAgain,
    Throw,
    End,
    Expire,
    Advance,
    Mark,
    Failover,
}

/// <summary>
/// One step of a history. A step that cannot be taken where it stands (its request is not open, its response has started)
/// is passed over, so that a history with steps taken out is a history still, and a failing one can be made small.
/// </summary>
/// <param name="Act">What happens.</param>
/// <param name="Request">Which of the three open requests does it.</param>
/// <param name="Number">Which field, session or span of time.</param>
internal sealed record Step(Act Act, int Request, int Number)
{
    private static readonly string[] FieldNames = ["a", "b", "@c"];

    /// <summary>Idle timeouts that a session may be given; the fleet's own is between them.</summary>
    public static readonly TimeSpan[] IdleTimeouts = [TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(40)];

    /// <summary>Less than the precision of sliding, more than it, most of an idle timeout, more than one.</summary>
    public static readonly TimeSpan[] Spans = [TimeSpan.FromSeconds(21), TimeSpan.FromSeconds(97), TimeSpan.FromSeconds(911), TimeSpan.FromMinutes(22)];

    public static IReadOnlyList<string> Fields => FieldNames;

    /// <summary>Which server a beginning request reaches.</summary>
    public int Server { get; init; }

    /// <summary>Whose request it is.</summary>
    public int Browser { get; init; }

    /// <summary>0: with the cookie that the browser holds now; else with one that it held that many cookies ago.</summary>
    public int CookieAge { get; init; }

    /// <summary>Whether the request reads synchronously first.</summary>
    public bool Blocks { get; init; }

    /// <summary>0, or which reply within this step is lost, and the connection with it, after Redis did its part.</summary>
    public int LostReply { get; init; }

    public string Field => FieldNames[Number % FieldNames.Length];

    public TimeSpan Idle => IdleTimeouts[Number % IdleTimeouts.Length];

    public TimeSpan Span => Spans[Number % Spans.Length];

    /// <summary>Whether it is a step of a request rather than of the world around.</summary>
    public bool IsOfRequest => Act < Act.Expire;

    /// <summary>Whether it has no business with Redis; if it had all the same, the next step that has would show it.</summary>
    public bool IsInMemory => Act is Act.Set or Act.SetAtStart or Act.Remove or Act.Clear or Act.SetIdle;

    public override string ToString()
    {
        var who = $"r{Request} ";
        var text = Act switch
        {
            Act.Begin => $"{who}begins on server {"AB"[Server]}, browser {Browser}{(CookieAge == 0 ? "" : $", cookie {CookieAge} ago")}{(Blocks ? ", blocking" : "")}",
            Act.Set => $"{who}sets {Field}",
            Act.SetAtStart => $"{who}will set {Field} when its response starts{(Number < Fields.Count ? "" : ", after the session's own callback")}",
            Act.Remove => $"{who}removes {Field}",
            Act.SetIdle => $"{who}sets idle timeout {Idle}",
            Act.Increment => $"{who}increments {Field}",
            Act.ExecuteAgain => $"{who}is executed again (status code)",
            Act.Throw => $"{who}is executed again (exception)",
            Act.Expire => $"session #{Number} expires",
            Act.Advance => $"{Span} pass",
            Act.Mark => "replica is in step",
            Act.Failover => "failover to what the replica had",
            _ => who + Act.ToString().ToLowerInvariant(),
        };
        return LostReply == 0 ? text : $"{text} (reply {LostReply} lost)";
    }
}
