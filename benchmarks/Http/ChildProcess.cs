using System.Diagnostics;
using System.Net.Sockets;

namespace RedisSessions.Benchmarks.Http;

/// <summary>This program again, in another role.</summary>
internal sealed class ChildProcess : IDisposable
{
    private readonly Process _process;

    private ChildProcess(Process process) => _process = process;

    public static ChildProcess Start(params string[] arguments) => Start([], null, arguments);

    private static ChildProcess Start(string[] by, int? processors, string[] arguments)
    {
        string[] command = [.. by, Environment.ProcessPath!, .. HostArguments(), .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        if (processors is not null)
        {
            start.Environment["DOTNET_PROCESSOR_COUNT"] = $"{processors}";
        }

        return new ChildProcess(Process.Start(start)!);
    }

    /// <param name="contender">Whose site.</param>
    /// <param name="redis">Redis's address.</param>
    /// <param name="port">The site's.</param>
    /// <param name="pinned">The cores that it may run on, as taskset has them; null for all.</param>
    /// <param name="processors">How many it is told that there are; null for as many as there are.</param>
    public static async Task<ChildProcess> StartSiteAsync(string contender, string redis, int port, string? pinned = null, int? processors = null)
    {
        var site = Start(pinned is null ? [] : ["taskset", "-c", pinned], processors, ["site", contender, redis, $"{port}"]);
        var limit = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync("127.0.0.1", port);
                return site;
            }
            catch (SocketException) when (limit.Elapsed < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(20);
            }
        }
    }

    public async Task<string> AskAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
        return await _process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The load generator ended.");
    }

    // Started by "dotnet x.dll" the process is dotnet itself.
    private static string[] HostArguments() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet" ? [typeof(ChildProcess).Assembly.Location] : [];

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
        _process.Dispose();
    }
}
