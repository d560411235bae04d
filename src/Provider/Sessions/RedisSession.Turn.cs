using Microsoft.AspNetCore.Http.Features;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

// Where an endpoint asks for it, the request takes its turn among those of its session. What was loaded before is then loaded once more, unless the turn's
// own reply says that nothing has changed; and what is committed names the turn, and is refused once another request has had one.
internal sealed partial class RedisSession
{
    /// <summary>Waits for the turn, and has it until the request is over. One that has it already goes on, as when its pipeline is executed again.</summary>
    public async Task<TurnOutcome> TakeTurnAsync(TimeSpan wait, TimeSpan lease, CancellationToken cancellationToken)
    {
        if (_turn is { } present)
        {
            present.GoOn();
            return TurnOutcome.Taken;
        }

        var session = _move?.From ?? _identity;
        if (session.IsNew || _state.Kind is SessionStateKind.Gone or SessionStateKind.InMemory)
        {
            // Of a session that nobody else can know there is one request.
            return TurnOutcome.Taken;
        }

        try
        {
            if (await _store.Turns.TakeAsync(session, _store.Keys.Turn(session.Id), wait, lease, cancellationToken).ConfigureAwait(false) is not { } turn)
            {
                return TurnOutcome.TimedOut;
            }

            _turn = turn;
            _context?.Response.OnCompleted(static turn => ((SessionTurn)turn).EndAsync(), turn);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            _store.Logger.TurnNotTaken(session.Id, exception);
            return TurnOutcome.WithoutRedis;
        }

        // What is on its way to another id stays as it is: what others have changed under the old one is carried over.
        return _move is null ? await LoadAfreshAsync(_turn.Version).ConfigureAwait(false) : TurnOutcome.Taken;
    }

    /// <summary>The endpoint threw: unless a response still has to go out, nothing more is to come.</summary>
    public void FailTurn()
    {
        if (_turn is not null)
        {
            _turn.HasFailed = true;
        }
    }

    /// <summary>The turn that changes of the session under its present id are made in.</summary>
    private TurnFence? Fence => FenceOf(_identity);

    private TurnFence? FenceOf(SessionIdentity identity) => _turn is { } turn && turn.Fence.Key == _store.Keys.Turn(identity.Id) ? turn.Fence : null;

    private async Task<TurnOutcome> LoadAfreshAsync(long version)
    {
        if (_state.Load is { IsSent: true, Failure: null })
        {
            // It was sent before, but may have been answered since.
            await PreloadAsync().ConfigureAwait(false);
        }

        var before = _state.Stored;
        var isFresh = _state.Kind switch
        {
            SessionStateKind.Loaded => before!.Version == version && version != SessionSnapshot.NoVersion && _store.Former is not { IsStillUsed: true },
            SessionStateKind.Absent => version == SessionSnapshot.NoVersion && _store.Former is null,
            SessionStateKind.Loading => false,
            _ => true,
        };
        if (isFresh)
        {
            return TurnOutcome.Taken;
        }

        _lost = null;
        var load = new SessionLoad(this, _identity);
        load.Send();
        _state = SessionState.Loading(load);
        await PreloadAsync().ConfigureAwait(false);
        if (_state.Load is { Failure: { } failure } && RedisAway.Explains(failure))
        {
            _store.Logger.TurnNotTaken(_identity.Id, failure);
            return TurnOutcome.WithoutRedis;
        }

        return before is null || _store.AddOns.MayGoOn(this, before) ? TurnOutcome.Taken : TurnOutcome.SignInEnded;
    }

    /// <summary>
    /// SessionMiddleware has committed. The turn is given back, unless the response is yet to start and may bring changes: then that is, when it has
    /// gone out. Not every server says so after an exception, so the lease is renewed no more.
    /// </summary>
    private void EndTurn()
    {
        if (_turn is not { } turn)
        {
            return;
        }

        try
        {
            if (!IsOfThisRequest || _context!.Features.Get<ISessionFeature>() is not null)
            {
                return;
            }

            if (!_context.Response.HasStarted && !(turn.HasFailed && _move is null))
            {
                turn.StopRenewing();
                return;
            }
        }
        catch (ObjectDisposedException)
        {
            // The request is over.
        }

        _turn = null;
        turn.GiveBack();
    }
}
