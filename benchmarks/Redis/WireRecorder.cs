using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RedisSessions.Benchmarks.Redis;

/// <summary>Stands between a store and Redis, and keeps every command that the store sends, byte for byte.</summary>
internal sealed class WireRecorder : IDisposable
{
    // What the client sends for itself, at times of its own.
    private static readonly HashSet<string> Housekeeping = ["INFO", "CLIENT", "CONFIG", "HELLO", "ECHO", "SUBSCRIBE", "CLUSTER", "SENTINEL", "ROLE", "COMMAND", "SELECT", "AUTH", "SCRIPT"];

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<Command> _commands = [];
    private readonly int _port;

    public WireRecorder(int port)
    {
        _port = port;
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>What was sent since the last call; a store whose replies have come has sent all of it.</summary>
    public IReadOnlyList<Command> Take()
    {
        lock (_lock)
        {
            var taken = _commands.ToArray();
            _commands.Clear();
            return taken;
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_stop.Token);
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                await server.ConnectAsync(IPAddress.Loopback, _port, _stop.Token);
                _ = PumpAsync(client, server, new MemoryStream());
                _ = PumpAsync(server, client, null);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // Disposed.
        }
    }

    private async Task PumpAsync(Socket from, Socket to, MemoryStream? kept)
    {
        var buffer = new byte[256 * 1024];
        using (from)
        using (to)
        {
            try
            {
                while (await from.ReceiveAsync(buffer, _stop.Token) is > 0 and var count)
                {
                    if (kept is not null)
                    {
                        kept.Write(buffer, 0, count);
                        Keep(kept);
                    }

                    for (var sent = 0; sent < count;)
                    {
                        sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _stop.Token);
                    }
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // One side has gone; the other goes with it.
            }
        }
    }

    private void Keep(MemoryStream kept)
    {
        var bytes = kept.GetBuffer().AsSpan(0, (int)kept.Length);
        var done = 0;
        while (TryParse(bytes[done..], out var length, out var name))
        {
            if (!Housekeeping.Contains(name) && bytes.Slice(done, length).IndexOf("Booksleeve"u8) < 0)
            {
                lock (_lock)
                {
                    _commands.Add(new Command(name, bytes.Slice(done, length).ToArray()));
                }
            }

            done += length;
        }

        var rest = bytes[done..].ToArray();
        kept.SetLength(0);
        kept.Write(rest);
    }

    /// <summary>A command is an array of bulk strings.</summary>
    private static bool TryParse(ReadOnlySpan<byte> bytes, out int length, out string name)
    {
        name = "";
        length = 0;
        if (!TryReadNumber(bytes, ref length, out var count))
        {
            return false;
        }

        for (var i = 0; i < count; i++)
        {
            if (!TryReadNumber(bytes, ref length, out var size) || bytes.Length < length + size + 2)
            {
                return false;
            }

            name = i == 0 ? Encoding.ASCII.GetString(bytes.Slice(length, size)).ToUpperInvariant() : name;
            length += size + 2;
        }

        return true;
    }

    private static bool TryReadNumber(ReadOnlySpan<byte> bytes, ref int position, out int number)
    {
        number = 0;
        var end = bytes[position..].IndexOf("\r\n"u8);
        if (end < 0)
        {
            return false;
        }

        number = int.Parse(bytes.Slice(position + 1, end - 1), CultureInfo.InvariantCulture);
        position += end + 2;
        return true;
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
        _stop.Dispose();
    }
}

/// <summary>One command as it went over the wire.</summary>
internal sealed record Command(string Name, byte[] Bytes)
{
    private const string End = "\r\n";

    /// <summary>The name and the arguments.</summary>
    public IReadOnlyList<string> Words => [.. Encoding.Latin1.GetString(Bytes).Split(End).Skip(2).Where((_, index) => index % 2 == 0)];

    /// <summary>The same with another value wherever an argument is just this one.</summary>
    public Command With(string argument, string other) =>
        this with { Bytes = Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(Bytes).Replace(Bulk(argument), Bulk(other), StringComparison.Ordinal)) };

    private static string Bulk(string argument) => $"${argument.Length}{End}{argument}{End}";
}
