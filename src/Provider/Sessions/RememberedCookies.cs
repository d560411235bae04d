using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection;

namespace RedisSessions.Sessions;

/// <summary>
/// Data Protection for the session cookie, which remembers what it found in one. A browser sends the same cookie with every request, and to
/// unprotect it takes half as much of the processor as all the rest of a read.
/// </summary>
/// <remarks>
/// It holds nothing but what Data Protection itself accepted, so nobody fills it with cookies of their own making; it compares all of a cookie, in
/// constant time; it is bounded; and it answers with nothing older than a minute, used or not, so that a key that was revoked is refused a minute later
/// than the key ring would, which itself reads only once a day what other processes revoked. In memory are the secrets of the last minute in which somebody came,
/// beside the key ring that opens them all.
/// <para>
/// Of the framework's Data Protection alone: another one may decide anew with every call, by tenant or by time.
/// </para>
/// </remarks>
internal sealed class RememberedCookies(IServiceProvider services, TimeProvider clock) : IDataProtectionProvider
{
    // Not before somebody needs it: the key ring may be in Redis, and options that are wrong are reported by the start-up. A failure is not kept.
    private readonly Lazy<IDataProtector> _protector = new(() => Make(services, clock), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>SessionMiddleware's. What it answers belongs to all that ask, and is not to be changed.</summary>
    public IDataProtector Protector => _protector.Value;

    public IDataProtector CreateProtector(string purpose) => purpose == nameof(SessionMiddleware)
        ? Protector
        : services.GetRequiredService<IDataProtectionProvider>().CreateProtector(purpose);

    private static IDataProtector Make(IServiceProvider services, TimeProvider clock)
    {
        var protection = services.GetRequiredService<IDataProtectionProvider>();
        var protector = protection.CreateProtector(nameof(SessionMiddleware));
        return protection.GetType().Assembly == typeof(DataProtectionOptions).Assembly ? new RememberingProtector(protector, clock) : protector;
    }

    private sealed class RememberingProtector(IDataProtector inner, TimeProvider clock) : IDataProtector
    {
        // SessionMiddleware's are of 132 bytes.
        private const int Longest = 512;

        private readonly Recent<byte[], byte[]> _found = new(clock, ByteArrayComparer.Instance);

        public IDataProtector CreateProtector(string purpose) => inner.CreateProtector(purpose);

        public byte[] Protect(byte[] plaintext) => inner.Protect(plaintext);

        public byte[] Unprotect(byte[] protectedData)
        {
            if (protectedData.Length > Longest)
            {
                return inner.Unprotect(protectedData);
            }

            if (_found.Find(protectedData) is { } known)
            {
                return known;
            }

            var plaintext = inner.Unprotect(protectedData);
            _found.Add(protectedData, plaintext);
            return plaintext;
        }
    }
}

/// <summary>Bytes by their content, compared in constant time.</summary>
internal sealed class ByteArrayComparer : IEqualityComparer<byte[]>
{
    public static ByteArrayComparer Instance { get; } = new();

    public bool Equals(byte[]? x, byte[]? y) => CryptographicOperations.FixedTimeEquals(x, y);

    public int GetHashCode(byte[] obj)
    {
        var hash = new HashCode();
        hash.AddBytes(obj);
        return hash.ToHashCode();
    }
}
