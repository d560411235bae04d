using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RedisSessions.Benchmarks.Redis;

/// <summary>
/// Sends recorded requests again and again, pipelined, from several connections on threads of their own: what it costs the client to make a
/// request and to understand the reply is left out, so that one core of client keeps a core of Redis busy.
/// </summary>
internal sealed class Replay : IDisposable
{
    private const int Connections = 8;
    private const int MostPipelined = 32;
    private const int BatchBytes = 256 * 1024;

    private readonly Connection[] _connections;

    /// <param name="port">Redis's.</param>
    /// <param name="requests">Each with the commands that it is made of.</param>
    /// <param name="bytesPerReply">About how many bytes a request is answered with.</param>
    public Replay(int port, IReadOnlyList<IReadOnlyList<Command>> requests, int bytesPerReply)
    {
        var largest = Math.Max(bytesPerReply, requests.Max(request => request.Sum(command => command.Bytes.Length)));
        var depth = Math.Clamp(BatchBytes / largest, 1, MostPipelined);
        _connections = [.. Enumerable.Range(0, Connections).Select(i => new Connection(port, [.. Enumerable.Range(i * depth, depth).Select(j => requests[j % requests.Count])]))];
    }

    /// <returns>How many requests were answered, in how many seconds.</returns>
    public (long Requests, double Seconds) Run(TimeSpan span)
    {
        var watch = Stopwatch.StartNew();
        var counts = new long[Connections];
        var failures = new Exception?[Connections];
        var threads = new Thread[Connections];
        for (var i = 0; i < Connections; i++)
        {
            var index = i;
            threads[i] = new Thread(() =>
            {
                try
                {
                    // Once at least, however late a thread gets its turn.
                    do
                    {
                        counts[index] += _connections[index].Exchange();
                    }
                    while (watch.Elapsed < span);
                }
                catch (Exception exception)
                {
                    failures[index] = exception;
                }
            });
            threads[i].Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        return failures.FirstOrDefault(failure => failure is not null) is { } thrown ? throw thrown : (counts.Sum(), watch.Elapsed.TotalSeconds);
    }

    /// <summary>Sends every connection's batch as often as asked, one connection after the other.</summary>
    /// <returns>How many requests were answered.</returns>
    public long Send(int times)
    {
        var requests = 0L;
        for (var i = 0; i < times; i++)
        {
            foreach (var connection in _connections)
            {
                requests += connection.Exchange();
            }
        }

        return requests;
    }

    public void Dispose()
    {
        foreach (var connection in _connections)
        {
            connection.Dispose();
        }
    }

    private sealed class Connection : IDisposable
    {
        private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private readonly byte[] _batch;
        private readonly int _requests;
        private readonly int _commands;
        private readonly byte[] _received = new byte[128 * 1024];
        private readonly StringBuilder _line = new();

        public Connection(int port, IReadOnlyList<IReadOnlyList<Command>> requests)
        {
            _batch = [.. requests.SelectMany(request => request).SelectMany(command => command.Bytes)];
            _requests = requests.Count;
            _commands = requests.Sum(request => request.Count);
            _socket.Connect(IPAddress.Loopback, port);
            Send("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"u8.ToArray());
            Receive(1);
        }

        public int Exchange()
        {
            Send(_batch);
            Receive(_commands);
            return _requests;
        }

        private void Send(byte[] bytes)
        {
            for (var sent = 0; sent < bytes.Length;)
            {
                sent += _socket.Send(bytes, sent, bytes.Length - sent, SocketFlags.None);
            }
        }

        /// <summary>Reads as many replies and no further: nothing else is under way on this connection.</summary>
        private void Receive(long open)
        {
            var skip = 0L;
            while (open > 0 || skip > 0)
            {
                var count = _socket.Receive(_received);
                if (count == 0)
                {
                    throw new EndOfStreamException("Redis closed the connection.");
                }

                for (var i = 0; i < count;)
                {
                    if (skip > 0)
                    {
                        var step = (int)Math.Min(skip, count - i);
                        (skip, i) = (skip - step, i + step);
                        continue;
                    }

                    var end = _received.AsSpan(i, count - i).IndexOf((byte)'\n');
                    var part = _received.AsSpan(i, end < 0 ? count - i : end + 1);
                    i += part.Length;
                    if (end < 0 || _line.Length > 0)
                    {
                        _line.Append(Encoding.ASCII.GetString(part));
                        if (end < 0)
                        {
                            continue;
                        }

                        part = Encoding.ASCII.GetBytes(_line.ToString());
                        _line.Clear();
                    }

                    (open, skip) = After(part, open);
                }
            }
        }

        private static (long Open, long Skip) After(ReadOnlySpan<byte> line, long open)
        {
            switch (line[0])
            {
                case (byte)'-' or (byte)'!':
                    throw new InvalidOperationException(Encoding.ASCII.GetString(line));
                case (byte)'$' or (byte)'=':
                    return (open - 1, Number(line) is >= 0 and var length ? length + 2 : 0);
                case (byte)'*' or (byte)'~' or (byte)'>':
                    return (open - 1 + Math.Max(0, Number(line)), 0);
                case (byte)'%':
                    return (open - 1 + (2 * Number(line)), 0);
                default:
                    return (open - 1, 0);
            }
        }

        private static long Number(ReadOnlySpan<byte> line) => long.Parse(line[1..^2], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

        public void Dispose() => _socket.Dispose();
    }
}
