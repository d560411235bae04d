using System.Net;
using System.Net.Sockets;

namespace RedisSessions.Faults;

/// <summary>A way to Redis that cuts, halves, delays and swallows.</summary>
public sealed class FaultyProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Lock _lock = new();
    private readonly List<Socket> _sockets = [];
    private readonly IPEndPoint _redis;
    private volatile bool _swallows;
    private int _halves;
    private int _delay;

    public FaultyProxy(string redis)
    {
        _redis = IPEndPoint.Parse(redis);
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Address => _listener.LocalEndpoint.ToString()!;

    /// <summary>Nothing goes through, and nothing says so.</summary>
    public bool Swallows
    {
        set => _swallows = value;
    }

    /// <summary>Milliseconds, each way.</summary>
    public int Delay
    {
        set => Volatile.Write(ref _delay, value);
    }

    /// <summary>Of the next piece, a request or a reply, half goes through; then its connection is cut.</summary>
    public void HalveNext() => Volatile.Write(ref _halves, 1);

    public void Cut()
    {
        lock (_lock)
        {
            _sockets.ForEach(static socket => socket.Dispose());
            _sockets.Clear();
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync();
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                try
                {
                    await server.ConnectAsync(_redis);
                }
                catch (SocketException)
                {
                    // Redis is away: its client meets a closed connection, as it would without this.
                    client.Dispose();
                    server.Dispose();
                    continue;
                }

                lock (_lock)
                {
                    _sockets.AddRange([client, server]);
                }

                _ = PumpAsync(client, server);
                _ = PumpAsync(server, client);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Closed.
        }
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer) is > 0 and var count)
            {
                if (Volatile.Read(ref _delay) is > 0 and var delay)
                {
                    await Task.Delay(delay);
                }

                while (_swallows)
                {
                    await Task.Delay(10);
                }

                if (Interlocked.Exchange(ref _halves, 0) == 1)
                {
                    await to.SendAsync(buffer.AsMemory(0, count / 2));
                    break;
                }

                await to.SendAsync(buffer.AsMemory(0, count));
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Cut.
        }

        from.Dispose();
        to.Dispose();
    }

    public void Dispose()
    {
        _listener.Dispose();
        Cut();
    }
}
