using System.Globalization;
using Microsoft.Net.Http.Headers;

namespace RedisSessions.Faults;

/// <summary>One browser with one session, and what it was told is stored.</summary>
public sealed class FleetBrowser(HttpMessageHandler[] hosts, string user)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, string> _cookies = [];

    public string User => user;

    public async Task<(bool Ok, string Body, string? Why)> TryAsync(int host, string path, CancellationToken cancellationToken)
    {
        try
        {
            using var client = new HttpMessageInvoker(hosts[host], disposeHandler: false);
            using var request = new HttpRequestMessage(HttpMethod.Get, "http://localhost" + path);
            request.Headers.TryAddWithoutValidation(FleetHost.UserHeader, user);
            lock (_lock)
            {
                if (_cookies.Count > 0)
                {
                    request.Headers.TryAddWithoutValidation(HeaderNames.Cookie, string.Join("; ", _cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
                }
            }

            using var response = await client.SendAsync(request, cancellationToken);
            if (response.Headers.TryGetValues(HeaderNames.SetCookie, out var values))
            {
                lock (_lock)
                {
                    foreach (var cookie in SetCookieHeaderValue.ParseList([.. values]))
                    {
                        _cookies[cookie.Name.Value!] = cookie.Value.Value!;
                    }
                }
            }

            return (response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(cancellationToken), response.IsSuccessStatusCode ? null : $"status {(int)response.StatusCode}");
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return (false, "", $"{exception.GetType().Name}: {exception.Message}");
        }
    }

    /// <summary>As often as it takes: what is looked at after the fault.</summary>
    public async Task<string> GetAsync(int host, string path)
    {
        var limit = Environment.TickCount64 + 30_000;
        while (true)
        {
            var (ok, body, why) = await TryAsync(host, path, CancellationToken.None);
            if (ok || Environment.TickCount64 > limit)
            {
                return ok ? body : "unreachable: " + why;
            }

            await Task.Delay(50);
        }
    }

    public static int Number(string text) => int.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
