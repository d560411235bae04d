using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// Lets what failed wait until it may be sent again: while Redis restarts, a lost connection is made anew, or another master takes over.
/// <para>
/// The bound counts from when the trouble began, not from each request: a Redis that stays away costs the requests of the first moment a wait,
/// and those that come later none. The trouble is over when something that was sent again is answered, or when nothing has failed for a while.
/// </para>
/// <para>Nothing of this is asked, allocated or timed as long as nothing fails: whoever fails finds it by the connection.</para>
/// </summary>
internal sealed class Failover
{
    // All who wait look at the same time: when a connection comes back, and as often as this, for not every end of a trouble is an event.
    private const int Tick = 50;

    // Without a failure for so long, the next one begins another trouble.
    private const long Quiet = 1_000;

    // Several where hosts of one process share the application's connection.
    private static readonly ConditionalWeakTable<IConnectionMultiplexer, List<Failover>> All = [];

    private readonly RedisConnection _connection;
    private readonly long _bound;
    private readonly Lock _lock = new();
    private long _began;
    private long _lastFailure;
    private TaskCompletionSource? _next;

    // Where there never was a connection nothing broke that might mend at once.
    private volatile bool _wasConnected;

    /// <param name="connection">Where to send again.</param>
    /// <param name="bound">For how long after a trouble began; zero never.</param>
    public Failover(RedisConnection connection, TimeSpan bound)
    {
        _connection = connection;
        _bound = (long)bound.TotalMilliseconds;
    }

    /// <summary>Of the connection that something was sent on; null where nothing waits.</summary>
    public static Failover? Of(IDatabaseAsync database)
    {
        if (database is not IDatabase || !All.TryGetValue(database.Multiplexer, out var those))
        {
            return null;
        }

        lock (those)
        {
            return those is [.., { _wasConnected: true } last] ? last : null;
        }
    }

    /// <summary>For what failed on that connection; null where nothing waits.</summary>
    public static Retry? RetryOf(IDatabaseAsync database) => Of(database) is { } failover ? new Retry(failover) : null;

    /// <summary>What is sent over this one waits here from now on.</summary>
    public void Add(IConnectionMultiplexer multiplexer)
    {
        if (_bound > 0)
        {
            _wasConnected |= multiplexer.IsConnected;
            multiplexer.ConnectionRestored += OnRestored;
            var those = All.GetOrCreateValue(multiplexer);
            lock (those)
            {
                those.Add(this);
            }
        }
    }

    public void Remove(IConnectionMultiplexer multiplexer)
    {
        multiplexer.ConnectionRestored -= OnRestored;
        if (All.TryGetValue(multiplexer, out var those))
        {
            lock (those)
            {
                those.Remove(this);
            }
        }
    }

    /// <summary>Whether a connection that is down now may still come back in time for who waits.</summary>
    public bool MayPass() => _wasConnected && Environment.TickCount64 < Limit(0);

    /// <summary>Something that was sent again was answered.</summary>
    public void Recovered()
    {
        lock (_lock)
        {
            _lastFailure = 0;
        }
    }

    /// <summary>Waits until sending again is worth it.</summary>
    /// <param name="failure">What failed.</param>
    /// <param name="since">When it failed for the first time, in <see cref="Environment.TickCount64"/>.</param>
    /// <returns>Where to send it; null if the time is over.</returns>
    public async Task<IDatabase?> WaitAsync(Exception failure, long since)
    {
        // One that was waited for in vain was sent long ago.
        var waited = failure is RedisTimeoutException ? (long)_connection.ReplyTimeout.TotalMilliseconds : 0;
        var limit = Math.Min(Limit(waited), since - waited + _bound);
        _connection.Suspect(failure);
        while (Environment.TickCount64 < limit)
        {
            await NextAsync().ConfigureAwait(false);
            if (_connection.Database is not { } database)
            {
                _connection.Begin();
            }
            else if (database.Multiplexer.IsConnected)
            {
                return database;
            }
        }

        return null;
    }

    /// <summary>Does what may be done twice, until it succeeds or the time is over.</summary>
    public static async Task<T> RepeatAsync<T>(RedisConnection connection, Func<IDatabase, Task<T>> operation)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var sent = SendAsync(database, operation);
        return await (Of(database) is { } failover ? failover.EndAsync(sent, operation, MayRepeat) : sent).ConfigureAwait(false);
    }

    /// <summary>Whether that may pass, for what may be done twice.</summary>
    public static bool MayRepeat(Exception exception) => RedisAway.IsRefusedForNow(exception) || RedisAway.LeavesOutcomeUnknown(exception);

    /// <summary>The reply to what was sent, or sent again until it comes or the time is over.</summary>
    /// <param name="sent">What was sent.</param>
    /// <param name="again">Sends it again.</param>
    /// <param name="may">After which failures.</param>
    public async Task<T> EndAsync<T>(Task<T> sent, Func<IDatabase, Task<T>> again, Func<Exception, bool> may)
    {
        long since = 0;
        while (true)
        {
            Exception failure;
            try
            {
                var result = await sent.ConfigureAwait(false);
                if (since > 0)
                {
                    Recovered();
                }

                return result;
            }
            catch (Exception exception) when (may(exception))
            {
                failure = exception;
            }

            since = since == 0 ? Environment.TickCount64 : since;
            if (await WaitAsync(failure, since).ConfigureAwait(false) is not { } database)
            {
                ExceptionDispatchInfo.Throw(failure);
                throw failure;
            }

            sent = SendAsync(database, again);
        }
    }

    // The client throws at once where its connection was disposed of.
    private static async Task<T> SendAsync<T>(IDatabase database, Func<IDatabase, Task<T>> operation) => await operation(database).ConfigureAwait(false);

    /// <summary>Notes a failure.</summary>
    /// <returns>When the trouble that it belongs to has lasted too long.</returns>
    private long Limit(long ago)
    {
        lock (_lock)
        {
            var now = Environment.TickCount64;
            if (now - _lastFailure > _bound + Quiet)
            {
                _began = now - ago;
            }

            _lastFailure = now;
            return _began + _bound;
        }
    }

    private Task NextAsync()
    {
        lock (_lock)
        {
            if (_next is null)
            {
                var next = _next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _ = Task.Delay(Tick).ContinueWith((_, failover) => ((Failover)failover!).End(next), this, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }

            return _next.Task;
        }
    }

    private void End(TaskCompletionSource? which)
    {
        TaskCompletionSource? ended = null;
        lock (_lock)
        {
            if (which is null || ReferenceEquals(_next, which))
            {
                (ended, _next) = (_next, null);
            }
        }

        ended?.TrySetResult();
    }

    private void OnRestored(object? sender, ConnectionFailedEventArgs e)
    {
        _wasConnected = true;
        End(null);
    }

    /// <summary>There is another connection.</summary>
    public void Signal() => End(null);

    /// <summary>One operation that failed for a moment, for a caller that may not be able to await.</summary>
    internal sealed class Retry(Failover failover)
    {
        private readonly long _since = Environment.TickCount64;
        private Exception? _failure;

        /// <summary>Until it may be sent again; null while it is on its way.</summary>
        public Task<IDatabase?>? Pending { get; private set; }

        /// <summary>Whether it is not sent again any more.</summary>
        public bool IsOver { get; private set; }

        public void Wait(Exception failure)
        {
            _failure = failure;
            Pending = failover.WaitAsync(failure, _since);
        }

        /// <summary>Where to send it now.</summary>
        /// <exception cref="Exception">The time is over: what failed.</exception>
        public IDatabase TakeDatabase()
        {
            var database = Pending!.GetAwaiter().GetResult();
            if (database is null)
            {
                // It stays pending: whoever asks once more meets the same.
                IsOver = true;
                ExceptionDispatchInfo.Throw(_failure!);
            }

            Pending = null;
            return database;
        }

        public void Recovered() => failover.Recovered();
    }
}
