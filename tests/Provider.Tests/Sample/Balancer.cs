using System.Net;
using System.Net.Sockets;

namespace RedisSessions.Tests.Sample;

/// <summary>Stands before several instances of a site: connections go to one after the other, and past one that is not there.</summary>
internal sealed class Balancer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Uri[] _instances;

    public Balancer(params Uri[] instances)
    {
        _instances = instances;
        _listener.Start();
        _ = AcceptAsync();
    }

    public Uri Address => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    private async Task AcceptAsync()
    {
        try
        {
            for (var next = 0; ; next++)
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(), next);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(TcpClient browser, int next)
    {
        using (browser)
        {
            for (var tried = 0; tried < _instances.Length; tried++)
            {
                using var instance = new TcpClient();
                try
                {
                    await instance.ConnectAsync(IPAddress.Loopback, _instances[(next + tried) % _instances.Length].Port);
                }
                catch (SocketException)
                {
                    continue;
                }

                try
                {
                    await Task.WhenAny(browser.GetStream().CopyToAsync(instance.GetStream()), instance.GetStream().CopyToAsync(browser.GetStream()));
                }
                catch (Exception exception) when (exception is IOException or ObjectDisposedException)
                {
                    // Either side is gone.
                }

                return;
            }
        }
    }

    public void Dispose() => _listener.Stop();
}
