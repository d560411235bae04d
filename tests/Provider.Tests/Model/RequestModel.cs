namespace RedisSessions.Tests.Model;

internal enum SessionState
{
    /// <summary>No cookie came, or the key is one of our own: nothing is stored yet.</summary>
    New,

    /// <summary>A cookie came, and there was no session.</summary>
    Absent,
    Loaded,

    /// <summary>It was there and is not any more: what the request does is not stored.</summary>
    Gone,

    /// <summary>The load failed.</summary>
    Unavailable,
}

/// <summary>One request: what it loaded, and what it changed since.</summary>
internal sealed class RequestModel
{
    public SessionState State { get; set; }

    /// <summary>The session's id; null while it is open which key a new session gets.</summary>
    public Guid? Id { get; set; }

    /// <summary>Which of the sessions that were stored under the id in turn.</summary>
    public int Incarnation { get; set; }

    /// <summary>What was loaded, and what this request committed since.</summary>
    public Dictionary<string, long> Base { get; set; } = [];

    /// <summary>The session's own idle timeout, as loaded or committed since.</summary>
    public TimeSpan? BaseIdle { get; set; }

    public Changes Changes { get; set; } = new();

    /// <summary>The key was made for this request: the browser does not know it before the response.</summary>
    public bool HasOwnKey { get; set; }

    /// <summary>Something was set under a key of our own, so that its cookie must go out.</summary>
    public bool IsEstablished { get; set; }

    public bool CameWithCookie { get; set; }

    /// <summary>Each of the two middlewares brings a request back once; the page that an exception brings it to is not to fail again.</summary>
    public bool WasExecutedAgain { get; set; }

    public bool WasThrown { get; set; }

    public bool ExpiresCookie { get; set; }

    public bool HasStarted { get; set; }

    /// <summary>A reply was lost within one of its steps: what the library then does not know is open.</summary>
    public bool IsHurt { get; set; }

    public Move? Move { get; set; }

    /// <summary>The move is complete: the response names the new id.</summary>
    public bool HasMoved { get; set; }

    /// <summary>What is set when the response starts, as registered; the last runs first.</summary>
    public List<(string Field, long Value, bool Outermost)> AtStart { get; private init; } = [];

    /// <summary>Ids that this request gave up, and may not use again.</summary>
    public HashSet<Guid> Former { get; private init; } = [];

    public Dictionary<string, long> View => State == SessionState.Unavailable ? [] : Changes.ApplyTo(Base);

    public RequestModel Clone() => new()
    {
        State = State,
        Id = Id,
        Incarnation = Incarnation,
        Base = new(Base),
        BaseIdle = BaseIdle,
        Changes = Changes.Clone(),
        HasOwnKey = HasOwnKey,
        IsEstablished = IsEstablished,
        CameWithCookie = CameWithCookie,
        WasExecutedAgain = WasExecutedAgain,
        WasThrown = WasThrown,
        ExpiresCookie = ExpiresCookie,
        HasStarted = HasStarted,
        IsHurt = IsHurt,
        Move = Move?.Clone(),
        HasMoved = HasMoved,
        AtStart = [.. AtStart],
        Former = [.. Former],
    };
}

/// <summary>A regeneration between its call and its response.</summary>
internal sealed class Move
{
    public required Guid OldId { get; init; }

    public required int OldIncarnation { get; init; }

    /// <summary>Whether the data is under the new id already: a commit came before the response.</summary>
    public bool IsWritten { get; set; }

    /// <summary>What the old session held then.</summary>
    public Dictionary<string, long> OldAtWrite { get; set; } = [];

    /// <summary>All that this request committed since: it wins over what others commit to the old session meanwhile.</summary>
    public Changes Own { get; private init; } = new();

    public Dictionary<string, long> Increments { get; private init; } = [];

    public Move Clone() => new()
    {
        OldId = OldId,
        OldIncarnation = OldIncarnation,
        IsWritten = IsWritten,
        OldAtWrite = new(OldAtWrite),
        Own = Own.Clone(),
        Increments = new(Increments),
    };
}
