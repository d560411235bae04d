namespace RedisSessions.Clients;

/// <summary>
/// Reads User-Agent headers just far enough to name a device to its owner and to tell browser families apart. Not a
/// detection of anything: the header is what the client likes it to be.
/// </summary>
internal static class UserAgents
{
    // The first that is found counts: every browser also claims to be others.
    private static readonly (string Token, string Name)[] Browsers =
    [
        ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Vivaldi/", "Vivaldi"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("MSIE ", "Internet Explorer"), ("Trident/", "Internet Explorer"), ("curl/", "curl"),
    ];

    private static readonly (string Token, string Name)[] Systems =
    [
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"), ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"), ("Linux", "Linux"),
    ];

    public static string DeviceName(string? userAgent)
    {
        if (string.IsNullOrWhiteSpace(userAgent))
        {
            return "Unknown device";
        }

        return (Find(Browsers, userAgent), Find(Systems, userAgent)) switch
        {
            (null, null) => "Unknown device",
            (null, var system) => system,
            (var browser, null) => browser,
            var (browser, system) => $"{browser} on {system}",
        };
    }

    /// <summary>Browser and system without versions, so that an update does not change it.</summary>
    public static string Family(string? userAgent) => string.IsNullOrEmpty(userAgent)
        ? ""
        : Find(Browsers, userAgent) is { } browser ? $"{browser}/{Find(Systems, userAgent)}" : userAgent;

    private static string? Find((string Token, string Name)[] known, string userAgent)
    {
        foreach (var (token, name) in known)
        {
            if (userAgent.Contains(token, StringComparison.Ordinal))
            {
                return name;
            }
        }

        return null;
    }
}
