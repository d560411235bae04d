using System.Text;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// How the application's keys and this library's metadata share one hash: metadata names begin with one <c>@</c>, and an
/// application's key that begins with <c>@</c> is stored with that <c>@</c> doubled.
/// </summary>
internal static class FieldNames
{
    /// <summary>A fresh random number with every change: the same version is the same content, whatever happened in between.</summary>
    public const string Version = "@v";

    /// <summary><see cref="Version"/> as the client sends it, without another allocation.</summary>
    public static readonly RedisValue VersionField = Version;

    /// <summary>When the session was created, Unix milliseconds.</summary>
    public const string Created = "@c";

    /// <summary>This session's own idle timeout, milliseconds.</summary>
    public const string IdleTimeout = "@i";

    /// <summary>This session's own absolute timeout, milliseconds; 0 means none.</summary>
    public const string AbsoluteTimeout = "@a";

    /// <summary>When the session was last used, Unix milliseconds; only kept once the absolute timeout limits the TTL.</summary>
    public const string LastSeen = "@l";

    /// <summary>When a load was last told that the session's heartbeat is due, Unix milliseconds.</summary>
    public const string Heartbeat = "@h";

    /// <summary>The user to whom the session is bound.</summary>
    public const string UserId = "@u";

    /// <summary>When the user's credentials were checked, Unix milliseconds; missing where nobody knows.</summary>
    public const string SignedInAt = "@s";

    /// <summary>The sign-in's random number, which its ticket carries, too: neither is worth anything without the other.</summary>
    public const string SignInNumber = "@n";

    /// <summary>When the sign-in's ticket expires, Unix milliseconds: the session is over then, too.</summary>
    public const string TicketEnd = "@e";

    /// <summary>Until when the browser is to keep the session's cookie, Unix milliseconds; missing for one that it forgets when it is closed.</summary>
    public const string CookieEnds = "@pe";

    /// <summary>The id under which the session was created; missing until it gets another, and where nobody asks (lifecycle).</summary>
    public const string FirstId = "@f";

    /// <summary>Where values are encrypted: what makes version, metadata and values one; see <see cref="FieldCodec"/>.</summary>
    public const string Seal = "@m";

    /// <summary>
    /// Says that fields of the session expire by themselves, or did once: only where it is there does a script that writes a field look for when the one before was to expire.
    /// </summary>
    public const string HasExpiring = "@x";

    /// <summary>With a field's stored name behind it: when the field expires, Unix milliseconds. Stays when that is over, until the field is written again or another is given an expiry.</summary>
    public const string ExpiryPrefix = "@x:";

    /// <summary>The longest key that Microsoft's session takes, in bytes of UTF-8.</summary>
    public const int KeyLengthLimit = ushort.MaxValue;

    public static bool IsMetadata(string field) => field is ['@', not '@', ..] or "@";

    /// <summary>Whether it says when a field expires.</summary>
    public static bool IsExpiry(string metadata) => metadata.StartsWith(ExpiryPrefix, StringComparison.Ordinal);

    /// <summary>
    /// What is noted in passing, without a new version, and so stands beside the seal: when and where a session was last seen.
    /// Whatever else is written to a hash must come with a new version, and a seal.
    /// </summary>
    public static bool IsNotedInPassing(string metadata) => metadata is Heartbeat or LastSeen or "@na" or "@nb";

    /// <summary>One string for each metadata name, however many sessions have it.</summary>
    public static string Intern(string metadata) => string.IsInterned(metadata) ?? metadata;

    public static string Encode(string key) => key is ['@', ..] ? "@" + key : key;

    public static string Decode(string field) => field is ['@', '@', ..] ? field[1..] : field;

    /// <summary>Throws what Microsoft's session throws for a key that is too long.</summary>
    public static void ThrowIfTooLong(string key)
    {
        if (key.Length > KeyLengthLimit || Encoding.UTF8.GetByteCount(key) > KeyLengthLimit)
        {
            throw new ArgumentOutOfRangeException(nameof(key), $"The key cannot be longer than '{KeyLengthLimit}' when encoded with UTF-8.");
        }
    }

    /// <summary>
    /// Microsoft's session compares keys by their UTF-8 bytes, in which every unpaired surrogate is U+FFFD. Nearly every key
    /// has no surrogate and is returned as it is.
    /// </summary>
    public static string Normalize(string key) =>
        key.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(key)) : key;
}
