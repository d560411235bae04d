using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RedisSessions.Clients;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// The devices that a user has signed in on, in the slot of the user's index, and what each is called. The browser says which of them it is
/// (<see cref="DeviceCookie"/>), and Redis whether the user has that one: both are needed for a device that is not new. None of it decides whether a sign-in succeeds.
/// </summary>
internal sealed class UserDevices(UserIndex index, DeviceCookie cookie, RedisConnection connection, IServiceProvider services, ILogger<UserDevices> logger)
{
    /// <summary>The most UTF-16 code units of a name.</summary>
    public const int LongestName = 64;
    private const int HintBytes = 12;

    // Two clicks on one button are two sign-ins, and the browser has a cookie of neither's when the second comes.
    private static readonly TimeSpan SameMoment = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Notes a sign-in's device, and lets those go that are past their time or too many. ARGV: now, device, how long it is remembered, the most, how
    /// long two sign-ins are one, the session, and the revocation that it was begun under: nothing is noted for what has ended meanwhile.
    /// </summary>
    private static readonly RedisScript Note = new(
        $$"""
        local devices, names, moment, revoked = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
        local now, device, life, most, session, revocation = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6], ARGV[7]
        local function drop(gone)
          if #gone > 0 then
            redis.call('ZREM', devices, unpack(gone))
            redis.call('HDEL', names, unpack(gone))
          end
        end
        local latest = redis.call('HGET', revoked, '{{UserIndexScripts.RevokedAt}}')
        if latest and latest ~= revocation and redis.call('HEXISTS', revoked, session) == 0 then return '{{nameof(Novelty.Ended)}}' end
        drop(redis.call('ZRANGEBYSCORE', devices, '-inf', string.format('(%.0f', tonumber(now) - tonumber(life))))
        local count, known = redis.call('ZCARD', devices), redis.call('ZSCORE', devices, device)
        redis.call('ZADD', devices, now, device)
        if not known and count >= most then
          local gone = {}
          for _, other in ipairs(redis.call('ZRANGE', devices, 0, count + 1 - most)) do
            if other ~= device and #gone <= count - most then gone[#gone + 1] = other end
          end
          drop(gone)
        end
        redis.call('PEXPIRE', devices, life)
        redis.call('PEXPIRE', names, life)
        if known then return '{{nameof(Novelty.Known)}}' end
        if redis.call('EXISTS', moment) == 1 then return '{{nameof(Novelty.Announced)}}' end
        redis.call('SET', moment, '', 'PX', ARGV[5])
        return count == 0 and '{{nameof(Novelty.First)}}' or '{{nameof(Novelty.New)}}'
        """);

    /// <summary>ARGV: the device, its name or nothing. Answers 0 for a device that the user does not have.</summary>
    private static readonly RedisScript Name = new(
        """
        if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
        if ARGV[2] == '' then
          redis.call('HDEL', KEYS[2], ARGV[1])
        else
          redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
          redis.call('PEXPIRE', KEYS[2], math.max(1, redis.call('PTTL', KEYS[1])))
        end
        return 1
        """);

    private enum Novelty
    {
        /// <summary>The user has signed in on it before.</summary>
        Known,

        /// <summary>It is new.</summary>
        New,

        /// <summary>It is new, and the first that is known of the user.</summary>
        First,

        /// <summary>It is new, and one that cannot be told from it has just been said to be.</summary>
        Announced,

        /// <summary>The session has been revoked meanwhile.</summary>
        Ended,
    }

    // Not a constructor argument: this is part of it.
    private SessionAddOns AddOns => services.GetRequiredService<SessionAddOns>();

    private string DevicesKey(string userId) => index.UserKey(userId) + ":devices";

    private string NamesKey(string userId) => index.UserKey(userId) + ":devices:names";

    /// <summary>Which device a sign-in is on; null where devices are not remembered.</summary>
    public SignInDevice? Find(UserBond bond, HttpContext? context) =>
        index.Options.RememberDevices && context is not null && bond is { ShowsCredentials: true, UserId: { } userId }
            ? cookie.Read(context, userId) is { } known ? new SignInDevice(known, IsNew: false) : new SignInDevice(Guid.NewGuid(), IsNew: true)
            : null;

    /// <summary>The user has signed in on it. Fails no sign-in: what Redis could not be asked is made up for by the browser's own word.</summary>
    public async Task SignedInAsync(RedisSession session, HttpContext context, string userId, SignInDevice device)
    {
        if (!context.Response.HasStarted)
        {
            cookie.Append(context, userId, device.Id);
        }

        var novelty = device.IsNew ? Novelty.New : Novelty.Known;
        try
        {
            var reply = await session.InTimeAsync(NoteAsync(session, context, userId, device.Id), CancellationToken.None).ConfigureAwait(false);
            novelty = Enum.Parse<Novelty>((string)reply!) is var said && said != Novelty.Ended ? said : novelty;
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // Whether it was noted is not known. Better told twice than never.
            logger.DeviceNotNoted(session.Identity.Id, exception);
        }

        if (novelty is Novelty.New or Novelty.First)
        {
            AddOns.SignedInOnNewDevice(
                session.Identity.Id, userId, new NewDevice(device.Id, UserAgents.DeviceName(UserFields.UserAgentOf(context)), novelty == Novelty.First));
        }
    }

    private async Task<RedisResult> NoteAsync(RedisSession session, HttpContext context, string userId, Guid device)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var (userKey, options) = (index.UserKey(userId), index.Options);
        return await Note.EvaluateAsync(
            database,
            [DevicesKey(userId), NamesKey(userId), $"{userKey}:device:{HintOf(context)}", UserIndex.RevokedKey(userKey)],
            [
                index.Now, device.ToString(), (long)options.DeviceLifetime.TotalMilliseconds, options.MaxDevicesPerUser, (long)SameMoment.TotalMilliseconds,
                session.Identity.Id.ToString(), session.GetMetadata(UserFields.Revocation) ?? "",
            ]).ConfigureAwait(false);
    }

    /// <summary>What there is to tell two clients by that show no cookie.</summary>
    private static string HintOf(HttpContext context) => WebEncoders.Base64UrlEncode(
        SHA256.HashData(Encoding.UTF8.GetBytes($"{UserFields.AddressOf(context)}\n{UserFields.UserAgentOf(context)}")).AsSpan(0, HintBytes));

    /// <summary>What the devices are called; null for one without a name.</summary>
    public async Task<string?[]> FindNamesAsync(string userId, Guid[] devices)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var names = await database.HashGetAsync(NamesKey(userId), Array.ConvertAll(devices, static id => (RedisValue)id.ToString())).ConfigureAwait(false);
        return Array.ConvertAll(names, static name => (string?)name);
    }

    /// <returns>False if the user has no such device.</returns>
    public async Task<bool> SetNameAsync(string userId, Guid device, string? name)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        return (int)await Name.EvaluateAsync(database, [DevicesKey(userId), NamesKey(userId)], [device.ToString(), name ?? ""]).ConfigureAwait(false) == 1;
    }

    public async Task ForgetAsync(string userId)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        await database.KeyDeleteAsync([DevicesKey(userId), NamesKey(userId)]).ConfigureAwait(false);
    }

    /// <summary>A name is shown to people, perhaps to an administrator: it is what it looks like.</summary>
    public static void CheckName(string? name, string parameter)
    {
        if (name is null)
        {
            return;
        }

        ArgumentException.ThrowIfNullOrWhiteSpace(name, parameter);
        if (name.Length > LongestName)
        {
            throw new ArgumentException($"A device's name has at most {LongestName} characters.", parameter);
        }

        if (char.IsWhiteSpace(name[0]) || char.IsWhiteSpace(name[^1]))
        {
            throw new ArgumentException("A device's name neither begins nor ends with white space.", parameter);
        }

        for (var i = 0; i < name.Length; i += char.IsSurrogatePair(name, i) ? 2 : 1)
        {
            // Half a surrogate pair is a category of its own.
            if (IsOverride(name[i]) || CharUnicodeInfo.GetUnicodeCategory(name, i)
                is UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate)
            {
                throw new ArgumentException("A device's name has no control characters.", parameter);
            }
        }

        // Of the format characters those that turn the direction of what follows; emoji need others.
        static bool IsOverride(char character) => character is (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');
    }
}

/// <summary>The device of a sign-in.</summary>
/// <param name="Id">Names it. Worth nothing without data protection's signature.</param>
/// <param name="IsNew">The browser did not say that it is one.</param>
internal readonly record struct SignInDevice(Guid Id, bool IsNew);
