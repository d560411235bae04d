using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Caching.Memory;

namespace RedisSessions.Security;

/// <summary>
/// Envelope encryption: AES-256-GCM under data keys of this server, each of which goes with what it protects, itself protected by Data
/// Protection. So Data Protection works once for a data key instead of once for a value, which costs ten times as much.
/// </summary>
/// <remarks>
/// What is protected is the id of the data key, the length of the protected key, that key, a nonce, a tag and the ciphertext. The id is
/// protected with the key, so that nobody can have a key taken for another's.
/// </remarks>
internal sealed class DataKeys(IDataProtector protector, TimeProvider clock) : IDisposable
{
    private const int IdLength = 16;
    private const int KeyLength = 32;
    private const int NonceLength = 12;
    private const int TagLength = 16;
    private const int Overhead = IdLength + sizeof(ushort) + NonceLength + TagLength;

    // Nonces are random: NIST SP 800-38D, 8.3, allows 2^32 under one key.
    private const int MostUses = 1 << 30;

    // Also how long a key that Data Protection has since revoked may still be used to read.
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = 10_000 });
    private DataKey? _current;

    public byte[] Protect(ReadOnlySpan<byte> plain)
    {
        var key = Current();
        var header = IdLength + sizeof(ushort) + key.Protected.Length;
        var stored = new byte[Overhead + key.Protected.Length + plain.Length];
        key.Id.TryWriteBytes(stored);
        BinaryPrimitives.WriteUInt16LittleEndian(stored.AsSpan(IdLength), (ushort)key.Protected.Length);
        key.Protected.CopyTo(stored, IdLength + sizeof(ushort));
        var nonce = stored.AsSpan(header, NonceLength);
        RandomNumberGenerator.Fill(nonce);

        // One instance serves one thread at a time.
        using var cipher = new AesGcm(key.Secret, TagLength);
        cipher.Encrypt(nonce, plain, stored.AsSpan(header + NonceLength + TagLength), stored.AsSpan(header + NonceLength, TagLength), stored.AsSpan(0, header));
        return stored;
    }

    /// <exception cref="CryptographicException">It was changed, or its key cannot be had, at least now.</exception>
    public byte[] Unprotect(ReadOnlySpan<byte> stored)
    {
        var keyLength = stored.Length < Overhead ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(stored[IdLength..]);
        if (stored.Length < Overhead + keyLength)
        {
            throw new CryptographicException("The protected value is too short.");
        }

        var header = IdLength + sizeof(ushort) + keyLength;
        var secret = SecretOf(new Guid(stored[..IdLength]), stored[(IdLength + sizeof(ushort))..header]);
        var plain = new byte[stored.Length - header - NonceLength - TagLength];
        using var cipher = new AesGcm(secret, TagLength);
        cipher.Decrypt(stored.Slice(header, NonceLength), stored[(header + NonceLength + TagLength)..], stored.Slice(header + NonceLength, TagLength), plain, stored[..header]);
        return plain;
    }

    public void Dispose() => _known.Dispose();

    private DataKey Current()
    {
        var now = clock.GetUtcNow();
        if (Volatile.Read(ref _current) is { } current && now < current.Ends && current.Use() < MostUses)
        {
            return current;
        }

        // Where several threads make one, each uses its own, once.
        Span<byte> identified = stackalloc byte[IdLength + KeyLength];
        var id = Guid.NewGuid();
        id.TryWriteBytes(identified);
        RandomNumberGenerator.Fill(identified[IdLength..]);
        var made = new DataKey(id, identified[IdLength..].ToArray(), protector.Protect(identified.ToArray()), now + Lifetime);
        Keep(id, made.Secret);
        Volatile.Write(ref _current, made);
        return made;
    }

    private byte[] SecretOf(Guid id, ReadOnlySpan<byte> isProtected)
    {
        if (_known.TryGetValue(id, out byte[]? known))
        {
            return known!;
        }

        var identified = protector.Unprotect(isProtected.ToArray());
        if (identified.Length != IdLength + KeyLength || new Guid(identified.AsSpan(0, IdLength)) != id)
        {
            throw new CryptographicException("The data key is another's.");
        }

        var secret = identified[IdLength..];
        Keep(id, secret);
        return secret;
    }

    private void Keep(Guid id, byte[] secret) =>
        _known.Set(id, secret, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Lifetime });

    private sealed class DataKey(Guid id, byte[] secret, byte[] isProtected, DateTimeOffset ends)
    {
        private int _uses;

        public Guid Id { get; } = id;

        public byte[] Secret { get; } = secret;

        public byte[] Protected { get; } = isProtected;

        public DateTimeOffset Ends { get; } = ends;

        public int Use() => Interlocked.Increment(ref _uses);
    }
}
