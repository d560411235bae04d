using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Time.Testing;
using RedisSessions.Security;

namespace RedisSessions.Tests.Security;

/// <summary>Data keys: one server protects, another reads, and whoever is between them can do nothing but break it.</summary>
public sealed class DataKeysTests
{
    private static readonly byte[] Plain = "4111-1111-1111-1111"u8.ToArray();
    private readonly IDataProtectionProvider _ring = new EphemeralDataProtectionProvider();
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UtcNow);

    private DataKeys Server(IDataProtectionProvider? ring = null) => new((ring ?? _ring).CreateProtector("test"), _clock);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    public void One_server_reads_what_another_protected(int length)
    {
        using var first = Server();
        using var second = Server();
        var plain = RandomNumberGenerator.GetBytes(length);
        Assert.Equal(plain, second.Unprotect(first.Protect(plain)));
        Assert.Equal(plain, first.Unprotect(second.Protect(plain)));
    }

    [Fact]
    public void No_two_are_alike()
    {
        using var server = Server();
        Assert.Equal(100, Enumerable.Range(0, 100).Select(_ => Convert.ToHexString(server.Protect(Plain))).Distinct().Count());
    }

    [Fact]
    public void Whatever_byte_is_changed_or_cut_off_it_is_refused()
    {
        using var server = Server();
        var stored = server.Protect(Plain);
        for (var i = 0; i < stored.Length; i++)
        {
            var changed = stored.ToArray();
            changed[i] ^= 1;
            using var reader = Server();
            Assert.ThrowsAny<CryptographicException>(() => reader.Unprotect(changed));
            Assert.ThrowsAny<CryptographicException>(() => server.Unprotect(changed));
            Assert.ThrowsAny<CryptographicException>(() => reader.Unprotect(stored.AsSpan(0, i)));
        }
    }

    [Fact]
    public void A_data_key_put_under_the_id_of_another_is_refused_and_spoils_nothing()
    {
        using var first = Server();
        using var second = Server();
        using var reader = Server();
        var (good, other) = (first.Protect(Plain), second.Protect(Plain));
        byte[] poisoned = [.. good[..16], .. other[16..]];
        Assert.ThrowsAny<CryptographicException>(() => reader.Unprotect(poisoned));
        Assert.Equal(Plain, reader.Unprotect(good));
        Assert.Equal(Plain, reader.Unprotect(other));
    }

    [Fact]
    public void Another_key_ring_reads_nothing()
    {
        using var server = Server();
        using var stranger = Server(new EphemeralDataProtectionProvider());
        Assert.ThrowsAny<CryptographicException>(() => stranger.Unprotect(server.Protect(Plain)));
    }

    [Fact]
    public void A_data_key_is_used_for_an_hour()
    {
        using var server = Server();
        var before = server.Protect(Plain);
        _clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(before[..16], server.Protect(Plain)[..16]);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.NotEqual(before[..16], server.Protect(Plain)[..16]);
        Assert.Equal(Plain, server.Unprotect(before));
    }
}
