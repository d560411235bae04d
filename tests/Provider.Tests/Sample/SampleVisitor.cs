using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace RedisSessions.Tests.Sample;

/// <summary>Somebody at the sample without a browser: keeps cookies, follows no redirect.</summary>
internal sealed partial class SampleVisitor : IDisposable
{
    private readonly HttpClient _client;

    /// <param name="site">The sample.</param>
    /// <param name="userAgent">What the visitor's browser says it is.</param>
    /// <param name="from">An address of the loopback network to come from.</param>
    public SampleVisitor(Uri site, string? userAgent = null, string? from = null)
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        if (from is not null)
        {
            handler.ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            };
        }

        _client = new HttpClient(handler) { BaseAddress = site };
        if (userAgent is not null)
        {
            _client.DefaultRequestHeaders.UserAgent.ParseAdd(userAgent);
        }
    }

    /// <summary>Every Set-Cookie header that came.</summary>
    public List<string> SetCookies { get; } = [];

    public async Task<HttpStatusCode> StatusAsync(string path)
    {
        using var response = await _client.GetAsync(new Uri(path, UriKind.Relative));
        return response.StatusCode;
    }

    public async Task<string> GetAsync(string path)
    {
        using var response = await _client.GetAsync(new Uri(path, UriKind.Relative));
        Keep(response);
        var page = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{path} answered {(int)response.StatusCode}: {page}");
        return page;
    }

    /// <summary>Sends a form of a page, which answers with a redirect.</summary>
    public async Task PostAsync(string path, string page, params (string Name, string Value)[] fields)
    {
        var (status, body) = await SendAsync(path, page, fields);
        Assert.True(status == HttpStatusCode.Redirect, $"{path} answered {(int)status}: {body}");
    }

    /// <summary>Sends a form of a page, whatever the answer.</summary>
    public async Task<(HttpStatusCode Status, string Body)> SendAsync(string path, string page, params (string Name, string Value)[] fields)
    {
        using var content = new FormUrlEncodedContent(fields.Append(("__RequestVerificationToken", SampleSite.TokenIn(page))).ToDictionary());
        using var response = await _client.PostAsync(new Uri(path, UriKind.Relative), content);
        Keep(response);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    public async Task SignInAsync(string user, string password)
    {
        await PostAsync("/Account/SignIn", await GetAsync("/Account/SignIn"), ("user", user), ("password", password));
        var second = await GetAsync("/Account/Code");
        await PostAsync("/Account/Code", second, ("code", Code().Match(second).Groups[1].Value));
    }

    private void Keep(HttpResponseMessage response)
    {
        if (response.Headers.TryGetValues("Set-Cookie", out var cookies))
        {
            SetCookies.AddRange(cookies);
        }
    }

    public void Dispose() => _client.Dispose();

    [GeneratedRegex("<code id=\"demo-code\">(\\d{6})</code>")]
    private static partial Regex Code();
}
