using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// Finds out whether what Redis acknowledged is on its replicas. WAIT holds up its connection, so it has one of its own, and it tells of what that connection wrote last: so a small key is
/// written there first. Replicas take what a server writes in its order, so whoever has that key has everything that the server acknowledged before, to whomever. One question thus answers for all
/// who wait, and while one is under way, the next ones gather for another.
/// <para>
/// That is only so at one and the same server, which has not begun anew in between. So the connection must be the one that there was before the change was sent, as its number says (CLIENT ID), from the first
/// command of the question to the last, and the changes must have gone where it goes. Where that is not sure, nothing is.
/// </para>
/// </summary>
/// <param name="shared">The connection of the changes.</param>
/// <param name="own">The one that waits.</param>
/// <param name="prefix">Of keys.</param>
/// <param name="replicas">How many.</param>
/// <param name="onDisk">Whether on disk, too.</param>
/// <param name="timeout">For how long.</param>
internal sealed class ReplicaWaiter(RedisConnection shared, RedisConnection own, string prefix, int replicas, bool onDisk, TimeSpan timeout) : IDisposable, IAsyncDisposable
{
    // The answer to a question that waited in vain is a little later than that.
    private static readonly TimeSpan Late = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<(IConnectionMultiplexer, EndPoint), Line> _lines = new();

    public int Replicas => replicas;

    public bool IsOnDisk => onDisk;

    public TimeSpan Timeout => timeout;

    private string Command => onDisk ? "WAITAOF" : "WAIT";

    private object[] Arguments(int wanted, long milliseconds) => onDisk ? [1, wanted, milliseconds] : [wanted, milliseconds];

    /// <summary>Connects, and finds out whether the server can tell. One that is away is asked later.</summary>
    /// <exception cref="NotSupportedException">It cannot, or not as it is set up.</exception>
    public async Task RequireAsync(CancellationToken cancellationToken)
    {
        try
        {
            var database = await own.GetDatabaseAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
            foreach (var server in database.Multiplexer.GetServers())
            {
                if (server is { IsConnected: true, IsReplica: false })
                {
                    await server.ExecuteAsync(Command, Arguments(0, 1)).WaitAsync(cancellationToken).ConfigureAwait(false);
                }
            }
        }
        catch (RedisServerException exception) when (!RedisAway.IsRefusedForNow(exception))
        {
            throw new NotSupportedException(
                $"RedisSessionOptions.WaitForReplicas is on, and the server, or this user of it, does not do {Command} (\"{exception.Message}\"). Use a Redis or Valkey that does, or wait for nothing.", exception);
        }
        catch (Exception exception) when (RedisAway.Explains(exception) && !cancellationToken.IsCancellationRequested)
        {
            // Whoever waits is told.
        }
    }

    /// <summary>To be called before a change is sent: what is known of the servers then. Does not fail; what is not known now cannot be found out later.</summary>
    public async ValueTask<Scope> BeginAsync()
    {
        var scope = new Scope(this);
        try
        {
            var database = own.Database ?? await own.GetDatabaseAsync().AsTask().WaitAsync(timeout).ConfigureAwait(false);
            foreach (var server in database.Multiplexer.GetServers())
            {
                if (server is { IsConnected: true, IsReplica: false })
                {
                    var line = _lines.GetOrAdd((database.Multiplexer, server.EndPoint), static (_, server) => new Line(server), server);
                    scope.Add(server.EndPoint, line, await line.ConnectionAsync().WaitAsync(timeout).ConfigureAwait(false));
                }
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            scope.Failure = exception;
        }

        return scope;
    }

    private IConnectionMultiplexer? Changes => shared.Database?.Multiplexer;

    /// <summary>Which server has the key now.</summary>
    private EndPoint? ServerOf(string key)
    {
        if (Changes is not { } multiplexer)
        {
            return null;
        }

        if (multiplexer.GetEndPoints() is [var single])
        {
            return single;
        }

        EndPoint? master = null;
        foreach (var server in multiplexer.GetServers())
        {
            if (server.ServerType == ServerType.Cluster && server.ClusterConfiguration?.GetBySlot(key)?.EndPoint is { } owner)
            {
                return owner;
            }

            master ??= server is { IsConnected: true, IsReplica: false } ? server.EndPoint : null;
        }

        return master;
    }

    public void Dispose() => own.Dispose();

    public ValueTask DisposeAsync() => own.DisposeAsync();

    /// <summary>Changes under way.</summary>
    internal sealed class Scope(ReplicaWaiter waiter)
    {
        // Behind Sentinels, another master has another.
        private readonly IConnectionMultiplexer? _changesGo = waiter.Changes;
        private readonly Dictionary<EndPoint, (Line Line, long Connection)> _known = [];
        private readonly Dictionary<EndPoint, string> _touched = [];
        private bool _isAstray;

        public Exception? Failure { get; set; }

        public void Add(EndPoint server, Line line, long connection) => _known[server] = (line, connection);

        /// <summary>A key of this name was changed. The braces are in it.</summary>
        public void Touch(string key)
        {
            if (ReferenceEquals(_changesGo, waiter.Changes) && waiter.ServerOf(key) is { } server && _known.ContainsKey(server))
            {
                _touched.TryAdd(server, key);
            }
            else
            {
                _isAstray = true;
            }
        }

        /// <summary>Waits for what was changed.</summary>
        public async Task<ReplicaAnswer> EndAsync()
        {
            if (_isAstray || Failure is not null)
            {
                return new ReplicaAnswer(IsReached: false, 0, Failure);
            }

            var asked = new List<(Task<Line.Answer> Answer, long Connection, string Key)>(_touched.Count);
            foreach (var (server, key) in _touched)
            {
                var (line, connection) = _known[server];
                asked.Add((line.AskAsync(waiter, key), connection, key));
            }

            var (isReached, fewest) = (true, int.MaxValue);
            Exception? failure = null;
            foreach (var (task, connection, key) in asked)
            {
                try
                {
                    var answer = await task.WaitAsync(waiter.Timeout + Late).ConfigureAwait(false);
                    failure ??= answer.Failure;

                    // And the key has not found another server meanwhile.
                    var isSame = answer.Connection == connection && waiter.ServerOf(key) is { } now && _touched.TryGetValue(now, out _);
                    fewest = Math.Min(fewest, isSame ? answer.Replicas : 0);
                    isReached &= isSame && answer.IsReached;
                }
                catch (TimeoutException exception)
                {
                    (isReached, fewest, failure) = (false, 0, failure ?? exception);
                }
            }

            return new ReplicaAnswer(isReached, asked.Count == 0 ? 0 : fewest, isReached ? null : failure);
        }
    }

    /// <summary>Those who wait at one server.</summary>
    internal sealed class Line(IServer server)
    {
        private readonly Lock _lock = new();
        private TaskCompletionSource<Answer>? _next;
        private string _key = "";
        private bool _isAsking;
        private long _connection;

        /// <summary>The number of the connection; asked for once.</summary>
        public Task<long> ConnectionAsync() => Volatile.Read(ref _connection) is not 0 and var known ? Task.FromResult(known) : LearnAsync();

        private async Task<long> LearnAsync()
        {
            var number = (long)await server.ExecuteAsync("CLIENT", "ID").ConfigureAwait(false);
            Volatile.Write(ref _connection, number);
            return number;
        }

        /// <summary>Asks, or is answered with the others by the next question.</summary>
        public Task<Answer> AskAsync(ReplicaWaiter waiter, string key)
        {
            TaskCompletionSource<Answer> mine;
            lock (_lock)
            {
                mine = _next ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
                _key = key;
                if (_isAsking)
                {
                    return mine.Task;
                }

                _isAsking = true;
            }

            _ = AskAllAsync(waiter);
            return mine.Task;
        }

        [SuppressMessage("Design", "CA1031", Justification = "Who waits is answered, whatever went wrong.")]
        private async Task AskAllAsync(ReplicaWaiter waiter)
        {
            while (true)
            {
                TaskCompletionSource<Answer> batch;
                string key;
                lock (_lock)
                {
                    if (_next is null)
                    {
                        _isAsking = false;
                        return;
                    }

                    (batch, key, _next) = (_next, _key, null);
                }

                try
                {
                    batch.SetResult(await AskOnceAsync(waiter, key).ConfigureAwait(false));
                }
                catch (Exception exception)
                {
                    Volatile.Write(ref _connection, 0);
                    batch.SetResult(new Answer(0, false, 0, exception));
                }
            }
        }

        private async Task<Answer> AskOnceAsync(ReplicaWaiter waiter, string key)
        {
            var milliseconds = Math.Max(1, (long)waiter.Timeout.TotalMilliseconds);

            // In the slot of a key that was changed, so that it is this server's.
            RedisKey mark = waiter.MarkPrefix + (key.IndexOf('{', StringComparison.Ordinal) is >= 0 and var brace ? key[brace..] : $"{{{key}}}");
            var before = server.ExecuteAsync("CLIENT", "ID");
            var marked = server.ExecuteAsync("SET", mark, "", "PX", 1000);
            var waited = server.ExecuteAsync(waiter.Command, waiter.Arguments(waiter.Replicas, milliseconds));
            var after = server.ExecuteAsync("CLIENT", "ID");
            before.Observe();
            marked.Observe();
            waited.Observe();
            var number = (long)await after.ConfigureAwait(false);
            await marked.ConfigureAwait(false);
            var reply = await waited.ConfigureAwait(false);
            if ((long)await before.ConfigureAwait(false) != number)
            {
                number = 0;
            }

            Volatile.Write(ref _connection, number);
            var (local, replicas) = waiter.IsOnDisk ? ((int)reply[0], (int)reply[1]) : (1, (int)reply);
            return new Answer(number, local > 0 && replicas >= waiter.Replicas, replicas, null);
        }

        /// <param name="Connection">Over which one; 0 where that is not sure.</param>
        /// <param name="IsReached">Whether as many as were asked for have it.</param>
        /// <param name="Replicas">How many have it.</param>
        /// <param name="Failure">Why nobody knows.</param>
        internal readonly record struct Answer(long Connection, bool IsReached, int Replicas, Exception? Failure);
    }

    private string MarkPrefix => prefix + "wait:";
}

/// <param name="IsReached">Whether as many replicas as were asked for have what was changed.</param>
/// <param name="Replicas">How many have it, as far as is known.</param>
/// <param name="Failure">Why nobody knows; null where Redis answered.</param>
internal readonly record struct ReplicaAnswer(bool IsReached, int Replicas, Exception? Failure);
