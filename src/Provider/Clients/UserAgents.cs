using System.Buffers;
using System.Text;

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

    private static readonly SearchValues<char> VersionCharacters = SearchValues.Create("0123456789.-_v");

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

    /// <summary>
    /// What stays the same while a browser is updated, its phone turned or the desktop site asked for: the product without versions, and the
    /// systems that pass for one another. Of an agent that is not known, such as an application's own, the products' names.
    /// </summary>
    public static string Family(string? userAgent)
    {
        if (string.IsNullOrEmpty(userAgent))
        {
            return "";
        }

        var system = Find(Systems, userAgent) switch
        {
            "Android" or "Linux" => "Linux",
            "iPhone" or "iPad" or "macOS" => "Apple",
            var other => other,
        };
        return $"{Find(Browsers, userAgent) ?? ProductsOf(userAgent)}/{system}";
    }

    /// <summary>Names before a slash, comments left out (RFC 9110, 10.1.5): builds, devices and versions of systems are all in those.</summary>
    private static string ProductsOf(string userAgent)
    {
        var text = new StringBuilder(userAgent.Length);
        var depth = 0;
        foreach (var character in userAgent)
        {
            depth += character == '(' ? 1 : 0;
            if (depth == 0)
            {
                text.Append(character);
            }

            depth -= character == ')' && depth > 0 ? 1 : 0;
        }

        var products = new List<string>();
        foreach (var product in text.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var name = product.Split('/', 2)[0];
            if (name.AsSpan().ContainsAnyExcept(VersionCharacters))
            {
                products.Add(name);
            }
        }

        // Nothing but a comment, or nothing but numbers: then all of it is the name.
        return products.Count > 0 ? string.Join(' ', products) : userAgent;
    }

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
