using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Net.Http.Headers;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Keeps cookies as a browser does, and lets a test look at them, copy them and send old ones.</summary>
public sealed class Browser(HttpMessageHandler server, IDataProtectionProvider? protection = null)
{
    public const string SessionCookie = ".AspNetCore.Session";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, string> _cookies = [];

    public HttpMessageHandler Server { get; set; } = server;

    public Dictionary<string, string> Headers { get; } = [];

    public IReadOnlyDictionary<string, string> Cookies
    {
        get
        {
            lock (_lock)
            {
                return new Dictionary<string, string>(_cookies);
            }
        }
    }

    public void SetCookie(string name, string value)
    {
        lock (_lock)
        {
            _cookies[name] = value;
        }
    }

    /// <summary>Somebody else with the same cookies.</summary>
    public Browser Copy()
    {
        var copy = new Browser(Server, protection);
        foreach (var (name, value) in Cookies)
        {
            copy.SetCookie(name, value);
        }

        return copy;
    }

    public async Task<string> GetAsync(string path)
    {
        using var response = await SendAsync(HttpMethod.Get, path);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{path} answered {(int)response.StatusCode}: {body}");
        return body;
    }

    /// <summary>As <see cref="GetAsync"/>, for a page that may fail: the in-memory server hands its exception to the client.</summary>
    public async Task<(HttpStatusCode Status, string Body)> TryAsync(string path)
    {
        try
        {
            using var response = await SendAsync(HttpMethod.Get, path);
            return (response.StatusCode, await response.Content.ReadAsStringAsync());
        }
        catch (Exception exception)
        {
            return (HttpStatusCode.InternalServerError, exception.ToString());
        }
    }

    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? content = null)
    {
        using var client = new HttpClient(Server, disposeHandler: false) { BaseAddress = new Uri("http://localhost") };
        using var request = new HttpRequestMessage(method, path) { Content = content };
        foreach (var (name, value) in Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var cookies = Cookies;
        if (cookies.Count > 0)
        {
            request.Headers.Add(HeaderNames.Cookie, string.Join("; ", cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        }

        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Keep(response.Headers);
        return response;
    }

    private void Keep(HttpResponseHeaders headers)
    {
        if (!headers.TryGetValues(HeaderNames.SetCookie, out var values))
        {
            return;
        }

        lock (_lock)
        {
            foreach (var cookie in SetCookieHeaderValue.ParseList([.. values]))
            {
                if (cookie.Expires <= DateTimeOffset.UtcNow)
                {
                    _cookies.Remove(cookie.Name.Value!);
                }
                else
                {
                    _cookies[cookie.Name.Value!] = cookie.Value.Value!;
                    if (cookie.Name == SessionCookie)
                    {
                        NoSecretInAnyLog.AddCookie(cookie.Value.Value!, protection);
                    }
                }
            }
        }
    }
}
