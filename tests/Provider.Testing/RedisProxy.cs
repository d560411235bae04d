using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RedisSessions.Testing;

/// <summary>
/// Stands between an application and Redis: delays, cuts, and counts what really crosses the wire (commands by name, bytes
/// each way).
/// </summary>
public sealed class RedisProxy : IDisposable
{
    // What the client sends for itself, at times of its own.
    private static readonly HashSet<string> Housekeeping =
        ["PING", "INFO", "HELLO", "CLIENT", "CONFIG", "CLUSTER", "SUBSCRIBE", "ECHO", "SENTINEL", "ROLE", "AUTH", "SELECT", "GET", "COMMAND"];

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<Socket> _sockets = [];
    private readonly List<string> _commands = [];
    private readonly string _host;
    private readonly int _port;
    private readonly TimeSpan _delay;
    private long _bytesToRedis;
    private long _bytesFromRedis;
    private int _repliesLeft;

    public RedisProxy(string address, TimeSpan delay = default)
    {
        var separator = address.LastIndexOf(':');
        _host = address[..separator];
        _port = int.Parse(address[(separator + 1)..].Split(',')[0], System.Globalization.CultureInfo.InvariantCulture);
        _delay = delay;
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>Called before a command's bytes go on; a test holds a request here at the dangerous moment.</summary>
    public Func<string, Task>? BeforeCommand { get; set; }

    /// <summary>Called before what Redis sent goes on, with its bytes: a test holds a reply, or a message.</summary>
    public Func<ReadOnlyMemory<byte>, Task>? BeforeReply { get; set; }

    /// <summary>Cuts the connection in place of the next reply: Redis did as it was told, and nobody learns of it.</summary>
    public void LoseNextReply() => LoseReply(1);

    /// <summary>As <see cref="LoseNextReply"/>, for the reply of this number from now on; 0 loses none.</summary>
    public void LoseReply(int number) => Volatile.Write(ref _repliesLeft, number);

    public Traffic Snapshot()
    {
        lock (_lock)
        {
            return new Traffic([.. _commands], _bytesToRedis, _bytesFromRedis);
        }
    }

    /// <summary>Cuts every connection there is; new ones are accepted.</summary>
    public void Cut()
    {
        lock (_lock)
        {
            foreach (var socket in _sockets)
            {
                socket.Dispose();
            }

            _sockets.Clear();
        }
    }

    /// <summary>Cuts every connection and accepts no more. May be called again.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
        Cut();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptSocketAsync(_stop.Token);
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                await server.ConnectAsync(_host, _port, _stop.Token);
                lock (_lock)
                {
                    _sockets.Add(client);
                    _sockets.Add(server);
                }

                _ = PumpAsync(client, server, new CommandCounter(this));
                _ = PumpAsync(server, client, null);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // Stopped, or Redis is away: the client meets a closed connection, as it would without a proxy.
            }
        }
    }

    private async Task PumpAsync(Socket from, Socket to, CommandCounter? counter)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(buffer);
                if (count == 0)
                {
                    break;
                }

                if (counter is not null)
                {
                    Interlocked.Add(ref _bytesToRedis, count);
                    foreach (var command in counter.Add(buffer.AsSpan(0, count)))
                    {
                        if (BeforeCommand is { } hook)
                        {
                            await hook(command);
                        }
                    }

                    if (_delay > TimeSpan.Zero)
                    {
                        await Task.Delay(_delay);
                    }
                }
                else
                {
                    Interlocked.Add(ref _bytesFromRedis, count);
                    if (BeforeReply is { } hook)
                    {
                        await hook(buffer.AsMemory(0, count));
                    }

                    if (Volatile.Read(ref _repliesLeft) > 0 && Interlocked.Decrement(ref _repliesLeft) == 0)
                    {
                        break;
                    }
                }

                await to.SendAsync(buffer.AsMemory(0, count));
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Cut, by this proxy or by either side.
        }

        from.Dispose();
        to.Dispose();
    }

    /// <summary>Reads RESP requests (arrays of bulk strings) as they stream by.</summary>
    private sealed class CommandCounter(RedisProxy proxy)
    {
        private readonly StringBuilder _line = new();
        private int _argumentsLeft;
        private long _skip;
        private bool _nameNext;
        private StringBuilder? _name;

        public List<string> Add(ReadOnlySpan<byte> bytes)
        {
            var found = new List<string>();
            foreach (var value in bytes)
            {
                if (_skip > 0)
                {
                    _skip--;
                    if (_name is not null && _skip >= 2)
                    {
                        _name.Append((char)value);
                    }
                    else if (_name is not null)
                    {
                        var name = _name.ToString().ToUpperInvariant();
                        _name = null;
                        if (!Housekeeping.Contains(name))
                        {
                            found.Add(name);
                            lock (proxy._lock)
                            {
                                proxy._commands.Add(name);
                            }
                        }
                    }

                    continue;
                }

                _line.Append((char)value);
                if (value != '\n')
                {
                    continue;
                }

                var line = _line.ToString();
                _line.Clear();
                var number = int.Parse(line.AsSpan(1).Trim(), System.Globalization.CultureInfo.InvariantCulture);
                if (line[0] == '*')
                {
                    _argumentsLeft = number;
                    _nameNext = true;
                }
                else
                {
                    _argumentsLeft--;
                    _skip = number + 2;
                    _name = _nameNext ? new StringBuilder() : null;
                    _nameNext = false;
                }
            }

            return found;
        }
    }

    public sealed record Traffic(IReadOnlyList<string> Commands, long BytesToRedis, long BytesFromRedis)
    {
        public static Traffic operator -(Traffic after, Traffic before) => new(
            [.. after.Commands.Skip(before.Commands.Count)],
            after.BytesToRedis - before.BytesToRedis,
            after.BytesFromRedis - before.BytesFromRedis);
    }
}
