using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.DependencyInjection;

namespace RedisSessions.Sessions;

/// <summary>
/// Data Protection for the session cookie, which remembers what it found in one. A browser sends the same cookie with every request, and to
/// unprotect it takes more of the processor than all the rest of a read.
/// </summary>
/// <remarks>
/// It holds nothing but what Data Protection itself accepted, so nobody fills it with cookies of their own making; it compares all of a cookie, in
/// constant time; it is bounded; and it forgets within a minute, used or not, so that a key that was revoked is refused a minute later than
/// the key ring would, which itself reads only once a day what other processes revoked. What it holds in memory is what a request holds, and the key ring opens.
/// </remarks>
internal sealed class RememberedCookies(IServiceProvider services, TimeProvider clock) : IDataProtectionProvider
{
    // Not before somebody needs it: the key ring may be in Redis, and options that are wrong are reported by the start-up.
    private readonly Lazy<IDataProtector> _protector = new(() => new RememberingProtector(
        services.GetRequiredService<IDataProtectionProvider>().CreateProtector(nameof(SessionMiddleware)), clock));

    /// <summary>SessionMiddleware's.</summary>
    public IDataProtector Protector => _protector.Value;

    public IDataProtector CreateProtector(string purpose) => purpose == nameof(SessionMiddleware)
        ? Protector
        : services.GetRequiredService<IDataProtectionProvider>().CreateProtector(purpose);

    private sealed class RememberingProtector(IDataProtector inner, TimeProvider clock) : IDataProtector
    {
        private readonly Recent<byte[], byte[]> _found = new(clock, Bytes.Comparer);

        public IDataProtector CreateProtector(string purpose) => inner.CreateProtector(purpose);

        public byte[] Protect(byte[] plaintext) => inner.Protect(plaintext);

        public byte[] Unprotect(byte[] protectedData)
        {
            if (_found.Find(protectedData) is { } known)
            {
                return known;
            }

            var plaintext = inner.Unprotect(protectedData);
            _found.Add(protectedData, plaintext);
            return plaintext;
        }
    }

    private sealed class Bytes : IEqualityComparer<byte[]>
    {
        public static Bytes Comparer { get; } = new();

        public bool Equals(byte[]? x, byte[]? y) => CryptographicOperations.FixedTimeEquals(x, y);

        public int GetHashCode(byte[] obj)
        {
            var hash = new HashCode();
            hash.AddBytes(obj);
            return hash.ToHashCode();
        }
    }
}
