using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.WebUtilities;

namespace RedisSessions.Users;

/// <summary>What an authentication ticket says of its sign-in, under the application's protection.</summary>
internal readonly struct SignInTicket(AuthenticationProperties properties)
{
    private const string NumberItem = ".RedisSessions.n";
    private const string SignedInItem = ".RedisSessions.s";
    private const string EndedItem = ".RedisSessions.ended";
    private const string UnboundItem = ".RedisSessions.unbound";
    private const int NumberBytes = 16;

    /// <summary>The sign-in's number; null for a ticket from before this library.</summary>
    public string? Number
    {
        get => properties.Items.TryGetValue(NumberItem, out var number) ? number : null;
        set => properties.Items[NumberItem] = value;
    }

    /// <summary>When credentials were checked, Unix milliseconds.</summary>
    public long? SignedInAt
    {
        get => NumberOf(SignedInItem);
        set => Set(SignedInItem, value);
    }

    /// <summary>When the sign-in was made, if no session was bound then, because Redis was away; in UTC ticks.</summary>
    public long? UnboundSince
    {
        get => NumberOf(UnboundItem);
        set => Set(UnboundItem, value);
    }

    /// <summary>Whether it stands for a sign-in that is over: see <see cref="Ended"/>.</summary>
    public bool IsEnded => properties.Items.ContainsKey(EndedItem);

    /// <summary>What a ticket store answers for a sign-in that is over: nobody, so that its cookie is cleared as for any ticket that is refused.</summary>
    public static AuthenticationTicket Ended(string scheme, string number)
    {
        var properties = new AuthenticationProperties();
        properties.Items[EndedItem] = "";
        _ = new SignInTicket(properties) { Number = number };
        return new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity()), properties, scheme);
    }

    public static string NewNumber() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(NumberBytes));

    /// <summary>
    /// The number of a ticket that has none: the same for every copy of it, and for no other ticket. It is taken from the cookie's bytes,
    /// not from its text, for one text may be spelt in several ways.
    /// </summary>
    public static string? DerivedNumber(CookieValidatePrincipalContext context)
    {
        if (context.Options.CookieManager.GetRequestCookie(context.HttpContext, context.Options.Cookie.Name!) is not { Length: > 0 } cookie)
        {
            return null;
        }

        byte[] bytes;
        try
        {
            bytes = WebEncoders.Base64UrlDecode(cookie);
        }
        catch (FormatException)
        {
            // The application's own format.
            bytes = Encoding.UTF8.GetBytes(cookie);
        }

        return Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, NumberBytes));
    }

    private long? NumberOf(string item) =>
        properties.Items.TryGetValue(item, out var text) && long.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : null;

    private void Set(string item, long? value)
    {
        if (value is { } number)
        {
            properties.Items[item] = number.ToString(CultureInfo.InvariantCulture);
        }
        else
        {
            properties.Items.Remove(item);
        }
    }
}
