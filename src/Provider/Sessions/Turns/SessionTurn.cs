using RedisSessions.Diagnostics;
using RedisSessions.Storage;

namespace RedisSessions.Sessions;

/// <summary>
/// A turn that a request has: its lease is renewed three times while it lasts, until the turn is given back. A server that is gone renews nothing, and its turn ends by
/// itself; one that only was too slow has lost its turn as soon as somebody else has had one, and finds that out with its next renewal or its commit, whichever comes first.
/// </summary>
internal sealed class SessionTurn
{
    private const int RenewalsInLease = 3;

    private readonly SessionTurns _turns;
    private readonly TimeSpan _lease;
    private readonly ITimer _timer;
    private long _renewedAt;
    private int _isInLine = 1;
    private volatile bool _isEnding;
    private volatile bool _isOver;

    public SessionTurn(SessionTurns turns, TurnFence fence, long version, TimeSpan lease)
    {
        (_turns, Fence, Version, _lease) = (turns, fence, version, lease);
        _renewedAt = turns.Clock.GetTimestamp();
        _timer = turns.Clock.CreateTimer(static turn => _ = ((SessionTurn)turn!).RenewAsync(), this, lease / RenewalsInLease, Timeout.InfiniteTimeSpan);
    }

    public TurnFence Fence { get; }

    /// <summary>The session's version when the turn began; <see cref="SessionSnapshot.NoVersion"/> without one.</summary>
    public long Version { get; }

    /// <summary>The request has failed: nothing more of it is to be waited for.</summary>
    public bool HasFailed { get; set; }

    /// <summary>The request is as good as over, and nobody can say when it will be: what is left of the lease is all that it gets.</summary>
    public void StopRenewing()
    {
        _isEnding = true;
        var left = _lease - _turns.Clock.GetElapsedTime(Volatile.Read(ref _renewedAt));
        _timer.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The request is not over after all: its pipeline is executed again.</summary>
    public void GoOn()
    {
        _isEnding = false;
        _timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>As <see cref="GiveBack"/>, for the response's end.</summary>
    public Task EndAsync()
    {
        GiveBack();
        return Task.CompletedTask;
    }

    public void GiveBack()
    {
        if (!_isOver)
        {
            _isOver = true;
            _timer.Dispose();
            _ = _turns.GiveBackAsync(Fence);

            // Sent behind that, so the next one finds the turn free.
            LeaveLine();
        }
    }

    private async Task RenewAsync()
    {
        if (_isEnding)
        {
            LeaveLine();
            return;
        }

        var sentAt = _turns.Clock.GetTimestamp();
        try
        {
            if (!await _turns.RenewAsync(Fence, _lease).ConfigureAwait(false))
            {
                if (!_isOver)
                {
                    _turns.Logger.TurnLost();
                }

                LeaveLine();
                return;
            }

            Volatile.Write(ref _renewedAt, sentAt);
        }
        catch (Exception exception)
        {
            _turns.Logger.TurnNotRenewed(exception);
            if (_turns.Clock.GetElapsedTime(Volatile.Read(ref _renewedAt)) >= _lease)
            {
                // Whoever is next on this server asks for itself from now on.
                LeaveLine();
            }
        }

        if (!_isOver && !_isEnding)
        {
            _timer.Change(_lease / RenewalsInLease, Timeout.InfiniteTimeSpan);
        }
    }

    private void LeaveLine()
    {
        if (Interlocked.Exchange(ref _isInLine, 0) == 1)
        {
            _turns.LeaveLine(Fence);
        }
    }
}
