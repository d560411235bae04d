using RedisSessions.Redis;

namespace RedisSessions.Sessions;

/// <summary>SessionOptions.IOTimeout, for one operation with all its steps.</summary>
/// <param name="timeout">For how long.</param>
/// <param name="clock">Whose time it is.</param>
/// <param name="clientTimeout">After which the client gives up by itself.</param>
/// <param name="began">Since when, as a timestamp of the clock.</param>
internal readonly struct IODeadline(TimeSpan timeout, TimeProvider clock, TimeSpan clientTimeout, long began)
{
    // As long as a thread can be told to wait.
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(int.MaxValue);

    private TimeSpan Left => (timeout - clock.GetElapsedTime(began)) switch
    {
        var left when left <= TimeSpan.Zero => TimeSpan.Zero,
        var left when left > Longest => Longest,
        var left => left,
    };

    /// <summary>
    /// The task, given up when the time is over or the token is cancelled. The client gives up by itself after its own timeout,
    /// to within its own precision, so a much longer one needs no timer here; with the defaults a request creates none.
    /// </summary>
    /// <remarks>Of a task that is given up nobody hears any more: for the client's own tasks, which expect that.</remarks>
    /// <exception cref="TimeoutException">The time is over.</exception>
    public Task Limit(Task pending, CancellationToken cancellationToken)
    {
        if (pending.IsCompleted)
        {
            return pending;
        }

        var left = timeout == Timeout.InfiniteTimeSpan ? timeout : Left;
        var needsTimer = left != Timeout.InfiniteTimeSpan && (clientTimeout <= TimeSpan.Zero || left / 2 < clientTimeout);
        return !needsTimer && !cancellationToken.CanBeCanceled
            ? pending
            : pending.WaitAsync(needsTimer ? left : Timeout.InfiniteTimeSpan, clock, cancellationToken);
    }

    /// <summary>As <see cref="Limit"/>. A task that is given up fails without anybody being told.</summary>
    public Task WaitAsync(Task pending, CancellationToken cancellationToken)
    {
        var limited = Limit(pending, cancellationToken);
        return ReferenceEquals(limited, pending) ? pending : EndAsync(limited, pending);
    }

    /// <summary>As <see cref="WaitAsync(Task, CancellationToken)"/>.</summary>
    public Task<T> WaitAsync<T>(Task<T> pending, CancellationToken cancellationToken)
    {
        var limited = Limit(pending, cancellationToken);
        return ReferenceEquals(limited, pending) ? pending : ResultAsync(limited, pending);
    }

    private static async Task<T> ResultAsync<T>(Task limited, Task<T> pending)
    {
        await EndAsync(limited, pending).ConfigureAwait(false);
        return await pending.ConfigureAwait(false);
    }

    private static async Task EndAsync(Task limited, Task pending)
    {
        try
        {
            await limited.ConfigureAwait(false);
        }
        catch when (!pending.IsCompleted)
        {
            pending.Observe();
            throw;
        }
    }

    /// <summary>Waits on the calling thread, until the task has ended in whichever way.</summary>
    /// <exception cref="TimeoutException">The time is over.</exception>
    public void Wait(Task pending, string otherwise)
    {
        try
        {
            if (!pending.Wait(timeout == Timeout.InfiniteTimeSpan ? timeout : Left))
            {
                throw new TimeoutException(otherwise);
            }
        }
        catch (AggregateException)
        {
            // Whoever ends the operation meets the failure itself.
        }
    }
}
