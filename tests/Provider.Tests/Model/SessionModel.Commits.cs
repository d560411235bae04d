namespace RedisSessions.Tests.Model;

// What a commit does.
internal sealed partial class SessionModel
{
    private void Commit(RequestModel request, bool isResponding = false)
    {
        if (request.State is SessionState.Unavailable or SessionState.Gone)
        {
            request.Changes = new();
        }
        else if (request.Move is { IsWritten: false } move)
        {
            WriteMoved(request, move, isResponding);
        }
        else if (request.State is SessionState.New or SessionState.Absent)
        {
            if (request.Changes.Sets && !IsLost())
            {
                Create(request);
            }
        }
        else if (!request.Changes.IsEmpty && !IsLost())
        {
            Apply(request);
        }
    }

    /// <summary>Of a request that saw no session: another may have created it under this id since.</summary>
    private void Create(RequestModel request)
    {
        var id = request.Id!.Value;
        _store.TryGetValue(id, out var others);
        var setsOnly = false;
        if (others is not null && (request.Changes.Cleared || request.Changes.Fields.ContainsValue(null)))
        {
            // What a request that saw nothing cleared or removed may be nothing, or what is there now.
            setsOnly = _choices.Pick(2) == 0;
        }

        var incarnation = others?.Incarnation ?? ++_incarnations;
        _store[id] = new StoredSession(incarnation, request.Changes.ApplyTo(others?.Fields, setsOnly), request.Changes.Idle ?? others?.OwnIdle, Now) { Touch = Touch.Write };
        (request.Base, request.Changes) = (request.View, new());
        request.BaseIdle = _store[id].OwnIdle;
        (request.State, request.Incarnation) = (SessionState.Loaded, incarnation);
    }

    private void Apply(RequestModel request)
    {
        var changes = request.Changes;
        (request.Base, request.Changes) = (request.View, new());
        if (Loaded(request) is not { } stored)
        {
            // A session never comes back from the dead.
            request.State = SessionState.Gone;
            return;
        }

        _store[request.Id!.Value] = stored with { Fields = changes.ApplyTo(stored.Fields), OwnIdle = changes.Idle ?? stored.OwnIdle, Touch = Touch.Write };
        request.BaseIdle = changes.Idle ?? request.BaseIdle;
        if (request.Move is { } move)
        {
            foreach (var name in changes.Cleared ? move.Increments.Keys.ToArray() : [.. changes.Fields.Keys])
            {
                move.Increments.Remove(name);
            }

            move.Own.Add(changes);
        }
    }

    /// <summary>The first half of a regeneration: the data goes under the new id, the old session stays.</summary>
    private void WriteMoved(RequestModel request, Move move, bool isResponding)
    {
        if (OldOf(move) is not { } old)
        {
            if (IsLost())
            {
                // Written before it was found gone, and nobody's: it expires by itself.
                _store[request.Id!.Value] = new StoredSession(++_incarnations, request.View, request.Changes.Idle ?? request.BaseIdle, Now) { Touch = Touch.Write };
            }

            (request.State, request.Move, request.Changes) = (SessionState.Gone, null, new());
            return;
        }

        if (IsLost() || (!isResponding && request.Changes.IsEmpty && _choices.Pick(2) == 1))
        {
            // With nothing to store the move may wait for the response.
            return;
        }

        // What others committed since the load is carried over now or with the second half.
        var carriesNow = Same(old.Fields, request.Base) || _choices.Pick(2) == 0;
        var fields = request.Changes.ApplyTo(carriesNow ? old.Fields : request.Base);
        var idle = request.BaseIdle == old.OwnIdle || _choices.Pick(2) == 0 ? old.OwnIdle : request.BaseIdle;
        request.Incarnation = ++_incarnations;
        _store[request.Id!.Value] = new StoredSession(request.Incarnation, fields, request.Changes.Idle ?? idle, Now) { Touch = Touch.Write };
        (move.IsWritten, move.OldAtWrite) = (true, new(carriesNow ? old.Fields : request.Base));
        move.Own.Add(request.Changes);
        (request.Base, request.Changes) = (request.View, new());
    }

    /// <summary>The second half: the old session goes, and what others committed to it meanwhile is carried over.</summary>
    private void CompleteMove(RequestModel request, Move move)
    {
        var id = request.Id!.Value;
        if (OldOf(move) is not { } old)
        {
            if (!IsLost())
            {
                _store.Remove(id);
                (request.State, request.Move) = (SessionState.Gone, null);
            }

            return;
        }

        if (!_lenient || _choices.Pick(2) == 0)
        {
            _store[id] = _store[id] with { Fields = CarryOver(move, old), OwnIdle = move.Own.Idle ?? old.OwnIdle, Touch = Touch.Write };
        }

        if (!IsLost())
        {
            _store.Remove(move.OldId);
        }

        if (_lenient && _choices.Pick(2) == 1)
        {
            _store.Remove(id);
        }

        (request.HasMoved, request.Move) = (true, null);
        request.Former.Remove(move.OldId);
    }

    private Dictionary<string, long> CarryOver(Move move, StoredSession old)
    {
        var fields = move.Own.ApplyTo(old.Fields);
        if (Same(old.Fields, move.OldAtWrite))
        {
            return fields;
        }

        if (move.Own.Cleared && _choices.Pick(2) == 1)
        {
            // What others set after the clearing was committed is later than it.
            foreach (var (name, value) in old.Fields)
            {
                if (!move.Own.Fields.ContainsKey(name) && (!move.OldAtWrite.TryGetValue(name, out var before) || before != value))
                {
                    fields[name] = value;
                }
            }
        }

        foreach (var (name, by) in move.Increments)
        {
            // Own wins, or every increment counts.
            var apart = old.Fields.GetValueOrDefault(name) + by;
            if (apart != fields[name] && _choices.Pick(2) == 1)
            {
                fields[name] = apart;
            }
        }

        return fields;
    }

    private StoredSession? OldOf(Move move) =>
        _store.TryGetValue(move.OldId, out var old) && old.Incarnation == move.OldIncarnation ? old : null;

    private StoredSession? Loaded(RequestModel request) =>
        request.Id is { } id && _store.TryGetValue(id, out var stored) && stored.Incarnation == request.Incarnation ? stored : null;

    /// <summary>Whether a command of a request that lost a reply never reached Redis.</summary>
    private bool IsLost() => _lenient && _choices.Pick(2) == 1;

    private static bool Same(Dictionary<string, long> one, Dictionary<string, long> other) =>
        one.Count == other.Count && one.All(pair => other.TryGetValue(pair.Key, out var value) && value == pair.Value);
}
