using System.Globalization;
using System.Net;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// The master that the Sentinels name, and who is told when it is another.
/// <para>
/// The client can follow Sentinels by itself, but it keeps its connections to all servers and chooses among those that call themselves masters: one that was frozen
/// while another was promoted and comes back gets a part of the writes, until it learns of its demotion, and all of those are lost. So a connection here is to
/// the master alone, and to no other server; with another master it is another connection.
/// </para>
/// <para>
/// Each Sentinel has a connection of its own, is listened to (<c>+switch-master</c>), and is asked every second, for messages are lost. Of different answers
/// that of the latest epoch counts: each fail-over has a greater one.
/// </para>
/// </summary>
internal sealed class SentinelMaster : IAsyncDisposable
{
    private const string Channel = "+switch-master";

    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(50);

    private readonly ConfigurationOptions _settings;
    private readonly Func<ConfigurationOptions, Task<IConnectionMultiplexer>> _open;
    private readonly Action _changed;
    private readonly long _patience;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private Task<IConnectionMultiplexer>[]? _sentinels;
    private TaskCompletionSource _news = NewNews();
    private EndPoint? _announced;
    private volatile EndPoint? _current;
    private bool _isFollowing;

    /// <param name="settings">Of the connection, with the Sentinels as end points.</param>
    /// <param name="open">Opens a connection.</param>
    /// <param name="changed">Told that the connection made last is to the wrong server. May be told so more than once.</param>
    /// <param name="patience">For how long a master is looked for; at least as long as the client may take to connect.</param>
    public SentinelMaster(ConfigurationOptions settings, Func<ConfigurationOptions, Task<IConnectionMultiplexer>> open, Action changed, TimeSpan patience)
    {
        (_settings, _open, _changed) = (settings, open, changed);
        _patience = Math.Max(settings.ConnectTimeout, (long)patience.TotalMilliseconds);
    }

    private static TaskCompletionSource NewNews() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Connects to the master.</summary>
    /// <exception cref="RedisConnectionException">No Sentinel answers, or whom they name is no master, for as long as that is worth it.</exception>
    public async Task<IConnectionMultiplexer> ConnectAsync()
    {
        Follow();
        var limit = Environment.TickCount64 + _patience;
        while (true)
        {
            var news = _news.Task;
            if ((Interlocked.Exchange(ref _announced, null) ?? await FindAsync().ConfigureAwait(false)) is { } master
                && await TryConnectAsync(master, news).ConfigureAwait(false) is { } connected)
            {
                return connected;
            }

            if (_stop.IsCancellationRequested || Environment.TickCount64 > limit)
            {
                throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, CommandFlags.None, "No Sentinel names a master that can be reached.");
            }

            await Task.WhenAny(news, Task.Delay(TryAgainAfter)).ConfigureAwait(false);
        }
    }

    /// <summary>Whether the connection made last is to whom the Sentinels name now. If not, that is told.</summary>
    public async Task<bool> IsCurrentAsync()
    {
        if (await FindAsync().ConfigureAwait(false) is not { } master)
        {
            return false;
        }

        if (_current is not { } current || current.Equals(master))
        {
            return true;
        }

        _changed();
        return false;
    }

    /// <summary>Something suggests that there is another master: the Sentinels are asked at once.</summary>
    public void Look() => Tell();

    private async Task<IConnectionMultiplexer?> TryConnectAsync(EndPoint master, Task news)
    {
        var settings = _settings.Clone();
        settings.ServiceName = null;
        settings.TieBreaker = "";
        settings.EndPoints.Clear();
        settings.EndPoints.Add(master);
        var opening = _open(settings);

        // The client takes its time where a server does not answer.
        if (await Task.WhenAny(opening, news).ConfigureAwait(false) != opening && Volatile.Read(ref _announced) is { } other && !other.Equals(master))
        {
            _ = CloseAsync(opening);
            return null;
        }

        IConnectionMultiplexer connected;
        try
        {
            connected = await opening.ConfigureAwait(false);
        }
        catch (RedisConnectionException)
        {
            return null;
        }

        if (connected.GetServer(master) is not { IsConnected: true, IsReplica: false })
        {
            await connected.DisposeAsync().ConfigureAwait(false);
            return null;
        }

        _current = master;
        if (Volatile.Read(ref _announced) is { } announced && announced.Equals(master))
        {
            // It is no news any more.
            Interlocked.CompareExchange(ref _announced, null, announced);
        }

        return connected;
    }

    private static async Task CloseAsync(Task<IConnectionMultiplexer> opening)
    {
        try
        {
            await (await opening.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // There is nothing to close.
        }
    }

    private void Follow()
    {
        lock (_lock)
        {
            if (!_isFollowing)
            {
                _isFollowing = true;
                _sentinels = [.. _settings.EndPoints.Select(OpenSentinelAsync)];
                _ = FollowAsync();
            }
        }
    }

    private Task<IConnectionMultiplexer> OpenSentinelAsync(EndPoint sentinel)
    {
        var settings = _settings.Clone();
        (settings.ServiceName, settings.CommandMap, settings.TieBreaker, settings.ConfigurationChannel) = (null, CommandMap.Sentinel, "", "");
        (settings.User, settings.Password, settings.DefaultDatabase) = (_settings.SentinelUser, _settings.SentinelPassword, null);
        (settings.AbortOnConnectFail, settings.ChannelPrefix) = (false, default);
        settings.EndPoints.Clear();
        settings.EndPoints.Add(WithPort(sentinel));
        return Task.Run(async () =>
        {
            var connected = await _open(settings).ConfigureAwait(false);
            await connected.GetSubscriber().SubscribeAsync(RedisChannel.Literal(Channel), OnSwitched, CommandFlags.FireAndForget).ConfigureAwait(false);
            return connected;
        });
    }

    private static EndPoint WithPort(EndPoint sentinel)
    {
        const int SentinelPort = 26379;
        return sentinel switch
        {
            DnsEndPoint { Port: 0 } dns => new DnsEndPoint(dns.Host, SentinelPort),
            IPEndPoint { Port: 0 } ip => new IPEndPoint(ip.Address, SentinelPort),
            _ => sentinel,
        };
    }

    private async Task FollowAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            var news = _news.Task;
            try
            {
                await IsCurrentAsync().ConfigureAwait(false);
            }
            catch (Exception)
            {
                // Of whatever kind: whoever needs a connection says so, and nothing may end this.
            }

            await Task.WhenAny(news, Task.Delay(AskEvery, _stop.Token)).ConfigureAwait(false);
        }
    }

    /// <summary>A message of a Sentinel: name, old host and port, new host and port.</summary>
    private void OnSwitched(RedisChannel channel, RedisValue message)
    {
        var parts = ((string?)message ?? "").Split(' ');
        if (parts.Length < 5 || parts[0] != _settings.ServiceName || !TryParse(parts[3], parts[4], out var master))
        {
            return;
        }

        Volatile.Write(ref _announced, master);
        Tell();
        if (_current is { } current && !current.Equals(master))
        {
            _changed();
        }
    }

    private void Tell() => Interlocked.Exchange(ref _news, NewNews()).TrySetResult();

    private static bool TryParse(string host, string port, out EndPoint? endPoint)
    {
        endPoint = null;
        if (!int.TryParse(port, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        endPoint = IPAddress.TryParse(host, out var address) ? new IPEndPoint(address, number) : new DnsEndPoint(host, number);
        return true;
    }

    /// <returns>Whom the Sentinels name; null if none answers.</returns>
    private async Task<EndPoint?> FindAsync()
    {
        Follow();
        var answers = _sentinels!.Select(AskAsync).ToList();
        var (most, found) = (-1L, default(EndPoint));
        var heard = 0;
        while (answers.Count > 0)
        {
            var answered = await Task.WhenAny(answers).ConfigureAwait(false);
            answers.Remove(answered);
            var (master, epoch) = await answered.ConfigureAwait(false);
            if (master is null)
            {
                continue;
            }

            // Of those of one epoch whom we have, for one of them may not have heard.
            if (epoch > most || (epoch == most && master.Equals(_current)))
            {
                (most, found) = (epoch, master);
            }

            // Most of them: a Sentinel that hangs is not waited for.
            if (++heard > _sentinels!.Length / 2)
            {
                break;
            }
        }

        return found;
    }

    private async Task<(EndPoint? Master, long Epoch)> AskAsync(Task<IConnectionMultiplexer> sentinel)
    {
        try
        {
            var server = (await sentinel.WaitAsync(AnswerWithin).ConfigureAwait(false)).GetServers()[0];
            var asked = server.SentinelGetMasterAddressByNameAsync(_settings.ServiceName!);
            var details = server.SentinelMasterAsync(_settings.ServiceName!);
            details.Observe();
            var master = await asked.WaitAsync(AnswerWithin).ConfigureAwait(false);
            var epoch = Array.Find(await details.WaitAsync(AnswerWithin).ConfigureAwait(false), static pair => pair.Key == "config-epoch").Value;
            return (master, long.TryParse(epoch, CultureInfo.InvariantCulture, out var number) ? number : 0);
        }
        catch (Exception exception) when (RedisAway.Explains(exception) || exception is ObjectDisposedException)
        {
            return (null, 0);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (var sentinel in _sentinels ?? [])
        {
            await CloseAsync(sentinel).ConfigureAwait(false);
        }
    }
}
