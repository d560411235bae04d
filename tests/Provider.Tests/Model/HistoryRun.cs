using System.Globalization;

namespace RedisSessions.Tests.Model;

/// <summary>Takes one history on a fleet and in the model at once, and compares them after every step.</summary>
internal sealed class HistoryRun(ModelFleet fleet, bool countsVersions, bool listsKeys)
{
    private static readonly TimeSpan SlidingLimit = TimeSpan.FromSeconds(10);

    private readonly ModelStore _store = fleet.NewStore();
    private readonly OpenRequest?[] _requests = new OpenRequest?[3];
    private readonly List<string?>[] _cookies = [[null], [null]];
    private readonly HashSet<Guid> _ids = [];
    private SessionModel _model = new() { Now = fleet.Clock.GetUtcNow() };
    private Dictionary<Guid, SessionSeen> _seen = [];
    private long _value = 100;

    /// <returns>Where they differ; null if they agree.</returns>
    public async Task<string?> TakeAsync(IReadOnlyList<Step> history)
    {
        var number = 0;
        try
        {
            foreach (var step in history)
            {
                number++;
                await TakeAsync(step);
            }

            number++;
            await EndAllAsync(Enumerable.Range(0, _requests.Length));
            return await UnknownAsync();
        }
        catch (DifferenceException difference)
        {
            return $"step {number}: {difference.Message}";
        }
        catch (Exception exception)
        {
            return $"step {number}: {exception}";
        }
        finally
        {
            await LetGoAsync();
        }
    }

    private async Task TakeAsync(Step step)
    {
        if (step.Act == Act.Begin && _requests[step.Request] is not null)
        {
            await TakeAsync(new Step(Act.End, step.Request, 0));
        }

        if (step.Act is Act.Advance or Act.Failover)
        {
            await EndAllAsync(_model.Moving.ToArray());
        }

        if (!_model.CanTake(step))
        {
            return;
        }

        // No two moments are the same.
        Pass(TimeSpan.FromMilliseconds(1));
        _value++;
        var request = _requests[step.Request];
        var facts = step switch
        {
            { Act: Act.Begin } => await BeginAsync(step),
            { IsOfRequest: true } => await TakeOfRequestAsync(step, request!),
            _ => await TakeOfWorldAsync(step),
        };

        List<(Step, Facts)> taken = [(step, facts)];
        if (facts.LostReply && step.Act is not (Act.Begin or Act.End))
        {
            // What it does not know now is settled before anybody looks: until then more than one state agrees.
            var end = new Step(Act.End, step.Request, 0);
            taken.Add((end, await TakeOfRequestAsync(end, request!)));
        }

        await CompareAsync(taken);
    }

    private async Task<Facts> BeginAsync(Step step)
    {
        var cookies = _cookies[step.Browser];
        var cookie = cookies[Math.Max(0, cookies.Count - 1 - step.CookieAge)];
        var facts = new Facts();
        var server = fleet.Servers[step.Server];
        await LosingAsync(server, step, facts, async () =>
        {
            var request = await OpenRequest.BeginAsync(server, step.Browser, cookie);
            _requests[step.Request] = request;
            if (!step.Blocks)
            {
                facts.Error = await Record.ExceptionAsync(() => request.Session.LoadAsync());
            }

            facts.IsAvailable = request.Session.IsAvailable;
        });
        facts.Id = IdOf(_requests[step.Request]!);
        if (facts.Error is not null && !facts.LostReply)
        {
            throw new DifferenceException($"the load throws {facts.Error}");
        }

        _model.Begin(step.Request, cookie is null ? null : fleet.IdOf(cookie), facts);
        return facts;
    }

    private async Task<Facts> TakeOfRequestAsync(Step step, OpenRequest request)
    {
        var facts = new Facts();
        var before = _cookies[request.Browser][^1];
        var hadStarted = request.HasStarted;
        await LosingAsync(request.Server, step, facts, async () =>
        {
            facts.Error = await Record.ExceptionAsync(() => DoAsync(step, request, facts));
        });
        facts.Id = IdOf(request);
        if (!hadStarted && step.Act is Act.Start or Act.End)
        {
            facts.Error ??= request.Failure;
            facts.Cookie = Receive(request, before);
        }

        if (step.Act == Act.End)
        {
            _requests[step.Request] = null;
        }

        return facts;
    }

    private async Task DoAsync(Step step, OpenRequest request, Facts facts)
    {
        var session = request.Session;
        var value = Bytes(_value);
        switch (step.Act)
        {
            case Act.Set:
                session.Set(step.Field, value);
                break;
            case Act.SetAtStart:
                // Without a cookie SessionMiddleware's own callback, which sends it, has run by then.
                var isOutermost = step.Number >= Step.Fields.Count;
                if (!isOutermost || request.HasCookie)
                {
                    request.AtStart(() => request.Session.Set(step.Field, value), isOutermost);
                }

                break;
            case Act.Remove:
                session.Remove(step.Field);
                break;
            case Act.Clear:
                session.Clear();
                break;
            case Act.SetIdle:
                session.SetIdleTimeout(step.Idle);
                break;
            case Act.Increment:
                facts.Sum = await session.IncrementAsync(step.Field);
                break;
            case Act.Regenerate:
                await session.RegenerateIdAsync();
                break;
            case Act.Destroy:
                await session.DestroyAsync();
                break;
            case Act.Commit:
                await session.CommitAsync();
                break;
            case Act.Start:
                await request.StartAsync();
                break;
            case Act.ExecuteAgain or Act.Throw:
                await request.ExecuteAgainAsync(step.Act == Act.Throw);
                break;
            case Act.End:
                await request.EndAsync();
                break;
        }
    }

    private static async Task LosingAsync(ModelServer server, Step step, Facts facts, Func<Task> action)
    {
        var lost = server.Lost;
        server.LoseReply(step.LostReply);
        await action();
        server.LoseReply(0);
        facts.LostReply = server.Lost != lost;
        if (facts.LostReply)
        {
            await server.ReconnectAsync();
        }
    }

    private CookieSeen Receive(OpenRequest request, string? before)
    {
        var cookies = _cookies[request.Browser];
        var received = ModelFleet.CookieOf(request.Headers);
        var named = before is null ? (Guid?)null : fleet.IdOf(before);
        if (received is null)
        {
            return new CookieSeen(named, CookieKind.Kept, default);
        }

        cookies.Add(received.Length == 0 ? null : received);
        if (received.Length == 0)
        {
            return new CookieSeen(named, CookieKind.Expired, default);
        }

        var id = fleet.IdOf(received);
        _ids.Add(id);
        return new CookieSeen(named, CookieKind.Replaced, id);
    }

    private async Task<Facts> TakeOfWorldAsync(Step step)
    {
        switch (step.Act)
        {
            case Act.Expire:
                await _store.DeleteAsync(_model.Expirable[step.Number % _model.Expirable.Count]);
                break;
            case Act.Advance:
                await _store.AgeAsync(_seen.Values, step.Span);
                Pass(step.Span);
                break;
            case Act.Mark:
                await _store.MarkAsync(_seen.Values, _model.Now);
                break;
            case Act.Failover:
                await _store.FailOverAsync(_seen.Keys, _model.Now);
                break;
        }

        return new Facts();
    }

    private void Pass(TimeSpan time)
    {
        fleet.Clock.Advance(time);
        _model.Now += time;
    }

    private async Task CompareAsync(IReadOnlyList<(Step Step, Facts Facts)> taken)
    {
        if (countsVersions)
        {
            await _store.CountVersionsAsync((await _store.ReadAsync(_ids)).Values);
        }

        if (taken.Any(pair => !pair.Step.IsInMemory))
        {
            _seen = await _store.ReadAsync(_ids);
        }

        var before = _model;
        var choices = new Choices();
        DifferenceException? first = null;
        do
        {
            _model = before.Clone();
            try
            {
                foreach (var (step, facts) in taken)
                {
                    if (step.Act != Act.Begin)
                    {
                        _model.Take(step, _value, facts, choices);
                    }
                }

                _model.CompareStore(_seen);
                await SlideAsync();
                _model.CompareTimes(_seen);
                first = null;
                break;
            }
            catch (DifferenceException difference)
            {
                first ??= difference;
            }
        }
        while (choices.Next());

        if (first is not null)
        {
            throw first;
        }

        _model.Adopt(_seen);
        CompareViews();
    }

    private async Task SlideAsync()
    {
        var limit = System.Diagnostics.Stopwatch.StartNew();
        while (_model.IsSlidingDue(_seen) && limit.Elapsed < SlidingLimit)
        {
            await Task.Delay(1);
            _seen = await _store.ReadAsync(_ids);
            _model.CompareStore(_seen);
        }
    }

    /// <summary>What a request of a session that is gone still reads is nobody's promise; it stores nothing.</summary>
    private void CompareViews()
    {
        for (var i = 0; i < _requests.Length; i++)
        {
            if (_requests[i] is { } request && _model.Request(i) is { State: not SessionState.Gone, IsHurt: false } expected)
            {
                var (seen, view) = (SessionModel.Text(Read(request.Session)), SessionModel.Text(expected.View));
                if (seen != view)
                {
                    throw new DifferenceException($"r{i} reads {seen}, should read {view}");
                }
            }
        }
    }

    /// <summary>All keys that it lists, and all that it answers to: the two must agree.</summary>
    private static Dictionary<string, string> Read(ISession session)
    {
        var fields = session.Keys.ToDictionary(key => key, _ => "listed without a value");
        foreach (var name in Step.Fields)
        {
            if (session.TryGetValue(name, out var value))
            {
                fields[name] = fields.ContainsKey(name) ? System.Text.Encoding.UTF8.GetString(value) : "not listed";
            }
        }

        return fields;
    }

    private Guid? IdOf(OpenRequest request)
    {
        try
        {
            if (!Guid.TryParse(request.Session.Id, out var id))
            {
                return null;
            }

            _ids.Add(id);
            return id;
        }
        catch (ObjectDisposedException)
        {
            // After its end a request need not know.
            return null;
        }
    }

    private static byte[] Bytes(long value) => System.Text.Encoding.UTF8.GetBytes(value.ToString(CultureInfo.InvariantCulture));

    private async Task EndAllAsync(IEnumerable<int> requests)
    {
        foreach (var number in requests)
        {
            if (_requests[number] is not null)
            {
                await TakeAsync(new Step(Act.End, number, 0));
            }
        }
    }

    /// <summary>Whether something was stored under an id that no request and no browser ever had.</summary>
    private async Task<string?> UnknownAsync()
    {
        Guid[] unknown = listsKeys ? [.. (await _store.ListAsync()).Except(_ids)] : [];
        _ids.UnionWith(unknown);
        return unknown.Length == 0 ? null : $"there are sessions under ids that nobody was told: {string.Join(", ", unknown)}";
    }

    private async Task LetGoAsync()
    {
        foreach (var request in _requests)
        {
            if (request is not null)
            {
                await Record.ExceptionAsync(request.EndAsync);
            }
        }

        if (_ids.Count > 0)
        {
            await _store.DeleteAsync(_ids);
        }
    }
}
