using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace RedisSessions.Storage;

/// <summary>
/// A session has two names. The secret key travels in the protected cookie and is known to the browser alone; the id is
/// derived from it one way, so that it can be stored, logged, shown and revoked by without giving the session away.
/// </summary>
internal static class SessionId
{
    /// <summary>The id of a secret: the first 16 bytes of SHA-256 over it, read as a GUID.</summary>
    public static Guid Derive(string secret)
    {
        // SessionMiddleware hands out 36 ASCII characters; a store that is called directly may use any string.
        var length = Encoding.UTF8.GetByteCount(secret);
        Span<byte> utf8 = length <= 256 ? stackalloc byte[length] : new byte[length];
        Encoding.UTF8.GetBytes(secret, utf8);

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8, hash);
        return new Guid(hash[..16]);
    }

    /// <summary>A new secret, of the form that SessionMiddleware makes and accepts: 128 random bits printed as a GUID.</summary>
    public static string NewSecret()
    {
        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        return new Guid(random).ToString();
    }

    /// <summary>Reads an id as <c>ISession.Id</c> prints it. Anything else names no session.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out Guid id) => Guid.TryParseExact(text, "D", out id);
}
