using System.Net;
using System.Net.Sockets;

namespace RedisSessions.Tests.Model;

/// <summary>Stands before Redis, and loses a reply together with its connection, after Redis did what it was asked.</summary>
internal sealed class LossyProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly string _host;
    private readonly int _port;
    private int _repliesLeft;
    private int _lost;

    public LossyProxy(string address)
    {
        var separator = address.LastIndexOf(':');
        _host = address[..separator];
        _port = int.Parse(address[(separator + 1)..], System.Globalization.CultureInfo.InvariantCulture);
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>How many replies were lost so far.</summary>
    public int Lost => Volatile.Read(ref _lost);

    /// <summary>Loses the reply of this number from now on; 0 loses none.</summary>
    public void Lose(int reply) => Volatile.Write(ref _repliesLeft, reply);

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync();
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                await server.ConnectAsync(_host, _port);
                _ = PumpAsync(client, server, static () => false);
                _ = PumpAsync(server, client, IsLost);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The run is over.
        }
    }

    // One step at a time talks to a server, so what arrives at once is the reply to what was sent at once.
    private bool IsLost() => Volatile.Read(ref _repliesLeft) > 0 && Interlocked.Decrement(ref _repliesLeft) == 0;

    private async Task PumpAsync(Socket from, Socket to, Func<bool> isLost)
    {
        using (from)
        using (to)
        {
            var buffer = new byte[16 * 1024];
            try
            {
                while (await from.ReceiveAsync(buffer) is > 0 and var count)
                {
                    if (isLost())
                    {
                        Interlocked.Increment(ref _lost);
                        return;
                    }

                    await to.SendAsync(buffer.AsMemory(0, count));
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                // Either side closed.
            }
        }
    }
}
