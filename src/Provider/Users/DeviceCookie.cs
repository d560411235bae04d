using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Options;
using RedisSessions.Storage;

namespace RedisSessions.Users;

/// <summary>
/// The cookie by which a browser is known again when somebody signs in: for each of its latest users the id of the device that it is to that
/// one, encrypted and signed by data protection. An id is made for one user and counts for no other, so that a cookie that somebody planted makes
/// nobody else's device of it; and the cookie has the same length whoever has signed in, so that it tells one user nothing of another.
/// It goes where the session's cookie goes: same path, domain, SameSite and Secure.
/// </summary>
internal sealed class DeviceCookie(IDataProtectionProvider protection, IOptions<SessionOptions> session, IOptions<UserIndexOptions> options, SessionTimeouts timeouts)
{
    private const string HostPrefix = "__Host-";

    // Users of one browser. The one who was away for longest goes.
    private const int MostUsers = 4;

    // Digest of the user, id of the device, Unix seconds of the sign-in.
    private const int DigestLength = 8;
    private const int IdLength = 16;
    private const int EntryLength = DigestLength + IdLength + sizeof(uint);

    private readonly IDataProtector _protector = protection.CreateProtector("RedisSessions.Devices.v1");

    private CookieBuilder Session => session.Value.Cookie;

    /// <summary>A browser that takes the session's cookie only from this host is to take this one so, too.</summary>
    private string Name => Session.Name?.StartsWith(HostPrefix, StringComparison.OrdinalIgnoreCase) == true
        ? HostPrefix + options.Value.DeviceCookieName.TrimStart('.')
        : options.Value.DeviceCookieName;

    private long Now => timeouts.Now / 1_000;

    /// <summary>Which device of the user's the browser is; null for a new one.</summary>
    public Guid? Read(HttpContext context, string userId)
    {
        var digest = DigestOf(userId);
        foreach (var entry in EntriesOf(Jar(context)))
        {
            if (entry.Span[..DigestLength].SequenceEqual(digest) && IsInTime(entry.Span))
            {
                return new Guid(entry.Span.Slice(DigestLength, IdLength));
            }
        }

        return null;
    }

    /// <summary>Lets the browser be this device of the user's from now on. The response has not started.</summary>
    public void Append(HttpContext context, string userId, Guid device)
    {
        var (jar, digest) = (new byte[EntryLength * MostUsers], DigestOf(userId));
        digest.CopyTo(jar, 0);
        device.TryWriteBytes(jar.AsSpan(DigestLength));
        BinaryPrimitives.WriteUInt32LittleEndian(jar.AsSpan(DigestLength + IdLength), (uint)Now);
        var used = 1;
        foreach (var entry in EntriesOf(Jar(context)))
        {
            if (used < MostUsers && !entry.Span[..DigestLength].SequenceEqual(digest))
            {
                entry.Span.CopyTo(jar.AsSpan(EntryLength * used++));
            }
        }

        // Whoever signs in next with this response goes on from here.
        context.Features.Set(new RequestJar(jar));
        var cookie = Session.Build(context);
        (cookie.HttpOnly, cookie.Expires, cookie.MaxAge) = (true, timeouts.Clock.GetUtcNow() + options.Value.DeviceLifetime, null);
        context.Response.Cookies.Append(Name, WebEncoders.Base64UrlEncode(_protector.Protect(jar)), cookie);
    }

    private byte[] Jar(HttpContext context)
    {
        if (context.Features.Get<RequestJar>() is { } known)
        {
            return known.Bytes;
        }

        var jar = new RequestJar(Unprotect(context.Request.Cookies[Name]));
        context.Features.Set(jar);
        return jar.Bytes;
    }

    private byte[] Unprotect(string? text)
    {
        if (text is null)
        {
            return [];
        }

        try
        {
            return _protector.Unprotect(WebEncoders.Base64UrlDecode(text)) is { Length: EntryLength * MostUsers } jar ? jar : [];
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException)
        {
            // Somebody else's writing, or of a key that is no more: a new device.
            return [];
        }
    }

    private bool IsInTime(ReadOnlySpan<byte> entry) =>
        Now - BinaryPrimitives.ReadUInt32LittleEndian(entry[(DigestLength + IdLength)..]) <= (long)options.Value.DeviceLifetime.TotalSeconds;

    private static IEnumerable<ReadOnlyMemory<byte>> EntriesOf(byte[] jar)
    {
        for (var start = 0; start < jar.Length; start += EntryLength)
        {
            yield return jar.AsMemory(start, EntryLength);
        }
    }

    private static byte[] DigestOf(string userId) => SHA256.HashData(Encoding.UTF8.GetBytes(userId))[..DigestLength];

    private sealed record RequestJar(byte[] Bytes);
}
