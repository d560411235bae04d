using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using RedisSessions.Clients;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>What a session notes of its browser, trait by trait, and what a request shows of it.</summary>
internal sealed class BrowserTraits(IOptions<SessionSecurityOptions> options)
{
    private const string Address = "@ba";
    private const string UserAgent = "@bu";
    private const string Fingerprint = "@bf";

    // Browsers of one kind say the same of themselves, with every request.
    private readonly Memo _digests = new(Digest);
    private readonly Memo _families = new(static userAgent => Digest(UserAgents.Family(userAgent)));

    private SessionSecurityOptions Options => options.Value;

    /// <summary>Whether the session notes any trait at all; one from before this was turned on does not.</summary>
    public static bool AreNoted(SessionSnapshot stored) =>
        stored.GetMetadata(Address) is not null || stored.GetMetadata(UserAgent) is not null || stored.GetMetadata(Fingerprint) is not null;

    public void Note(HttpContext context, Action<string, string?> set)
    {
        Set(Address, AddressOf(context));
        Set(UserAgent, UserAgentOf(context));
        Set(Fingerprint, FingerprintOf(context));

        void Set(string field, string? value)
        {
            if (value is not null)
            {
                set(field, value);
            }
        }
    }

    /// <summary>The first trait that differs, and what is to be done about that; null if none does.</summary>
    public (string Reason, BindingAction Action)? Difference(SessionSnapshot stored, HttpContext context)
    {
        if (Differs(Address, AddressOf))
        {
            return ("address", Options.AddressAction);
        }

        if (Differs(UserAgent, UserAgentOf))
        {
            return ("user agent", Options.UserAgentAction);
        }

        return Differs(Fingerprint, FingerprintOf) ? ("fingerprint", Options.FingerprintAction) : null;

        // A trait that one side does not have is no difference: options may change while sessions live.
        bool Differs(string field, Func<HttpContext, string?> shown) =>
            stored.GetMetadata(field) is { } noted && shown(context) is { } now && noted != now;
    }

    private string? AddressOf(HttpContext context) => Options.Address switch
    {
        AddressBinding.Exact => ClientAddress.Of(context.Connection.RemoteIpAddress),
        AddressBinding.Network => Options.NetworkOf(context.Connection.RemoteIpAddress),
        _ => null,
    };

    // A digest: the header may be long, and nobody needs to read it here.
    private string? UserAgentOf(HttpContext context) => Options.UserAgent switch
    {
        UserAgentBinding.Exact => _digests.Of(context.Request.Headers[HeaderNames.UserAgent].ToString()),
        UserAgentBinding.Family => _families.Of(context.Request.Headers[HeaderNames.UserAgent].ToString()),
        _ => null,
    };

    private string? FingerprintOf(HttpContext context)
    {
        if (!Options.Fingerprint)
        {
            return null;
        }

        var text = new StringBuilder();
        foreach (var header in Options.FingerprintHeaders)
        {
            text.Append(header).Append(':').Append(context.Request.Headers[header].ToString()).Append('\n');
        }

        return _digests.Of(text.ToString());
    }

    private static string Digest(string text) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));
}
