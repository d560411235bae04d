using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Options;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>
/// Encrypts values under <see cref="DataKeys"/>, which Data Protection protects with keys that it rotates. What is protected
/// begins with a digest of key and field name; a value that was copied to another field or another session carries the
/// wrong one. Four bytes in front tell an encrypted value from one written before, and how it was encrypted.
/// <para>
/// The seal is a tag over key, version, metadata and values, made with data keys of its own. It is only looked at once values in the clear are
/// refused: until then whoever can write to Redis can plant values anyway, and servers that do not encrypt may still write.
/// </para>
/// </summary>
internal sealed class FieldEncryption(
    IDataProtectionProvider protection,
    IOptions<SessionEncryptionOptions> options,
    SecurityEvents events,
    SessionTimeouts timeouts) : FieldCodec, IDisposable
{
    private const int DigestLength = 16;

    // By how much the clocks of two servers, and Redis's, may differ.
    private const long ClocksDiffer = 5 * 60_000;
    private readonly DataKeys _values = new(protection.CreateProtector("RedisSessions.Fields.v2"), timeouts.Clock);
    private readonly DataKeys _seals = new(protection.CreateProtector("RedisSessions.Seal.v2"), timeouts.Clock);
    private readonly IDataProtector _former = protection.CreateProtector("RedisSessions.Fields.v1");

    private static ReadOnlySpan<byte> Mark => [0xE5, 0x52, 0x53, 0x02];

    // Data Protection itself, value by value.
    private static ReadOnlySpan<byte> FormerMark => [0xE5, 0x52, 0x53, 0x01];

    public override byte[] Encode(string key, string field, byte[] value, long? expires = null)
    {
        Span<byte> digest = stackalloc byte[DigestLength];
        WriteDigest(key, field, expires, digest);
        return _values.Protect(Mark, digest, value);
    }

    public override byte[]? Decode(string key, string field, byte[] stored, long? expires = null)
    {
        var isFormer = stored.AsSpan().StartsWith(FormerMark);
        if (!isFormer && !stored.AsSpan().StartsWith(Mark))
        {
            return options.Value.AcceptUnencrypted ? stored : Refuse(key, field);
        }

        byte[] plain;
        try
        {
            plain = isFormer ? _former.Unprotect(stored[FormerMark.Length..]) : _values.Unprotect(stored.AsSpan(Mark.Length));
        }
        catch (CryptographicException)
        {
            // Its key may be missing for a moment: the value stays, and nothing is done with half of the session.
            Refuse(key, field);
            throw;
        }

        Span<byte> expected = stackalloc byte[DigestLength];
        WriteDigest(key, field, expires, expected);
        return plain.Length >= DigestLength && CryptographicOperations.FixedTimeEquals(expected, plain.AsSpan(0, DigestLength))
            ? plain[DigestLength..]
            : Refuse(key, field);
    }

    public override byte[] Seal(string key, SessionSnapshot session)
    {
        using var text = SessionSeal.TextOf(key, session);
        return _seals.Sign(text);
    }

    public override bool IsSealed(string key, SessionSnapshot session)
    {
        if (options.Value.AcceptUnencrypted)
        {
            return true;
        }

        if (session.Seal is { } seal)
        {
            using var text = SessionSeal.TextOf(key, session);
            if (_seals.IsSigned(seal, text) && HasAllThatLives(session))
            {
                return true;
            }
        }

        Report(key, "the seal");
        return false;
    }

    /// <summary>A value that expires by itself is not under the seal, but when it does is: long before that it may not be missing.</summary>
    private bool HasAllThatLives(SessionSnapshot session)
    {
        foreach (var (name, expires) in session.Fields.Expiries)
        {
            if (expires - timeouts.Now > ClocksDiffer && !session.IsPartial && !session.Fields.TryGet(name, out _))
            {
                return false;
            }
        }

        return true;
    }

    public void Dispose()
    {
        _values.Dispose();
        _seals.Dispose();
    }

    private byte[]? Refuse(string key, string field)
    {
        Report(key, $"field {field}");
        return null;
    }

    private void Report(string key, string what)
    {
        var id = key.LastIndexOf('{') is var at and >= 0 && SessionId.TryParse(key[(at + 1)..].TrimEnd('}'), out var session) ? session : (Guid?)null;
        events.Report(SessionSecurityEventKind.DecryptionFailed, id, detail: what);
    }

    // The key begins with a prefix that is an option, and the number says of what it is.
    private static void WriteDigest(string key, string field, long? expires, Span<byte> destination)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(expires is null ? $"{key}\n{field}" : string.Create(CultureInfo.InvariantCulture, $"{expires}\nexpires\n{key}\n{field}")), digest);
        digest[..DigestLength].CopyTo(destination);
    }
}
