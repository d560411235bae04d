using System.Diagnostics;
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
    // As long as requests of one page may be apart.
    private static readonly TimeSpan SharedFor = TimeSpan.FromMinutes(1);

    // A server that dies before it has bound the ticket holds it no longer.
    private static readonly TimeSpan UnderWayFor = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WaitFor = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan WaitStep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ReleaseStep = TimeSpan.FromMilliseconds(100);

    // In the value of a claim that is settled, and in no token.
    private const char SettledAtEnd = ':';

    // Whoever was too slow has lost its claim to whoever came next, and ends nothing of that one's.
    private static readonly RedisScript Settle = new(
        """
        local holder = redis.call('GET', KEYS[1])
        if holder and holder ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        return 1
        """);

    private static readonly RedisScript Release = new(
        """
        if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
        return 1
        """);

    private readonly IDataProtector _protector = protection.CreateProtector("RedisSessions.SignInClaims");

    private string KeyOf(string number) => $"{keys.Prefix}signin:{{{number}}}";

    /// <summary>Asks whose the ticket is to bind: the claim's state says so.</summary>
    public async Task TakeAsync(SignInClaim claim, CancellationToken cancellationToken)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var key = KeyOf(claim.Number);
        for (var waited = TimeSpan.Zero; waited < WaitFor; waited += WaitStep)
        {
            if (await database.StringSetAsync(key, claim.Token, UnderWayFor, When.NotExists).ConfigureAwait(false))
            {
                claim.State = SignInClaimState.Mine;
                return;
            }

            string? value = await database.StringGetAsync(key).ConfigureAwait(false);
            if (value?.Contains(SettledAtEnd, StringComparison.Ordinal) == true)
            {
                claim.Secret = SecretOf(value);
                claim.State = claim.Secret is null ? SignInClaimState.TooLate : SignInClaimState.Shared;
                return;
            }

            // In real time: what is waited for is another server.
            await Task.Delay(WaitStep, cancellationToken).ConfigureAwait(false);
        }

        claim.State = SignInClaimState.Busy;
    }

    /// <summary>The ticket is bound to this session, which is stored.</summary>
    /// <returns>False if it took so long that another request claimed the ticket meanwhile.</returns>
    public async Task<bool> SettleAsync(SignInClaim claim, string secret, long? ticketEnds)
    {
        var reply = await EvaluateAsync(Settle, claim.Number, claim.Token, SettledValue(secret), (long)LifeOf(ticketEnds).TotalMilliseconds).ConfigureAwait(false);
        if (!(bool)reply)
        {
            return false;
        }

        claim.State = SignInClaimState.Settled;
        return true;
    }

    /// <summary>The ticket was bound to this session by an answer that has not reached the browser: as long as it may come, so does the session.</summary>
    public async Task RenewAsync(string number, string secret, long? ticketEnds)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        await database.StringSetAsync(KeyOf(number), SettledValue(secret), LifeOf(ticketEnds)).ConfigureAwait(false);
    }

    /// <summary>
    /// It could not be bound, and may be tried again, unless that has happened already. What may have lost the reply to the claim loses this,
    /// too, so it is said until Redis hears it, or the claim ends by itself.
    /// </summary>
    public async Task ReleaseAsync(SignInClaim claim)
    {
        var begun = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await EvaluateAsync(Release, claim.Number, claim.Token).ConfigureAwait(false);
                return;
            }
            catch (Exception exception) when (RedisAway.Explains(exception) && Stopwatch.GetElapsedTime(begun) < UnderWayFor)
            {
                await Task.Delay(ReleaseStep).ConfigureAwait(false);
            }
        }
    }

    private async Task<RedisResult> EvaluateAsync(RedisScript script, string number, params RedisValue[] values)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return await script.EvaluateAsync(database, [KeyOf(number)], values).ConfigureAwait(false);
    }

    private string SettledValue(string secret) =>
        string.Create(CultureInfo.InvariantCulture, $"{timeouts.Now}{SettledAtEnd}{_protector.Protect(secret)}");

    private TimeSpan LifeOf(long? ticketEnds)
    {
        if (ticketEnds is not { } ends)
        {
            // The application took its end away.
            return UserIndex.LongestTicket;
        }

        var left = TimeSpan.FromMilliseconds(ends - timeouts.Now);
        return left < SharedFor ? SharedFor : left < UserIndex.LongestTicket ? left : UserIndex.LongestTicket;
    }

    private string? SecretOf(string value)
    {
        var colon = value.IndexOf(SettledAtEnd, StringComparison.Ordinal);
        if (!long.TryParse(value.AsSpan(0, colon), CultureInfo.InvariantCulture, out var settledAt)
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
