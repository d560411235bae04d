using System.Collections.Concurrent;
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

    private static byte[] Protect(DataKeys server, byte[] plain) => server.Protect([], [], plain);

    private static PooledText Text(string content)
    {
        var text = new PooledText();
        text.AddText(content);
        return text;
    }

    private static bool IsSigned(DataKeys server, byte[] signature, string content)
    {
        using var text = Text(content);
        return server.IsSigned(signature, text);
    }

    private static byte[] Sign(DataKeys server, string content)
    {
        using var text = Text(content);
        return server.Sign(text);
    }

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
        Assert.Equal(plain, second.Unprotect(Protect(first, plain)));
        Assert.Equal(plain, first.Unprotect(Protect(second, plain)));
    }

    [Fact]
    public void No_two_are_alike()
    {
        using var server = Server();
        Assert.Equal(100, Enumerable.Range(0, 100).Select(_ => Convert.ToHexString(Protect(server, Plain))).Distinct().Count());
    }

    [Fact]
    public void Whatever_byte_is_changed_or_cut_off_it_is_refused()
    {
        using var server = Server();
        var stored = Protect(server, Plain);
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
        var (good, other) = (Protect(first, Plain), Protect(second, Plain));
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
        Assert.ThrowsAny<CryptographicException>(() => stranger.Unprotect(Protect(server, Plain)));
    }

    [Fact]
    public void A_data_key_is_used_for_an_hour()
    {
        using var server = Server();
        var before = Protect(server, Plain);
        _clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(before[..16], Protect(server, Plain)[..16]);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.NotEqual(before[..16], Protect(server, Plain)[..16]);
        Assert.Equal(Plain, server.Unprotect(before));
    }

    /// <summary>Of the id and the key that data protection is given, every byte is random.</summary>
    [Fact]
    public void A_data_key_has_256_random_bits()
    {
        var made = new List<byte[]>();
        for (var i = 0; i < 100; i++)
        {
            using var server = new DataKeys(new Observer(_ring.CreateProtector("test"), made), _clock);
            Protect(server, Plain);
        }

        Assert.Equal(100, made.Count);
        Assert.All(made, key => Assert.Equal(16 + 32, key.Length));
        Assert.All(Enumerable.Range(16, 32), place => Assert.InRange(made.Select(key => key[place]).Distinct().Count(), 40, 100));
    }

    private sealed class Observer(IDataProtector inner, List<byte[]> seen) : IDataProtector
    {
        public IDataProtector CreateProtector(string purpose) => new Observer(inner.CreateProtector(purpose), seen);

        public byte[] Protect(byte[] plaintext)
        {
            seen.Add(plaintext);
            return inner.Protect(plaintext);
        }

        public byte[] Unprotect(byte[] protectedData) => inner.Unprotect(protectedData);
    }

    [Fact]
    public void Mark_and_parts_stand_one_behind_the_other()
    {
        using var server = Server();
        var stored = server.Protect("mark"u8, "4111-"u8, "1111"u8);
        Assert.Equal("mark"u8, stored.AsSpan(0, 4));
        Assert.Equal("4111-1111"u8, server.Unprotect(stored.AsSpan(4)));
    }

    [Fact]
    public async Task No_nonce_is_used_twice_however_many_encrypt_at_once()
    {
        using var server = Server();
        var key = Protect(server, Plain)[..16];
        var nonces = new ConcurrentBag<string>();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() =>
        {
            for (var n = 0; n < 500; n++)
            {
                var stored = n % 2 == 0 ? Protect(server, Plain) : Sign(server, "text");
                Assert.Equal(key, stored[..16]);
                var header = 18 + BitConverter.ToUInt16(stored, 16);
                nonces.Add(Convert.ToHexString(stored, header, 12));
            }
        })));
        Assert.Equal(8 * 500, nonces.Distinct().Count());
    }

    [Fact]
    public void A_tag_is_that_of_one_text_and_read_by_every_server()
    {
        using var first = Server();
        using var second = Server();
        var signature = Sign(first, "text");
        Assert.True(IsSigned(second, signature, "text"));
        Assert.False(IsSigned(second, signature, "texT"));
        Assert.False(IsSigned(second, signature, "text "));
        Assert.False(IsSigned(second, [.. signature, 0], "text"));
        Assert.False(IsSigned(second, Protect(first, Plain), "text"));
        Assert.ThrowsAny<CryptographicException>(() => IsSigned(second, [], "text"));
        using var stranger = Server(new EphemeralDataProtectionProvider());
        Assert.ThrowsAny<CryptographicException>(() => IsSigned(stranger, signature, "text"));
        for (var i = 0; i < signature.Length; i++)
        {
            var changed = signature.ToArray();
            changed[i] ^= 1;
            Assert.False(Try(() => IsSigned(second, changed, "text")));
        }

        static bool Try(Func<bool> isSigned)
        {
            try
            {
                return isSigned();
            }
            catch (CryptographicException)
            {
                return false;
            }
        }
    }

    [Fact]
    public void A_text_of_many_parts_is_all_of_them()
    {
        using var text = new PooledText();
        var expected = new List<byte>();
        for (var part = 0; part < 20; part++)
        {
            var content = new string((char)('a' + part), 5_000);
            text.AddText(content);
            expected.AddRange([.. BitConverter.GetBytes(5_000L), .. System.Text.Encoding.UTF8.GetBytes(content)]);
        }

        Assert.Equal(expected.ToArray(), text.Written.ToArray());
    }

    [Theory]
    [InlineData(20_000)]
    [InlineData(3_000_000)]
    public void A_text_of_any_length_is_signed_whole(int length)
    {
        using var server = Server();
        var content = new string('a', length);
        var signature = Sign(server, content);
        Assert.True(IsSigned(server, signature, content));
        Assert.False(IsSigned(server, signature, content[..^1] + "b"));
    }
}
