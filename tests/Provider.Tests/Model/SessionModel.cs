namespace RedisSessions.Tests.Model;

/// <summary>
/// What the contract (docs/semantics.md) says of a session, in memory and without any of the means: no versions, no copies,
/// no scripts. A request sees what it loaded under what it changed. A commit applies the changes to the session that was
/// loaded, if that still is there. A regeneration is written by the commit and complete when the response starts.
/// <para>
/// Where a reply was lost, or where the contract leaves two orders open, it follows <see cref="Choices"/>.
/// </para>
/// </summary>
internal sealed partial class SessionModel
{
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(20);

    private Dictionary<Guid, StoredSession> _store = [];
    private Dictionary<Guid, StoredSession>? _replica;
    private RequestModel?[] _requests = new RequestModel?[3];
    private int _incarnations;
    private Choices _choices = new();
    private Facts _facts = new();
    private bool _lenient;

    public IReadOnlyDictionary<Guid, StoredSession> Store => _store;

    public DateTimeOffset Now { get; set; }

    public bool HasReplica => _replica is not null;

    public RequestModel? Request(int number) => _requests[number];

    public SessionModel Clone() => new()
    {
        Now = Now,
        _store = Copy(_store),
        _replica = _replica,
        _requests = [.. _requests.Select(request => request?.Clone())],
        _incarnations = _incarnations,
    };

    /// <summary>Whether the step can be taken now, and has one meaning.</summary>
    public bool CanTake(Step step)
    {
        if (!step.IsOfRequest)
        {
            return step.Act switch { Act.Expire => Expirable.Count > 0, Act.Failover => HasReplica, _ => true };
        }

        return _requests[step.Request] is { } request ? step.Act switch
        {
            Act.Regenerate => request is { State: not SessionState.Unavailable, Move: not { IsWritten: true }, HasMoved: false },
            Act.Increment or Act.Destroy => request.State != SessionState.Unavailable,
            Act.SetAtStart or Act.Start => !request.HasStarted,
            Act.ExecuteAgain => request is { HasStarted: false, State: not SessionState.Unavailable, WasExecutedAgain: false, WasThrown: false },
            Act.Throw => request is { HasStarted: false, State: not SessionState.Unavailable, WasThrown: false },
            _ => true,
        } : step.Act == Act.Begin;
    }

    /// <summary>Sessions in the order of their creation, but those whose id nobody was told yet.</summary>
    public IReadOnlyList<Guid> Expirable =>
        [.. _store.Where(pair => !_requests.Any(request => request is { Move.IsWritten: true } && request.Id == pair.Key))
            .OrderBy(pair => pair.Value.Incarnation).Select(pair => pair.Key)];

    /// <summary>Requests between the two halves of a regeneration: a failover there leaves the contract's ground.</summary>
    public IEnumerable<int> Moving => Enumerable.Range(0, _requests.Length).Where(number => _requests[number]?.Move is { IsWritten: true });

    /// <summary>Follows one step of the real servers.</summary>
    /// <exception cref="DifferenceException">This choice does not agree with what was seen.</exception>
    public void Take(Step step, long value, Facts facts, Choices choices)
    {
        (_choices, _facts) = (choices, facts);
        if (step.Act == Act.Begin)
        {
            throw new ArgumentException("A request begins with Begin.", nameof(step));
        }

        if (!step.IsOfRequest)
        {
            TakeOfWorld(step);
            return;
        }

        var request = _requests[step.Request]!;
        request.IsHurt |= facts.LostReply;
        _lenient = request.IsHurt;
        TakeOf(request, step, value);
        if (step.Act == Act.End)
        {
            _requests[step.Request] = null;
        }
    }

    public void Begin(int number, Guid? cookie, Facts facts)
    {
        var request = new RequestModel { CameWithCookie = cookie is not null, HasOwnKey = cookie is null, Id = cookie };
        _requests[number] = request;
        if (!facts.IsAvailable)
        {
            Agree(facts.LostReply, "the session is unavailable");
            request.State = SessionState.Unavailable;
        }

        if (cookie is { } id && _store.TryGetValue(id, out var stored))
        {
            _store[id] = stored with { Touch = facts.LostReply ? Touch.LostLoad : Touch.Load };
            if (request.State != SessionState.Unavailable)
            {
                (request.State, request.Incarnation, request.Base, request.BaseIdle) = (SessionState.Loaded, stored.Incarnation, new(stored.Fields), stored.OwnIdle);
            }
        }
        else if (cookie is not null && request.State != SessionState.Unavailable)
        {
            request.State = SessionState.Absent;
        }

        Agree(cookie is null || request.State == SessionState.Unavailable || facts.Id == cookie, $"the session's id is {facts.Id}, not {cookie}");
    }

    /// <summary>Takes over what was seen of time: the model knows bounds only.</summary>
    public void Adopt(IReadOnlyDictionary<Guid, SessionSeen> seen)
    {
        foreach (var (id, session) in seen)
        {
            var stored = _store[id];
            _store[id] = stored with
            {
                Touch = Touch.None,
                Deadline = Now + session.TimeToLive,
                IsTakenBack = stored.IsTakenBack && (stored.Touch != Touch.Write || session.TimeToLive < IdleOf(stored) - Drift),
                MaySlideYet = stored.Touch is Touch.Load or Touch.LostLoad || (stored.MaySlideYet && stored.Touch == Touch.None),
            };
        }
    }

    private void TakeOfWorld(Step step)
    {
        switch (step.Act)
        {
            case Act.Expire:
                _store.Remove(Expirable[step.Number % Expirable.Count]);
                break;
            case Act.Advance:
                _store = _store.Where(pair => pair.Value.Deadline > Now).ToDictionary();
                break;
            case Act.Mark:
                _replica = Copy(_store);
                break;
            case Act.Failover:
                _store = _replica!.Where(pair => pair.Value.Deadline > Now)
                    .ToDictionary(pair => pair.Key, pair => pair.Value with { Fields = new(pair.Value.Fields), IsTakenBack = true });
                break;
        }
    }

    private static Dictionary<Guid, StoredSession> Copy(Dictionary<Guid, StoredSession> store) =>
        store.ToDictionary(pair => pair.Key, pair => pair.Value with { Fields = new(pair.Value.Fields) });

    private static void Agree(bool agrees, string otherwise)
    {
        if (!agrees)
        {
            throw new DifferenceException(otherwise);
        }
    }
}
