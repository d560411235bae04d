using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Diagnostics;

/// <summary>
/// Whether the servers that share these sessions also share Data Protection's keys. One of them leaves a note under its keys, and the others read it. Where one cannot,
/// neither can it read the cookies that the other gives ("error unprotecting the session cookie").
/// </summary>
internal sealed class KeyRingCheck(SessionKeys keys, IDataProtectionProvider protection)
{
    // Longer than checks are apart; the note of servers that are gone goes with it.
    private static readonly TimeSpan NoteStays = TimeSpan.FromMinutes(10);

    private readonly IDataProtector _protector = protection.CreateProtector("RedisSessions.KeyRing");

    public async Task<bool> IsSharedAsync(IDatabase database)
    {
        RedisKey key = $"{keys.Prefix}keyring";
        string? note = await database.StringGetAsync(key).ConfigureAwait(false);
        if (note is not null && !CanRead(note))
        {
            return false;
        }

        // Read by this server, or nobody's.
        await database.StringSetAsync(key, note ?? _protector.Protect(""), NoteStays).ConfigureAwait(false);
        return true;
    }

    private bool CanRead(string note)
    {
        try
        {
            _protector.Unprotect(note);
            return true;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }
}
