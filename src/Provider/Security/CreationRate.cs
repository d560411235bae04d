using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Security;

/// <summary>
/// Keeps a robot without cookies from filling Redis: how many sessions may be created in a minute.
/// <para>
/// Whoever checked somebody's credentials wants that session, so a sign-in is never refused and counts nowhere. An authenticated request
/// counts with its user, whom no neighbour can use up; any other with its client's network. A client without an address is like no other,
/// and so cannot be counted with others.
/// </para>
/// </summary>
internal sealed class CreationRate(
    IOptions<SessionSecurityOptions> options, RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys, SecurityEvents events) : SessionAddOn
{
    /// <summary>A bucket of one minute, whose key goes with it. ARGV: TTL in milliseconds. Answers the count so far.</summary>
    private static readonly RedisScript Count = new(
        """
        local count = redis.call('INCR', KEYS[1])
        if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
        return count
        """);

    public override SessionAddOnOrder Order => SessionAddOnOrder.Bounds;

    public override bool KnowsTenants => true;

    private int Most => options.Value.MaxCreationsPerMinute;

    public override async ValueTask<bool> MayCreateAsync(RedisSession session)
    {
        if (Most <= 0 || session.Context is not { } context || IsSignIn(session) || BucketOf(context) is not { } bucket)
        {
            return true;
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        RedisKey[] key = [$"{keys.Prefix}rate:{{{bucket}}}:{timeouts.Now / 60_000}"];
        var count = (long)await Count.EvaluateAsync(database, key, [120_000]).ConfigureAwait(false);
        if (count == Most + 1)
        {
            // Once a minute, not once a request: the log is something that a robot could fill, too.
            events.Report(SessionSecurityEventKind.LimitReached, session.Identity.Id, null, $"More than SessionSecurityOptions.MaxCreationsPerMinute ({Most:N0}) new sessions from {bucket}.");
        }

        return count <= Most;
    }

    /// <summary>What makes a session somebody's says so before it is committed.</summary>
    private static bool IsSignIn(RedisSession session) =>
        session.GetMetadata(FieldNames.UserId) is not null || session.GetMetadata(FieldNames.SignInNumber) is not null;

    private string? BucketOf(HttpContext context) => context.User.Identity is { IsAuthenticated: true } identity
        ? $"user {DigestOf(identity, context.User)}"
        : options.Value.NetworkOf(context.Connection.RemoteIpAddress) is { Length: > 0 } network ? network : null;

    // Not the user index's id, for this works without it; a digest, because an id may be long and is nobody's business in a key.
    private static string DigestOf(System.Security.Principal.IIdentity identity, ClaimsPrincipal user)
    {
        var id = user.FindFirst(ClaimTypes.NameIdentifier) ?? user.FindFirst("sub");
        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes($"{id?.Issuer}\n{id?.Value ?? identity.Name}")).AsSpan(0, 16));
    }
}
