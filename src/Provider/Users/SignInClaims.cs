using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.DataProtection;
using RedisSessions.Redis;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// A ticket that was made without a session, before this library or while Redis was away, is bound once. A page has ten pictures, so
/// ten requests of one browser come with it at the same moment: the first claims it, the others wait and then go on with the session
/// that it began, whose secret it leaves here, protected. Who comes later with a copy gets nothing, also when that session has
/// ended: the claim lives as long as the ticket.
/// </summary>
internal sealed class SignInClaims(RedisConnection connection, SessionKeys keys, SessionTimeouts timeouts, IDataProtectionProvider protection)
{
    private const string UnderWay = "";

    // As long as requests of one page may be apart.
    private static readonly TimeSpan SharedFor = TimeSpan.FromMinutes(1);

    // A server that dies before it has bound the ticket holds it no longer.
    private static readonly TimeSpan UnderWayFor = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WaitFor = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan WaitStep = TimeSpan.FromMilliseconds(20);

    private readonly IDataProtector _protector = protection.CreateProtector("RedisSessions.SignInClaims");

    private string KeyOf(string number) => $"{keys.Prefix}signin:{{{number}}}";

    /// <summary>Whose the ticket is to bind.</summary>
    /// <returns><c>IsMine</c>, or the secret of the session that it was bound to a moment ago; neither if it is too late.</returns>
    /// <exception cref="TimeoutException">Another request has claimed it, and does not come to an end.</exception>
    public async Task<(bool IsMine, string? Secret)> ClaimAsync(string number, CancellationToken cancellationToken)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var key = KeyOf(number);
        for (var waited = TimeSpan.Zero; waited < WaitFor; waited += WaitStep)
        {
            if (await database.StringSetAsync(key, UnderWay, UnderWayFor, When.NotExists).ConfigureAwait(false))
            {
                return (true, null);
            }

            string? value = await database.StringGetAsync(key).ConfigureAwait(false);
            if (!string.IsNullOrEmpty(value))
            {
                return (false, SecretOf(value));
            }

            // In real time: what is waited for is another server.
            await Task.Delay(WaitStep, cancellationToken).ConfigureAwait(false);
        }

        throw new TimeoutException("Another request is binding the same sign-in.");
    }

    /// <summary>The ticket is bound to this session, which is stored.</summary>
    public async Task SettleAsync(string number, string secret, long? ticketEnds)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var left = TimeSpan.FromMilliseconds((ticketEnds ?? long.MaxValue / 2) - timeouts.Now);
        var longest = TimeSpan.FromDays(400);
        var life = left < SharedFor ? SharedFor : left < longest ? left : longest;
        var value = string.Create(CultureInfo.InvariantCulture, $"{timeouts.Now}:{_protector.Protect(secret)}");
        await database.StringSetAsync(key: KeyOf(number), value, life).ConfigureAwait(false);
    }

    /// <summary>It could not be bound, and may be tried again.</summary>
    public async Task ReleaseAsync(string number)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        await database.KeyDeleteAsync(KeyOf(number)).ConfigureAwait(false);
    }

    private string? SecretOf(string value)
    {
        var colon = value.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0
            || !long.TryParse(value.AsSpan(0, colon), CultureInfo.InvariantCulture, out var settledAt)
            || timeouts.Now - settledAt > (long)SharedFor.TotalMilliseconds)
        {
            return null;
        }

        try
        {
            return _protector.Unprotect(value[(colon + 1)..]);
        }
        catch (CryptographicException)
        {
            // Somebody else's writing.
            return null;
        }
    }
}
