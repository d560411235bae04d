using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace RedisSessions.Sessions;

/// <summary>
/// Replaces and expires the session cookie. SessionMiddleware only ever sets it for a new key, so this does what it does in
/// the same way: the same protector, the same encoding, the same cookie options and the same cache headers; what it writes
/// SessionMiddleware accepts.
/// </summary>
internal sealed class SessionCookie(RememberedCookies cookies, IOptions<SessionOptions> options)
{
    public const int SecretLength = 36;

    /// <summary>The secret in this request's cookie, as SessionMiddleware reads it; null if there is no valid one.</summary>
    public string? Read(HttpContext context)
    {
        var text = context.Request.Cookies[BuilderOf(context).Name!];
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        try
        {
            var bytes = Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));
            var secret = Encoding.UTF8.GetString(cookies.Protector.Unprotect(bytes));
            return secret.Length == SecretLength && !string.IsNullOrWhiteSpace(secret) ? secret : null;
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException)
        {
            // SessionMiddleware meets the same cookie and logs it.
            return null;
        }
    }

    /// <param name="context">The request.</param>
    /// <param name="secret">The session's secret.</param>
    /// <param name="ends">Until when the browser is to keep it; null for what the cookie's options say.</param>
    public void Append(HttpContext context, string secret, DateTimeOffset? ends = null)
    {
        var value = Convert.ToBase64String(cookies.Protector.Protect(Encoding.UTF8.GetBytes(secret))).TrimEnd('=');
        var builder = BuilderOf(context);
        var cookie = builder.Build(context);
        if (ends is not null)
        {
            // A browser takes the age for the more important of the two.
            (cookie.Expires, cookie.MaxAge) = (ends, null);
        }

        context.Response.Cookies.Append(builder.Name!, value, cookie);
        PreventCaching(context.Response.Headers);
    }

    public void Expire(HttpContext context)
    {
        var builder = BuilderOf(context);
        context.Response.Cookies.Delete(builder.Name!, builder.Build(context));
        PreventCaching(context.Response.Headers);
    }

    /// <summary>As this request's SessionMiddleware sees it.</summary>
    private CookieBuilder BuilderOf(HttpContext context) => (context.Features.Get<SessionOptionsInUse>()?.Options ?? options.Value).Cookie;

    private static void PreventCaching(IHeaderDictionary headers)
    {
        headers[HeaderNames.CacheControl] = "no-cache,no-store";
        headers[HeaderNames.Pragma] = "no-cache";
        headers[HeaderNames.Expires] = "-1";
    }
}
