using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Data Protection whose keys cannot be read for a while; the session cookie's can.</summary>
/// <param name="only">The purpose whose keys these are; null for every one.</param>
internal sealed class KeyRing(string? only = null) : IDataProtectionProvider
{
    private readonly EphemeralDataProtectionProvider _provider = new();

    public bool Fail { get; set; }

    public IDataProtector CreateProtector(string purpose) => purpose == "SessionMiddleware" || (only is not null && purpose != only)
        ? _provider.CreateProtector(purpose)
        : new Protector(this, _provider.CreateProtector(purpose));

    private sealed class Protector(KeyRing ring, IDataProtector inner) : IDataProtector
    {
        public IDataProtector CreateProtector(string purpose) => new Protector(ring, inner.CreateProtector(purpose));

        public byte[] Protect(byte[] plaintext) => inner.Protect(plaintext);

        public byte[] Unprotect(byte[] protectedData) => ring.Fail
            ? throw new CryptographicException("The key ring cannot be read.")
            : inner.Unprotect(protectedData);
    }
}
