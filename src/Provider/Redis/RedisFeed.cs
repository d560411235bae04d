using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// Hears what scripts publish on one channel, at every master, and knows until when it has heard all of it.
/// <para>
/// Pub/sub promises nothing, so the way is proved. A beat asks each master for the number of its connection (HELLO) over the connection
/// that the subscription is on: with RESP3 messages and replies come in one order, so behind that reply nothing that the master
/// published before it was asked is still to come. A message of this server's own (an echo), published by a script as changes are, proves that the
/// subscription is there, and with RESP2, where it has a connection of its own, that this one delivers. The subscription is one pattern that
/// matches the common channel and this server's own, so that an echo cannot come where a change would not. In a cluster every node
/// passes messages on, and only as many echoes as there are masters prove that each master's own connection delivered one.
/// </para>
/// <para>
/// What was heard without a gap is an epoch. Another connection, another set of masters, or a lost one begins the next: in between messages may
/// have been lost, and whatever relies on them is to be asked again.
/// </para>
/// </summary>
internal sealed class RedisFeed : IDisposable
{
    // In each beat's time four fit into the lag, so that one may be lost or late.
    private const int BeatsInLag = 4;

    // With RESP2 and on a lone server each beat has its echo; it is published as changes are, so it also says whether this user may do that.
    private const string Echo = "return redis.call('PUBLISH', ARGV[1], ARGV[2])";

    // From within a script, because the client sends CLUSTER itself only on a connection in admin mode.
    private const string ClusterNodes = "return redis.call('CLUSTER', 'NODES')";

    // The common channel's last part; every server's own has as many hexadecimal digits there.
    private const string Everybodys = "zzzzzzzzzzzzzzzz";

    private readonly RedisConnection _connection;
    private readonly TimeSpan _maxLag;
    private readonly TimeProvider _clock;
    private readonly RedisChannel _pattern;
    private readonly RedisChannel _own;
    private readonly Lock _reading = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private Action<RedisValue>? _heard;
    private Action<Exception?>? _report;
    private ChannelMessageQueue? _queue;
    private IConnectionMultiplexer? _watched;
    private EchoCount? _echoes;
    private volatile Proof? _proof;
    private long _epoch;
    private long _beat;
    private int _losses;
    private bool _isReported;

    /// <param name="connection">Where to listen.</param>
    /// <param name="name">What the channel is called; see <see cref="ChannelOf"/>.</param>
    /// <param name="maxLag">How old the latest proof may be.</param>
    /// <param name="clock">Times proofs.</param>
    public RedisFeed(RedisConnection connection, string name, TimeSpan maxLag, TimeProvider clock)
    {
        (_connection, _maxLag, _clock) = (connection, maxLag, clock);
        var digits = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(Everybodys.Length / 2));
        _own = RedisChannel.Literal(ChannelName(name, digits));
        _pattern = RedisChannel.KeySpacePattern(Escaped(name + ":") + string.Concat(digits.Select(static digit => $"[z{digit}]")), database: 0);
    }

    /// <summary>An epoch has begun: what was published before it may not have been heard. Must not throw.</summary>
    public event Action? EpochBegan;

    /// <summary>Where to publish what every feed of this name is to hear.</summary>
    public static string ChannelOf(string name) => ChannelName(name, Everybodys);

    /// <summary>The epoch, if all that was published until <c>MaxLag</c> ago has been heard; else 0.</summary>
    public long Epoch => _proof is { } proof && _clock.GetElapsedTime(proof.At) <= _maxLag ? proof.Epoch : 0;

    // Named as a notification about a key, because the client listens to those at every master, and to nothing else: no key has such a name,
    // so Redis publishes nothing there itself. One name for all databases, for a channel belongs to none.
    private static string ChannelName(string name, string end) => $"__keyspace@0__:{name}:{end}";

    private static string Escaped(string name)
    {
        var pattern = new StringBuilder(name.Length);
        foreach (var character in name)
        {
            if (character is '*' or '?' or '[' or ']' or '\\' or '^')
            {
                pattern.Append('\\');
            }

            pattern.Append(character);
        }

        return pattern.ToString();
    }

    /// <summary>Listens until it is told to stop.</summary>
    /// <param name="heard">Told each message, one after the other. Must not throw.</param>
    /// <param name="report">Told when it is proved that all is heard, with null, and when it is not any more, once, why. Must not throw.</param>
    /// <param name="stoppingToken">Ends it.</param>
    public async Task RunAsync(Action<RedisValue> heard, Action<Exception?> report, CancellationToken stoppingToken)
    {
        (_heard, _report) = (heard, report);
        _connection.Replaced += OnReplaced;
        while (!stoppingToken.IsCancellationRequested)
        {
            var beatsAtOnce = false;
            try
            {
                // One at a time: a beat whose connection hangs ends with the client's own timeout, and nothing is proved meanwhile.
                beatsAtOnce = await BeatAsync().WaitAsync(stoppingToken).ConfigureAwait(false) == BeatOutcome.Subscribed;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception)
            {
                Report(exception);
            }

            if (!beatsAtOnce)
            {
                await PauseAsync(stoppingToken).ConfigureAwait(false);
            }
        }

        _connection.Replaced -= OnReplaced;
        Lose();
        await UnsubscribeAsync().ConfigureAwait(false);
    }

    private void OnReplaced()
    {
        Lose();
        Wake();
    }

    private async Task PauseAsync(CancellationToken stoppingToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        await Task.WhenAny(Task.Delay(_maxLag / BeatsInLag, _clock, over.Token), _wake.WaitAsync(over.Token)).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
    }

    private async Task<BeatOutcome> BeatAsync()
    {
        var multiplexer = (await _connection.GetDatabaseAsync().ConfigureAwait(false)).Multiplexer;
        Watch(multiplexer);
        var isToMaster = _connection.IsToMasterAsync();
        if (_queue is null)
        {
            await SubscribeAsync(multiplexer).ConfigureAwait(false);
        }

        var (losses, sentAt, before) = (Volatile.Read(ref _losses), _clock.GetTimestamp(), _proof);
        var (masters, isCluster) = await FindMastersAsync(multiplexer).ConfigureAwait(false);
        var echoes = new EchoCount(++_beat, masters.Count, isCluster ? masters.Count : 1);
        lock (_reading)
        {
            _echoes = echoes;
        }

        var answers = await Task.WhenAll(masters.Select((master, i) => AskAsync(master, echoes.MessageOf(i), WantsEcho(master)))).ConfigureAwait(false);
        if (Array.Exists(answers, static answer => answer.Listeners == 0))
        {
            // The client does not subscribe again at a master that it lost and found, if it listens at several.
            await UnsubscribeAsync().ConfigureAwait(false);
            await SubscribeAsync(multiplexer).ConfigureAwait(false);
            return BeatOutcome.Subscribed;
        }

        Drain();
        for (var i = 0; i < answers.Length; i++)
        {
            if (answers[i].Listeners is not null)
            {
                await echoes.HeardAsync(i).WaitAsync(_maxLag, _clock).ConfigureAwait(false);
            }
        }

        // One that was frozen while another was promoted still calls itself a master.
        if (!await isToMaster.ConfigureAwait(false))
        {
            return BeatOutcome.Unproved;
        }

        bool goesOn;
        lock (_reading)
        {
            if (losses != _losses)
            {
                return BeatOutcome.Unproved;
            }

            var connections = masters.Select((master, i) => ((EndPoint?)master.EndPoint, answers[i].Connection)).ToHashSet();
            goesOn = _proof is { } last && last.Connections.SetEquals(connections);
            if (!goesOn && Array.Exists(answers, static answer => answer.Listeners is null))
            {
                // Whether the subscription is there, too, the next beat asks.
                _proof = null;
                return BeatOutcome.Unproved;
            }

            _proof = new Proof(goesOn ? _epoch : ++_epoch, sentAt, connections);
        }

        if (!goesOn)
        {
            EpochBegan?.Invoke();
        }

        if (before is null)
        {
            _isReported = false;
            _report?.Invoke(null);
        }

        return BeatOutcome.Proved;

        // A cluster's bus carries each message to every node, so there one a connection has to do.
        bool WantsEcho(IServer master) => !isCluster || master.Protocol < RedisProtocol.Resp3 || before is null;
    }

    private static async Task<(IReadOnlyList<IServer> Masters, bool IsCluster)> FindMastersAsync(IConnectionMultiplexer multiplexer)
    {
        var servers = multiplexer.GetServers();
        if (Array.Find(servers, static server => server is { IsConnected: true, ServerType: ServerType.Cluster, IsReplica: false }) is { } asked)
        {
            // The client calls a node master that it has not reached; the cluster knows.
            var nodes = (string?)await asked.ExecuteAsync("EVAL", [ClusterNodes, 0]).ConfigureAwait(false) ?? "";
            return ([.. MastersIn(nodes).Select(address => multiplexer.GetServer(address))], true);
        }

        IServer[] masters = [.. servers.Where(static server => server is { IsConnected: true, IsReplica: false } && server.ServerType != ServerType.Sentinel)];
        return masters.Length > 0 ? (masters, false) : throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, CommandFlags.None, "There is no connection to a master.");
    }

    /// <summary>Takes CLUSTER NODES apart: number, host:port@busport,hostname, flags, five more, and slots.</summary>
    private static IEnumerable<string> MastersIn(string nodes) => nodes
        .Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(static node => node.Split(' '))
        .Where(static node => node.Length > 8 && node[2].Split(',').Contains("master"))
        .Select(static node => node[1].Split('@')[0]);

    private async Task<Answer> AskAsync(IServer master, string echo, bool wantsEcho)
    {
        var first = HelloAsync(master);
        if (!wantsEcho)
        {
            return new Answer(await first.ConfigureAwait(false), null);
        }

        var published = master.ExecuteAsync("EVAL", [Echo, 0, (string)_own!, echo]);
        var second = HelloAsync(master);
        await Task.WhenAll(first, published, second).ConfigureAwait(false);
        return first.Result == second.Result
            ? new Answer(first.Result, (long)published.Result)
            : throw new RedisConnectionException(ConnectionFailureType.SocketClosed, CommandFlags.None, "The connection changed.");
    }

    /// <returns>The number of the connection.</returns>
    private static async Task<long> HelloAsync(IServer master)
    {
        var said = (await master.ExecuteAsync("HELLO").ConfigureAwait(false)).ToDictionary();
        return (string?)said["role"] is "master" or "primary"
            ? (long)said["id"]
            : throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, CommandFlags.None, "The server is no master any more.");
    }

    private void Watch(IConnectionMultiplexer multiplexer)
    {
        if (!ReferenceEquals(_watched, multiplexer))
        {
            // What was subscribed to over another one is not over this.
            Lose();
            lock (_reading)
            {
                _queue = null;
            }

            _watched = multiplexer;
            multiplexer.ConnectionFailed += (_, _) => Lose();
            multiplexer.ConnectionRestored += (_, _) => Wake();
        }
    }

    /// <summary>From here on nothing is proved, and the next proof begins an epoch.</summary>
    private void Lose()
    {
        lock (_reading)
        {
            _losses++;
            _proof = null;
            _echoes?.GiveUp();
        }
    }

    private void Wake()
    {
        lock (_wake)
        {
            if (_wake.CurrentCount == 0)
            {
                _wake.Release();
            }
        }
    }

    private async Task SubscribeAsync(IConnectionMultiplexer multiplexer)
    {
        // A server that is away must not keep the others from being asked; whether they did is proved by an echo.
        var subscriber = multiplexer.GetSubscriber();
        var queue = await subscriber.SubscribeAsync(_pattern, CommandFlags.FireAndForget).ConfigureAwait(false);
        lock (_reading)
        {
            _queue = queue;
        }

        // The queue keeps the order, and is read by whoever comes first: by this, which only says that there is something, or by a beat.
        await subscriber.SubscribeAsync(_pattern, (_, _) => Drain(), CommandFlags.FireAndForget).ConfigureAwait(false);
    }

    private async Task UnsubscribeAsync()
    {
        if (_queue is null || _connection.Database is not { } database)
        {
            return;
        }

        Lose();
        Drain();
        lock (_reading)
        {
            _queue = null;
        }

        try
        {
            await database.Multiplexer.GetSubscriber().UnsubscribeAsync(_pattern, flags: CommandFlags.FireAndForget).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is RedisException or ObjectDisposedException)
        {
            // It is not connected, and so not subscribed.
        }
    }

    /// <summary>What has arrived is handled before this returns, whoever handles it.</summary>
    private void Drain()
    {
        lock (_reading)
        {
            while (_queue is { } queue && queue.TryRead(out var message))
            {
                if (message.Channel == _own)
                {
                    _echoes?.Add((string?)message.Message);
                }
                else
                {
                    _heard!(message.Message);
                }
            }
        }
    }

    private void Report(Exception exception)
    {
        Lose();
        if (_isReported)
        {
            return;
        }

        // Once until it is proved again: the health check and the requests say themselves that Redis is away.
        _isReported = true;
        _report?.Invoke(exception);
    }

    public void Dispose() => _wake.Dispose();

    private enum BeatOutcome
    {
        Proved,

        /// <summary>A connection was lost while it was under way.</summary>
        Unproved,

        /// <summary>There was no subscription at some master; it was asked for.</summary>
        Subscribed,
    }

    /// <param name="Connection">The connection that answered.</param>
    /// <param name="Listeners">How many listen to this server's own channel there; null if that was not asked.</param>
    private readonly record struct Answer(long Connection, long? Listeners);

    /// <param name="Epoch">Which.</param>
    /// <param name="At">When the beat began that proved it, as the clock's timestamp.</param>
    /// <param name="Connections">Over which connections.</param>
    private sealed record Proof(long Epoch, long At, IReadOnlySet<(EndPoint? Master, long Connection)> Connections);

    /// <summary>The echoes of one beat.</summary>
    private sealed class EchoCount
    {
        private readonly long _beat;
        private readonly int[] _left;
        private readonly TaskCompletionSource[] _heard;

        public EchoCount(long beat, int masters, int echoes)
        {
            _beat = beat;
            _left = [.. Enumerable.Repeat(echoes, masters)];
            _heard = [.. Enumerable.Range(0, masters).Select(static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))];
        }

        public string MessageOf(int master) => string.Create(CultureInfo.InvariantCulture, $"{_beat} {master}");

        public Task HeardAsync(int master) => _heard[master].Task;

        public void Add(string? message)
        {
            for (var i = 0; i < _left.Length; i++)
            {
                if (message == MessageOf(i) && --_left[i] == 0)
                {
                    _heard[i].TrySetResult();
                }
            }
        }

        /// <summary>What has not been heard was lost.</summary>
        public void GiveUp()
        {
            foreach (var heard in _heard)
            {
                heard.TrySetException(new RedisConnectionException(ConnectionFailureType.SocketClosed, CommandFlags.None, "The connection was lost."));
                heard.Task.Observe();
            }
        }
    }
}
