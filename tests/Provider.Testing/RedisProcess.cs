using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace RedisSessions.Testing;

/// <summary>A redis-server of a test's own, to stop, pause and restart for real.</summary>
public sealed class RedisProcess : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("redis-sessions-").FullName;
    private string[] _command;
    private Process? _process;

    private RedisProcess(int port, string[] command)
    {
        Port = port;
        _command = command;
    }

    public static bool IsInstalled => IsOnPath("redis-server");

    public int Port { get; }

    public string Address => $"127.0.0.1:{Port}";

    public bool IsRunning => _process is { HasExited: false };

    public static Task<RedisProcess> StartAsync(params string[] arguments) => StartAsync(["redis-server"], arguments);

    /// <summary>
    /// In a terminal session of its own, as a service has. Linux shares the processors between sessions before it shares them
    /// between threads: in ours, Redis would count as one of the many threads of the process that it serves.
    /// </summary>
    public static Task<RedisProcess> StartAsServiceAsync() => StartAsync(IsOnPath("setsid") ? ["setsid", "redis-server"] : ["redis-server"], []);

    /// <summary>A Sentinel that watches a master by the name of <see cref="SentinelProcesses.ServiceName"/>.</summary>
    public static async Task<RedisProcess> StartSentinelAsync(RedisProcess master, int quorum)
    {
        var port = EmbeddedGarnet.FreePort();
        var process = new RedisProcess(port, []);
        var file = Path.Combine(process._folder, "sentinel.conf");
        await File.WriteAllLinesAsync(file,
        [
            $"port {port}",
            "bind 127.0.0.1",
            $"sentinel monitor {SentinelProcesses.ServiceName} 127.0.0.1 {master.Port} {quorum}",
            $"sentinel down-after-milliseconds {SentinelProcesses.ServiceName} 500",
            $"sentinel failover-timeout {SentinelProcesses.ServiceName} 3000",
        ]);
        process._command = ["redis-server", file, "--sentinel"];
        await process.StartAgainAsync();
        return process;
    }

    private static async Task<RedisProcess> StartAsync(string[] program, string[] arguments)
    {
        var port = EmbeddedGarnet.FreePort();
        var process = new RedisProcess(port, [.. program, "--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", .. arguments]);
        await process.StartAgainAsync();
        return process;
    }

    private static bool IsOnPath(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, program)));

    public async Task StartAgainAsync()
    {
        _process = Process.Start(new ProcessStartInfo(_command[0], [.. _command[1..], "--dir", _folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _process.OutputDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginErrorReadLine();
        await AnswersAsync();
    }

    private async Task AnswersAsync()
    {
        var limit = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, Port);
                await socket.SendAsync("PING\r\n"u8.ToArray());
                var reply = new byte[64];

                // Not one that still loads its data.
                if (await socket.ReceiveAsync(reply) > 0 && reply[0] == '+')
                {
                    return;
                }
            }
            catch (SocketException)
            {
                // Not yet.
            }

            if (limit.Elapsed > TimeSpan.FromSeconds(30))
            {
                throw new TimeoutException("Redis does not answer.");
            }

            await Task.Delay(5);
        }
    }

    public void Stop()
    {
        _process!.Kill();
        _process.WaitForExit();
    }

    public void Pause() => Signal("STOP");

    public void Resume() => Signal("CONT");

    private void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{_process!.Id}"]);
        kill.WaitForExit();
    }

    public void Dispose()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
