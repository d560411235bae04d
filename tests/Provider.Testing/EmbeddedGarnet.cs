using System.Net;
using System.Net.Sockets;
using Garnet;

namespace RedisSessions.Testing;

/// <summary>Garnet in this process, on a free port.</summary>
public sealed class EmbeddedGarnet : IDisposable
{
    private readonly GarnetServer _server;

    public EmbeddedGarnet()
    {
        var port = FreePort();

        // Without transaction mode a script's steps are seen one by one.
        _server = new GarnetServer(["--port", $"{port}", "--bind", "127.0.0.1", "--lua", "true", "--lua-transaction-mode", "true", "-q", "true", "--logger-level", "Error"]);
        _server.Start();
        Address = $"127.0.0.1:{port}";
    }

    public string Address { get; }

    public void Dispose() => _server.Dispose();

    /// <summary>A port that was free a moment ago.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
