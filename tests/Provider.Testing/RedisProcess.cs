using System.Diagnostics;
using StackExchange.Redis;

namespace RedisSessions.Testing;

/// <summary>A redis-server of a test's own, to stop, pause and restart for real.</summary>
public sealed class RedisProcess : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("redis-sessions-").FullName;
    private readonly string[] _command;
    private Process? _process;

    private RedisProcess(int port, string[] command)
    {
        Port = port;
        _command = command;
    }

    public static bool IsInstalled => IsOnPath("redis-server");

    public int Port { get; }

    public string Address => $"127.0.0.1:{Port}";

    public static Task<RedisProcess> StartAsync(params string[] arguments) => StartAsync(["redis-server"], arguments);

    /// <summary>
    /// In a terminal session of its own, as a service has. Linux shares the processors between sessions before it shares them
    /// between threads: in ours, Redis would count as one of the many threads of the process that it serves.
    /// </summary>
    public static Task<RedisProcess> StartAsServiceAsync() => StartAsync(IsOnPath("setsid") ? ["setsid", "redis-server"] : ["redis-server"], []);

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
                await using var connection = await ConnectionMultiplexer.ConnectAsync($"{Address},connectTimeout=1000,connectRetry=1");
                await connection.GetDatabase().PingAsync();
                return;
            }
            catch (RedisException) when (limit.Elapsed < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(5);
            }
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
