using System.Diagnostics;
using StackExchange.Redis;

namespace RedisSessions.Testing;

/// <summary>A redis-server of a test's own, to stop, pause and restart for real.</summary>
public sealed class RedisProcess : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("redis-sessions-").FullName;
    private readonly string[] _arguments;
    private Process? _process;

    private RedisProcess(int port, string[] arguments)
    {
        Port = port;
        _arguments = arguments;
    }

    public static bool IsInstalled => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, "redis-server")));

    public int Port { get; }

    public string Address => $"127.0.0.1:{Port}";

    public static async Task<RedisProcess> StartAsync(params string[] arguments)
    {
        var process = new RedisProcess(EmbeddedGarnet.FreePort(), arguments);
        await process.StartAgainAsync();
        return process;
    }

    public async Task StartAgainAsync()
    {
        _process = Process.Start(new ProcessStartInfo("redis-server", [
            "--port", $"{Port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", _folder, .. _arguments])
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
