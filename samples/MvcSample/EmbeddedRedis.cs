using System.Net;
using System.Net.Sockets;
using Garnet;

namespace MvcSample;

/// <summary>A Redis for a machine that has none: Garnet in this process, on a free port, gone with the process.</summary>
public static class EmbeddedRedis
{
    public static string Start(IHostApplicationBuilder builder)
    {
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        var server = new GarnetServer(["--port", $"{port}", "--bind", "127.0.0.1", "--lua", "true", "--lua-transaction-mode", "true", "-q", "true", "--logger-level", "Error"]);
        server.Start();
        builder.Services.AddSingleton(_ => server); // The container disposes what it made.
        return $"127.0.0.1:{port}";
    }
}
