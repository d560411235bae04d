using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using RedisSessions.Clients;
using RedisSessions.Storage;

namespace RedisSessions.Users;

/// <summary>What the index keeps in a session's hash, as metadata.</summary>
internal static class UserFields
{
    public const string UserId = FieldNames.UserId;
    public const string SignedInAt = FieldNames.SignedInAt;
    public const string SignInNumber = FieldNames.SignInNumber;

    /// <summary>The authentication scheme that bound it; missing where nobody knows.</summary>
    public const string Scheme = "@k";

    public const string TicketEnd = FieldNames.TicketEnd;

    /// <summary>The user's revocation that it was begun under: see <see cref="UserIndexScripts"/>.</summary>
    public const string Revocation = "@r";

    /// <summary>For how long a persistent sign-in is remembered unused, milliseconds; missing for one that is not persistent.</summary>
    public const string PersistentLife = "@pl";

    /// <summary>The sign-in's ticket, protected, where it is kept in its session.</summary>
    public const string Ticket = "@t";

    /// <summary>The sign-in at an identity provider that it was begun with: see <see cref="ProviderIndex"/>.</summary>
    public const string Origin = "@o";

    /// <summary>The device that the user signed in on; missing where devices are not remembered.</summary>
    public const string Device = "@d";

    public const string SignInAddress = "@sa";
    public const string SignInUserAgent = "@sb";
    public const string Address = "@na";
    public const string UserAgent = "@nb";

    // A hostile header must not fill Redis.
    private const int MaxUserAgentLength = 256;

    public static string AddressOf(HttpContext? context) => ClientAddress.Of(context?.Connection.RemoteIpAddress);

    public static string UserAgentOf(HttpContext? context)
    {
        return Bounded(context?.Request.Headers[HeaderNames.UserAgent].ToString() ?? "");
    }

    public static string Bounded(string agent)
    {
        return agent.Length <= MaxUserAgentLength ? agent : agent[..MaxUserAgentLength];
    }
}
