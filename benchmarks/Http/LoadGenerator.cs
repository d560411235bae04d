using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// Drives a site from a process of its own: a number of keep-alive connections that each send one request after the other,
/// over 64 sessions. Plain sockets, so that the generator takes as little of the machine as possible.
/// </summary>
internal static class LoadGenerator
{
    private const int Sessions = 64;

    /// <summary>
    /// Speaks a line protocol with its parent, so that the sessions it made stay for many runs: <c>fill PORT BYTES</c>, then
    /// <c>run PORT PATH CONNECTIONS MILLISECONDS</c>, answered by the number of requests answered and the seconds; or <c>time</c> with the same,
    /// answered by these and the microseconds below which 50, 99 and 99.9 % of the requests took.
    /// </summary>
    public static async Task RunAsync()
    {
        var cookies = new Dictionary<int, string[]>();
        while (Console.ReadLine() is { } line)
        {
            var words = line.Split(' ');
            if (words[0] == "fill")
            {
                cookies[Number(words[1])] = await FillAsync(Number(words[1]), Sessions, Number(words[2]));
                Console.WriteLine("ok");
            }
            else
            {
                Console.WriteLine(await DriveAsync(Number(words[1]), words[2], Number(words[3]), Number(words[4]), cookies[Number(words[1])], times: words[0] == "time"));
            }
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>Creates sessions of ten fields that add up to some bytes. Answers their cookies.</summary>
    public static async Task<string[]> FillAsync(int port, int sessions, int bytes)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false });
        var cookies = new string[sessions];
        for (var i = 0; i < sessions; i++)
        {
            using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/fill/{bytes}"));
            response.EnsureSuccessStatusCode();
            cookies[i] = response.Headers.GetValues("Set-Cookie").Single().Split(';')[0];
        }

        return cookies;
    }

    private static async Task<string> DriveAsync(int port, string path, int connections, int milliseconds, string[] cookies, bool times)
    {
        using var stop = new CancellationTokenSource();
        var counts = new long[connections];
        var taken = times ? Enumerable.Range(0, connections).Select(_ => new List<long>(1 << 14)).ToArray() : null;
        var sockets = new Socket[connections];
        var watch = Stopwatch.StartNew();
        var tasks = new Task[connections];
        for (var i = 0; i < connections; i++)
        {
            var index = i;
            var request = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies[i % cookies.Length]}\r\n\r\n");
            tasks[i] = Task.Run(() => ConnectionAsync(index, request));
        }

        await Task.Delay(milliseconds);
        await stop.CancelAsync();
        var seconds = watch.Elapsed.TotalSeconds;
        var answered = counts.Sum();

        // A stalled site never answers; its connections are cut.
        await Task.WhenAny(Task.WhenAll(tasks), Task.Delay(500));
        foreach (var socket in sockets)
        {
            socket?.Dispose();
        }

        await Task.WhenAll(tasks);
        return string.Create(CultureInfo.InvariantCulture, $"{answered} {seconds}{(taken is null ? "" : Quantiles(taken))}");

        async Task ConnectionAsync(int index, byte[] request)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            sockets[index] = socket;
            var buffer = new byte[16 * 1024];
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port);
                while (!stop.IsCancellationRequested)
                {
                    var sent = Stopwatch.GetTimestamp();
                    await socket.SendAsync(request);
                    await ReadResponseAsync(socket, buffer);
                    counts[index]++;
                    taken?[index].Add(Stopwatch.GetTimestamp() - sent);
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException or EndOfStreamException)
            {
                if (!stop.IsCancellationRequested)
                {
                    throw;
                }
            }
        }
    }

    private static string Quantiles(List<long>[] taken)
    {
        var all = taken.SelectMany(times => times).Order().ToArray();
        return string.Concat(new[] { 0.5, 0.99, 0.999 }.Select(share =>
            string.Create(CultureInfo.InvariantCulture, $" {Stopwatch.GetElapsedTime(0, all[(int)(share * (all.Length - 1))]).TotalMicroseconds:0}")));
    }

    private static async Task ReadResponseAsync(Socket socket, byte[] buffer)
    {
        var filled = 0;
        while (true)
        {
            var count = await socket.ReceiveAsync(buffer.AsMemory(filled));
            if (count == 0)
            {
                throw new EndOfStreamException();
            }

            filled += count;
            if (IsComplete(buffer.AsSpan(0, filled)))
            {
                return;
            }
        }
    }

    private static bool IsComplete(ReadOnlySpan<byte> response)
    {
        var headers = response.IndexOf("\r\n\r\n"u8);
        if (headers < 0)
        {
            return false;
        }

        if (!response.StartsWith("HTTP/1.1 200"u8))
        {
            throw new InvalidOperationException(Encoding.ASCII.GetString(response[..response.IndexOf((byte)'\r')]));
        }

        var length = response[..headers].IndexOf("Content-Length: "u8);
        if (length < 0)
        {
            // Chunked: the last chunk is empty.
            return response.EndsWith("0\r\n\r\n"u8);
        }

        var digits = response[(length + 16)..headers];
        var end = digits.IndexOf((byte)'\r');
        var body = int.Parse(end < 0 ? digits : digits[..end], CultureInfo.InvariantCulture);
        return response.Length >= headers + 4 + body;
    }
}
