namespace RedisSessions.Sessions;

/// <summary>
/// Requests of one server that want the same turn stand in line, first come, first served, and only the foremost asks Redis: the turn passes from one to the next
/// without anybody having to look for it, and however many wait, a server asks for one.
/// </summary>
internal sealed class TurnLine(TimeProvider clock, int most)
{
    // Only what somebody is in front of has an entry.
    private readonly Dictionary<string, LinkedList<TaskCompletionSource>> _waiting = new(StringComparer.Ordinal);

    /// <summary>Waits until the caller is the foremost. Then, and only then, it has to <see cref="Leave"/>.</summary>
    /// <exception cref="TimeoutException">That took longer, or would: too many wait already.</exception>
    public Task EnterAsync(string key, TimeSpan wait, CancellationToken cancellationToken)
    {
        LinkedListNode<TaskCompletionSource> place;
        lock (_waiting)
        {
            if (!_waiting.TryGetValue(key, out var line))
            {
                _waiting.Add(key, []);
                return Task.CompletedTask;
            }

            if (line.Count >= most)
            {
                return Task.FromException(new TimeoutException("Too many requests wait for this session already."));
            }

            place = line.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        return AwaitAsync();

        async Task AwaitAsync()
        {
            try
            {
                await place.Value.Task.WaitAsync(wait, clock, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                if (!TryGiveUp(place))
                {
                    // It was its turn just then.
                    Leave(key);
                }

                throw;
            }
        }
    }

    public void Leave(string key)
    {
        lock (_waiting)
        {
            var line = _waiting[key];
            if (line.First is { } next)
            {
                line.RemoveFirst();
                next.Value.SetResult();
            }
            else
            {
                _waiting.Remove(key);
            }
        }
    }

    private bool TryGiveUp(LinkedListNode<TaskCompletionSource> place)
    {
        lock (_waiting)
        {
            if (place.List is not { } line)
            {
                return false;
            }

            line.Remove(place);
            return true;
        }
    }
}
