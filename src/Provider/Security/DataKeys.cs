using System.Buffers.Binary;
using System.Collections.Concurrent;
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
/// <para>
/// Nonces are counted (NIST SP 800-38D, 8.2.1): only the process that made a data key ever encrypts under it, and each process makes its own.
/// </para>
/// </remarks>
internal sealed class DataKeys(IDataProtector protector, TimeProvider clock) : IDisposable
{
    private const int IdLength = 16;
    private const int KeyLength = 32;
    private const int NonceLength = 12;
    private const int TagLength = 16;
    private const int Overhead = IdLength + sizeof(ushort) + NonceLength + TagLength;

    // Also how long a key that Data Protection has since revoked may still be used to read.
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = 10_000 });
    private DataKey? _current;

    /// <summary>Encrypts two parts as one.</summary>
    /// <param name="mark">Goes in front, as it is.</param>
    /// <param name="first">The first part.</param>
    /// <param name="second">The second part.</param>
    public byte[] Protect(ReadOnlySpan<byte> mark, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        var key = Current();
        var stored = new byte[mark.Length + key.Header.Length + NonceLength + TagLength + first.Length + second.Length];
        mark.CopyTo(stored);
        var text = stored.AsSpan(stored.Length - first.Length - second.Length);
        first.CopyTo(text);
        second.CopyTo(text[first.Length..]);
        key.Encrypt(stored.AsSpan(mark.Length), text, key.Header);
        return stored;
    }

    /// <exception cref="CryptographicException">It was changed, or its key cannot be had, at least now.</exception>
    public byte[] Unprotect(ReadOnlySpan<byte> stored)
    {
        var text = Open(stored, out var header, out var nonce, out var tag);
        var plain = new byte[text.Length];
        KeyOf(header).Decrypt(nonce, text, tag, plain, header);
        return plain;
    }

    /// <summary>A tag for a text, which is not in it.</summary>
    /// <param name="text">What is signed; spent afterwards.</param>
    public byte[] Sign(PooledText text)
    {
        var key = Current();
        var signature = new byte[key.Header.Length + NonceLength + TagLength];
        text.Add(key.Header);
        key.Encrypt(signature, [], text.Written);
        return signature;
    }

    /// <summary>Whether it is the tag of that text.</summary>
    /// <param name="signature">The tag.</param>
    /// <param name="text">What was signed; spent afterwards.</param>
    /// <exception cref="CryptographicException">Its key cannot be had, at least now; or it never was a tag.</exception>
    public bool IsSigned(ReadOnlySpan<byte> signature, PooledText text)
    {
        if (!Open(signature, out var header, out var nonce, out var tag).IsEmpty)
        {
            return false;
        }

        text.Add(header);
        try
        {
            KeyOf(header).Decrypt(nonce, [], tag, [], text.Written);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    public void Dispose() => _known.Dispose();

    private static ReadOnlySpan<byte> Open(ReadOnlySpan<byte> stored, out ReadOnlySpan<byte> header, out ReadOnlySpan<byte> nonce, out ReadOnlySpan<byte> tag)
    {
        var length = stored.Length < Overhead ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(stored[IdLength..]);
        if (stored.Length < Overhead + length)
        {
            throw new CryptographicException("The protected value is too short.");
        }

        header = stored[..(IdLength + sizeof(ushort) + length)];
        nonce = stored.Slice(header.Length, NonceLength);
        tag = stored.Slice(header.Length + NonceLength, TagLength);
        return stored[(Overhead + length)..];
    }

    private DataKey Current()
    {
        var now = clock.GetUtcNow();
        if (Volatile.Read(ref _current) is { } current && now < current.Ends)
        {
            return current;
        }

        // Where several threads make one, each uses its own, once.
        Span<byte> identified = stackalloc byte[IdLength + KeyLength];
        var id = Guid.NewGuid();
        id.TryWriteBytes(identified);
        RandomNumberGenerator.Fill(identified[IdLength..]);
        var isProtected = protector.Protect(identified.ToArray());
        var header = new byte[IdLength + sizeof(ushort) + isProtected.Length];
        identified[..IdLength].CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(IdLength), (ushort)isProtected.Length);
        isProtected.CopyTo(header, IdLength + sizeof(ushort));
        var made = new DataKey(header, identified[IdLength..].ToArray(), now + Lifetime);
        Keep(id, made);
        Volatile.Write(ref _current, made);
        return made;
    }

    private DataKey KeyOf(ReadOnlySpan<byte> header)
    {
        var id = new Guid(header[..IdLength]);
        if (_known.TryGetValue(id, out DataKey? known))
        {
            return known!;
        }

        var identified = protector.Unprotect(header[(IdLength + sizeof(ushort))..].ToArray());
        if (identified.Length != IdLength + KeyLength || new Guid(identified.AsSpan(0, IdLength)) != id)
        {
            throw new CryptographicException("The data key is another's.");
        }

        var key = new DataKey(header.ToArray(), identified[IdLength..], ends: default);
        Keep(id, key);
        return key;
    }

    private void Keep(Guid id, DataKey key) =>
        _known.Set(id, key, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Lifetime });

    private sealed class DataKey(byte[] header, byte[] secret, DateTimeOffset ends)
    {
        // One instance serves one thread at a time, and costs as much to make as a short value to encrypt.
        private readonly ConcurrentQueue<AesGcm> _ciphers = new();
        private long _uses;

        public byte[] Header { get; } = header;

        public DateTimeOffset Ends { get; } = ends;

        /// <summary>Writes header, nonce and tag to the beginning of <paramref name="stored"/>, and encrypts the text where it is.</summary>
        public void Encrypt(Span<byte> stored, Span<byte> text, ReadOnlySpan<byte> associated)
        {
            Header.CopyTo(stored);
            var nonce = stored.Slice(Header.Length, NonceLength);
            BinaryPrimitives.WriteInt64LittleEndian(nonce, Interlocked.Increment(ref _uses));
            var cipher = Take();
            cipher.Encrypt(nonce, text, text, stored.Slice(Header.Length + NonceLength, TagLength), associated);
            _ciphers.Enqueue(cipher);
        }

        public void Decrypt(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> text, ReadOnlySpan<byte> tag, Span<byte> plain, ReadOnlySpan<byte> associated)
        {
            var cipher = Take();
            cipher.Decrypt(nonce, text, tag, plain, associated);
            _ciphers.Enqueue(cipher);
        }

        private AesGcm Take() => _ciphers.TryDequeue(out var cipher) ? cipher : new AesGcm(secret, TagLength);
    }
}
