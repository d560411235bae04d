using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using RedisSessions.Testing;

namespace RedisSessions.Faults;

/// <summary>An application server in a process of its own, which can be killed.</summary>
public sealed class ChildHost : IDisposable
{
    private readonly int _port = EmbeddedGarnet.FreePort();
    private readonly string[] _arguments;
    private Process? _process;

    public ChildHost(FaultOptions options, string redis, string ring)
    {
        _arguments = ["host", $"{options.Stack}", redis, $"{options.Wait}", ring, $"{_port}"];
        Handler = new SocketsHttpHandler
        {
            UseCookies = false,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(IPAddress.Loopback, _port, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
    }

    public SocketsHttpHandler Handler { get; }

    public async Task StartAsync()
    {
        _process = Process.Start(new ProcessStartInfo("dotnet", [typeof(ChildHost).Assembly.Location, .. _arguments]))!;
        while (true)
        {
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, _port);
                return;
            }
            catch (SocketException) when (!_process.HasExited)
            {
                await Task.Delay(20);
            }
        }
    }

    public Task RestartAsync()
    {
        Kill();
        return StartAsync();
    }

    private void Kill()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process?.Dispose();
    }

    public void Dispose()
    {
        Kill();
        Handler.Dispose();
    }
}
