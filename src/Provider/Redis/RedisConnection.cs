using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// The one connection that everything in the library shares: begun when the host starts, or when it is first needed, by one
/// caller for all. Nobody waits for it at start-up, so that Redis being away then is no failure. An attempt that failed is
/// made again by the next caller. Only a connection made here is disposed here.
/// </summary>
internal sealed class RedisConnection : IAsyncDisposable, IDisposable
{
    // A connection of our own that takes longer is still awaited, but by nobody's page: the client may take its whole
    // connect timeout even where Redis refused at once.
    private readonly TimeSpan _patience = RedisConnectionSettings.DefaultPatience;

    private readonly Func<Task<IConnectionMultiplexer>> _connect;
    private readonly bool _owned;
    private readonly Failover _failover;
    private readonly TimeSpan _waitForFailover;
    // The client looks at one server after the other, and waits for each.
    private const long LookAgainAfter = 1_000;

    // Whoever was just given it still sends over it.
    private static readonly TimeSpan FormerStays = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private long _lookedAgain;
    private volatile Connected? _connected;
    private Task<Connected>? _attempt;
    private volatile bool _lastAttemptFailed;
    private volatile SentinelMaster? _sentinels;
    private volatile bool _isReplacing;
    private bool _disposed;

    public RedisConnection(IOptions<RedisSessionOptions> options, IServiceProvider services)
    {
        var value = options.Value;
        _waitForFailover = value.WaitForFailover;
        _failover = new Failover(this, _waitForFailover);
        if (value.UseDedicatedThreads)
        {
            ConnectionMultiplexer.SetFeatureFlag("DedicatedThreads", true);
        }

        if (value.ConnectionMultiplexerFactory is { } factory)
        {
            _connect = factory;
        }
        else if (value.ConfigurationOptions is { } settings)
        {
            _connect = () => ConnectAsync(settings);
            _patience = TimeSpan.FromMilliseconds(settings.ConnectTimeout);
            _owned = true;
        }
        else if (value.Configuration is { } configuration)
        {
            _connect = () => ConnectAsync(RedisConnectionSettings.FailFast(configuration));
            _patience = RedisConnectionSettings.PatienceOf(configuration);
            _owned = true;
        }
        else
        {
            // Resolved when first needed: the container may build it with a blocking Connect.
            _connect = () => Task.FromResult(value.ServiceKey is { } key
                ? services.GetRequiredKeyedService<IConnectionMultiplexer>(key)
                : services.GetRequiredService<IConnectionMultiplexer>());
        }
    }

    /// <summary>For a connection of its own, made by the factory or from the connection string.</summary>
    public RedisConnection(Func<Task<IConnectionMultiplexer>>? factory, string? configuration)
    {
        _owned = factory is null;
        _failover = new Failover(this, TimeSpan.Zero);
        _patience = configuration is null ? _patience : RedisConnectionSettings.PatienceOf(configuration);
        _connect = factory ?? (() => ConnectAsync(RedisConnectionSettings.FailFast(configuration!)));
    }

    /// <summary>The database once there is a connection; <see langword="null"/> before.</summary>
    public IDatabase? Database => _connected?.Database;

    /// <summary>
    /// How long the client itself waits for a reply that is awaited; a shorter timeout of a caller needs a timer of its own.
    /// Zero where that is not known.
    /// </summary>
    public TimeSpan ReplyTimeout => _connected?.ReplyTimeout ?? TimeSpan.Zero;

    /// <summary>How long an operation takes at most without a timer of its own, what is sent again included. Zero where that is not known.</summary>
    public TimeSpan LongestWait => ReplyTimeout is { Ticks: > 0 } reply ? reply + _waitForFailover : TimeSpan.Zero;

    /// <summary>The one server that is talked to; null where there are several, or none yet.</summary>
    public EndPoint? Server => _connected?.Server;

    /// <summary>
    /// Whether Redis is known to be away, without asking it, and not just for a moment. Where the connection was never made, asking also begins to make it
    /// anew, for whoever is told so goes away without needing it.
    /// </summary>
    public bool IsDown()
    {
        if (_connected is { } connected)
        {
            return !connected.Multiplexer.IsConnected && !_failover.MayPass();
        }

        if (!_lastAttemptFailed || (_isReplacing && _failover.MayPass()))
        {
            return false;
        }

        Begin();
        return true;
    }

    /// <summary>
    /// What failed may have failed because another server is the master now, and the client has not noticed: it looks again at all that it knows, which
    /// it does by itself once a minute.
    /// </summary>
    public void Suspect(Exception failure)
    {
        var now = Environment.TickCount64;
        var last = Interlocked.Read(ref _lookedAgain);
        if (failure is not (RedisServerException or RedisTimeoutException)
            || now - last < LookAgainAfter
            || Interlocked.CompareExchange(ref _lookedAgain, now, last) != last)
        {
            return;
        }

        if (_sentinels is { } sentinels)
        {
            sentinels.Look();
        }
        else
        {
            _connected?.Multiplexer.ConfigureAsync().Observe();
        }
    }

    /// <summary>Whether the connection is to the master, as far as anybody but that says: where Sentinels do, they are asked.</summary>
    public Task<bool> IsToMasterAsync() => _sentinels?.IsCurrentAsync() ?? Task.FromResult(true);

    /// <summary>The connection that there was is not used any more, and its subscriptions are none. Not for long: it must not block.</summary>
    public event Action? Replaced;

    /// <summary>Another server is the master: from here on nobody gets the connection to the one before.</summary>
    private void Replace() => Replace(null);

    /// <param name="which">Only if it is this one; null for whichever.</param>
    private void Replace(IConnectionMultiplexer? which)
    {
        Connected? former;
        lock (_lock)
        {
            former = _connected;
            if (former is null || _disposed || (which is not null && !ReferenceEquals(former.Multiplexer, which)))
            {
                // It is being made.
                return;
            }

            (_connected, _attempt, _isReplacing) = (null, null, true);
        }

        // What fails on the former one is still to find where to wait.
        BeginAttempt();
        Replaced?.Invoke();
        _ = DisposeLaterAsync(former.Multiplexer);
    }

    /// <summary>What waits for an answer of the former master fails then, and is sent again: it may be frozen, and never answer.</summary>
    private static async Task DisposeLaterAsync(IConnectionMultiplexer former)
    {
        await Task.Delay(FormerStays).ConfigureAwait(false);
        await former.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Begins to connect, if nobody has, for those who will need it.</summary>
    public void Begin()
    {
        if (_connected is null)
        {
            BeginAttempt();
        }
    }

    /// <summary>
    /// Of a connection made here, once it is made; <see langword="null"/> of one that the application made or that has a tunnel
    /// of the application's, for only one can supply the stream.
    /// </summary>
    public RedisTraffic? Traffic { get; private set; }

    public ValueTask<IDatabase> GetDatabaseAsync() => _connected is { } connected
        ? new ValueTask<IDatabase>(connected.Database)
        : new ValueTask<IDatabase>(ConnectAsync());

    private async Task<IDatabase> ConnectAsync()
    {
        var attempt = BeginAttempt();
        ObjectDisposedException.ThrowIf(attempt is null, this);
        if (_owned && !attempt.IsCompleted)
        {
            await Task.WhenAny(attempt, Task.Delay(_isReplacing && _waitForFailover > _patience ? _waitForFailover : _patience)).ConfigureAwait(false);
            if (!attempt.IsCompleted)
            {
                throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, CommandFlags.None, "The connection to Redis is still being made.");
            }
        }

        return (await attempt.ConfigureAwait(false)).Database;
    }

    /// <returns><see langword="null"/> once this is disposed.</returns>
    private Task<Connected>? BeginAttempt()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return null;
            }

            if (_attempt is null or { IsCompleted: true, IsCompletedSuccessfully: false })
            {
                // On the pool, because a caller's factory may block before it returns its task.
                _attempt = Task.Run(AttemptAsync);
                _attempt.Observe();
            }

            return _attempt;
        }
    }

    private Task<IConnectionMultiplexer> ConnectAsync(ConfigurationOptions settings)
    {
        if (string.IsNullOrEmpty(settings.ServiceName))
        {
            return OpenAsync(settings);
        }

        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _sentinels ??= new SentinelMaster(settings, OpenAsync, Replace, _waitForFailover);
        }

        return _sentinels.ConnectAsync();
    }

    private async Task<IConnectionMultiplexer> OpenAsync(ConfigurationOptions settings)
    {
        if (settings.Tunnel is null)
        {
            settings = settings.Clone();
            lock (_lock)
            {
                settings.Tunnel = Traffic ??= new RedisTraffic(settings.ReconnectRetryPolicy as ReconnectSoon);
            }
        }

        return await ConnectionMultiplexer.ConnectAsync(settings).ConfigureAwait(false);
    }

    private async Task<Connected> AttemptAsync()
    {
        IConnectionMultiplexer multiplexer;
        try
        {
            multiplexer = await _connect().ConfigureAwait(false);
            _lastAttemptFailed = false;
        }
        catch
        {
            _lastAttemptFailed = true;
            throw;
        }

        var connected = new Connected(multiplexer, multiplexer.GetDatabase(), ReplyTimeoutOf(multiplexer), multiplexer.GetEndPoints() is [var server] ? server : null);
        if (_sentinels is not null)
        {
            // One that comes back may be master no more, and not know it yet: the Sentinels are asked before it is used again.
            multiplexer.ConnectionFailed += (_, _) => Replace(multiplexer);
        }

        lock (_lock)
        {
            if (!_disposed)
            {
                _failover.Add(multiplexer);
                _isReplacing = false;
                _connected = connected;
                _failover.Signal();
                return connected;
            }
        }

        if (_owned)
        {
            await multiplexer.DisposeAsync().ConfigureAwait(false);
        }

        throw new ObjectDisposedException(nameof(RedisConnection));
    }

    public void Dispose()
    {
        if (Close() is { } multiplexer)
        {
            multiplexer.Dispose();
        }

        if (_sentinels is { } sentinels)
        {
            _ = sentinels.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Close() is { } multiplexer)
        {
            await multiplexer.DisposeAsync().ConfigureAwait(false);
        }

        if (_sentinels is { } sentinels)
        {
            await sentinels.DisposeAsync().ConfigureAwait(false);
        }
    }

    private IConnectionMultiplexer? Close()
    {
        lock (_lock)
        {
            _disposed = true;
            var connected = _connected;
            _connected = null;
            if (connected is not null)
            {
                _failover.Remove(connected.Multiplexer);
            }

            return _owned ? connected?.Multiplexer : null;
        }
    }

    /// <summary>The client says only how long it waits where a thread does, which may be another time.</summary>
    private static TimeSpan ReplyTimeoutOf(IConnectionMultiplexer multiplexer)
    {
        try
        {
            return TimeSpan.FromMilliseconds(ConfigurationOptions.Parse(multiplexer.Configuration, ignoreUnknown: true).AsyncTimeout);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or NotSupportedException or NotImplementedException)
        {
            // Somebody else's multiplexer: then every wait has a timer of its own.
            return TimeSpan.Zero;
        }
    }

    private sealed record Connected(IConnectionMultiplexer Multiplexer, IDatabase Database, TimeSpan ReplyTimeout, EndPoint? Server);
}
