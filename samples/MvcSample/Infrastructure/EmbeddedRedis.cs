using System.Net;
using System.Net.Sockets;
using Garnet;
using StackExchange.Redis;

namespace MvcSample.Infrastructure;

/// <summary>A Redis for a machine that has none: Garnet in this process, on a free port, gone with the process.</summary>
public static class EmbeddedRedis
{
    public static string Start(IHostApplicationBuilder builder)
    {
        Console.WriteLine("Sessions are kept in an in-process Garnet and end with this process; set ConnectionStrings__Redis=host:port to use a Redis.");
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        // Without transaction mode another request might see a script half done.
        var server = new GarnetServer(["--port", $"{port}", "--bind", "127.0.0.1", "--lua", "true", "--lua-transaction-mode", "true", "-q", "true", "--logger-level", "Error"]);
        server.Start();
        builder.Services.AddSingleton(_ => server); // The container disposes what it made.

        // It shares the site's processors, and its first script waits for the compiler: on a busy machine that takes longer than a Redis may.
        return $"127.0.0.1:{port},asyncTimeout=20000,syncTimeout=20000";
    }

    /// <summary>The site starts also while Redis is away, and is there when Redis is.</summary>
    public static ConfigurationOptions Patient(this ConfigurationOptions options)
    {
        options.AbortOnConnectFail = false;
        return options;
    }
}
