namespace RedisSessions.Tests.Model;

// What a request does.
internal sealed partial class SessionModel
{
    private void TakeOf(RequestModel request, Step step, long value)
    {
        var fails = false;
        switch (step.Act)
        {
            case Act.Set:
                fails = !Set(request, step.Field, value);
                break;
            case Act.SetAtStart:
                request.AtStart.Add((step.Field, value, step.Number >= Step.Fields.Count));
                break;
            case Act.Remove when request.View.ContainsKey(step.Field):
                request.Changes.Fields[step.Field] = null;
                break;
            case Act.Clear when request.State != SessionState.Unavailable:
                request.Changes.Clear();
                break;
            case Act.SetIdle when request.State != SessionState.Unavailable:
                request.Changes.Idle = step.Idle;
                break;
            case Act.Increment:
                fails = !Increment(request, step.Field);
                break;
            case Act.Regenerate:
                fails = !Regenerate(request);
                break;
            case Act.Destroy:
                Destroy(request);
                break;
            case Act.Commit or Act.ExecuteAgain or Act.Throw:
                request.WasExecutedAgain |= step.Act == Act.ExecuteAgain;
                request.WasThrown |= step.Act == Act.Throw;
                Commit(request);
                break;
            case Act.Start:
                Respond(request);
                break;
            case Act.End:
                Commit(request);
                if (!request.HasStarted)
                {
                    Respond(request);
                }

                break;
        }

        Agree(_lenient || fails == (_facts.Error is not null), fails ? "it should throw" : $"it throws {_facts.Error}");
    }

    private bool Set(RequestModel request, string field, long value)
    {
        if (request.State == SessionState.Unavailable)
        {
            return true;
        }

        if (!Establish(request))
        {
            return false;
        }

        request.Changes.Fields[field] = value;
        return true;
    }

    /// <returns>False if the key's cookie cannot be sent any more.</returns>
    private bool Establish(RequestModel request)
    {
        if (request.HasOwnKey && !request.IsEstablished)
        {
            if (request.HasStarted)
            {
                return false;
            }

            request.IsEstablished = true;
        }

        if (request.Id is null)
        {
            UseNewId(request);
        }

        return true;
    }

    private void UseNewId(RequestModel request)
    {
        var id = _facts.Id ?? _facts.Cookie?.Id;
        Agree(id is not null && !request.Former.Contains(id.Value) && !_store.ContainsKey(id.Value), $"the id {id} is not a new one");
        request.Id = id;
    }

    private bool Increment(RequestModel request, string field)
    {
        if (request.State == SessionState.Gone || !Establish(request))
        {
            return false;
        }

        Commit(request);
        if (request.State == SessionState.Gone)
        {
            return false;
        }

        if (IsLost())
        {
            return true;
        }

        if (request.State is SessionState.New or SessionState.Absent)
        {
            Create(request);
            if (IsLost())
            {
                // Created, and not yet added to.
                return true;
            }
        }

        var stored = Loaded(request);
        if (stored is null)
        {
            request.State = SessionState.Gone;
            return false;
        }

        var sum = stored.Fields.GetValueOrDefault(field) + 1;
        stored.Fields[field] = sum;
        _store[request.Id!.Value] = stored with { Touch = Touch.Write };
        request.Base[field] = sum;
        if (request.Move is { } move)
        {
            move.Own.Fields[field] = sum;
            move.Increments[field] = move.Increments.GetValueOrDefault(field) + 1;
        }

        Agree(_lenient || _facts.Sum == sum, $"the sum is {_facts.Sum}, not {sum}");
        return true;
    }

    private bool Regenerate(RequestModel request)
    {
        if (request.HasOwnKey || request.State == SessionState.Gone)
        {
            return true;
        }

        if (request.HasStarted)
        {
            return false;
        }

        if (request.State == SessionState.Absent)
        {
            // What is set from here on, or was before, gets a key that did not come from outside.
            request.Former.Add(request.Id!.Value);
            (request.State, request.Id, request.HasOwnKey) = (SessionState.New, null, true);
            if (request.Changes.Sets)
            {
                Establish(request);
            }

            return true;
        }

        if (_facts.Id == request.Id && request.Move is null && Loaded(request) is null)
        {
            // Whether it is noticed now or by the commit that the session is gone, nothing will be stored.
            request.State = SessionState.Gone;
            return true;
        }

        // Twice before the commit: there may be one more id or not, nobody sees the difference.
        request.Move ??= new Move { OldId = request.Id!.Value, OldIncarnation = request.Incarnation };
        if (request.Id == request.Move.OldId || _facts.Id != request.Id)
        {
            request.Former.Add(request.Id!.Value);
            UseNewId(request);
        }

        return true;
    }

    private void Destroy(RequestModel request)
    {
        if (_lenient && _choices.Pick(2) == 1)
        {
            return;
        }

        if (request.Id is { } id)
        {
            Remove(id, isOwn: Loaded(request) is not null && request.State == SessionState.Loaded);
            request.Former.Add(id);
        }

        if (request.Move is { } move)
        {
            Remove(move.OldId, isOwn: OldOf(move) is not null);
        }

        request.ExpiresCookie |= request.CameWithCookie && !request.HasStarted;
        (request.State, request.Id, request.HasOwnKey, request.IsEstablished) = (SessionState.New, null, true, false);
        (request.Base, request.Changes, request.Move, request.HasMoved) = ([], new(), null, false);
    }

    /// <summary>Whether a session that others began under the id since goes, too, is nobody's promise.</summary>
    private void Remove(Guid id, bool isOwn)
    {
        if (_store.ContainsKey(id) && ((isOwn && !_lenient) || _choices.Pick(2) == 0))
        {
            _store.Remove(id);
        }
    }

    private void Respond(RequestModel request)
    {
        var before = _facts.Cookie?.Before;
        var wasAlive = before is { } named && _store.ContainsKey(named);
        // The last registered runs first, and what was registered before the session's own callback after all others.
        foreach (var (field, value, isOutermost) in request.AtStart.AsEnumerable().Reverse().OrderBy(set => set.Outermost).ToList())
        {
            if (!isOutermost || request.CameWithCookie)
            {
                Set(request, field, value);
            }
        }

        Commit(request, isResponding: true);
        if (request.Move is { IsWritten: true } move)
        {
            CompleteMove(request, move);
        }

        CheckCookie(request, _facts.Cookie!, wasAlive);
        request.HasStarted = true;
    }

    private void CheckCookie(RequestModel request, CookieSeen cookie, bool wasAlive)
    {
        var isReplaced = cookie.Kind == CookieKind.Replaced;
        if (_lenient)
        {
            var isAlive = isReplaced ? _store.ContainsKey(cookie.Id) : cookie.Kind == CookieKind.Kept && cookie.Before is { } kept && _store.ContainsKey(kept);
            // A request that came without a cookie tells of the session that it began, whatever another got meanwhile.
            Agree(isAlive || !wasAlive || !request.CameWithCookie || request.Former.Contains(cookie.Before!.Value), "after a lost reply the browser's cookie names no session");
            return;
        }

        var named = isReplaced && cookie.Id == request.Id;
        // One that a failover brought back after it was found gone is nobody's.
        var isStored = request.State != SessionState.Gone && request.Id is { } id && _store.ContainsKey(id);
        var agrees = request switch
        {
            { HasMoved: true } => named,
            { HasOwnKey: true, IsEstablished: true } when isStored => named,
            { HasOwnKey: true, IsEstablished: true, ExpiresCookie: true } => named || cookie.Kind == CookieKind.Expired,
            { HasOwnKey: true, IsEstablished: true } => named || cookie.Kind == CookieKind.Kept,
            { ExpiresCookie: true } => cookie.Kind == CookieKind.Expired || cookie.Before is null,
            _ => cookie.Kind == CookieKind.Kept,
        };
        Agree(agrees, $"the response's cookie is {cookie}, the session {request.Id} in state {request.State}");
    }
}
