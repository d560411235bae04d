using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Users;

/// <summary>
/// Sessions by the sign-in at their identity provider: one sorted set of session ids for each <c>sid</c> and each <c>sub</c>, by when they are
/// over. As in the user index the hash is the truth: it holds the origin that it was begun with, and only what confirms it is ended.
/// <para>
/// A logout first leaves word beside the set, and a session enters in the same step that looks at that: so what a sign-in or a
/// regeneration is in the middle of meets the logout, in whichever order they come. A provider's session never comes back, so for a
/// <c>sid</c> the word holds for all; a user may sign in again, so for a <c>sub</c> it holds for what was begun before it.
/// </para>
/// </summary>
internal sealed class ProviderIndex(
    RedisConnection connection,
    SessionKeys keys,
    SessionTimeouts timeouts,
    SessionHash hash,
    UserIndex index,
    IOptions<ProviderSessionsOptions> options,
    IServiceProvider services) : IProviderSessions
{
    private const string ForAll = "all";
    private const int DigestBytes = 16;
    private const int MostEntries = 1_000;

    // Longer than a sign-in at a provider may take, and than clocks differ.
    private static readonly TimeSpan WordFor = TimeSpan.FromHours(1);
    private static readonly TimeSpan Slack = TimeSpan.FromHours(1);
    private static readonly SessionRevocation SignedOut = new(SessionEndReason.SignedOut, Note: "by the identity provider");

    /// <summary>KEYS: the set, the word. ARGV: now, when the session is over, its id, when its sign-in began, the most entries. Answers 0 if it has ended.</summary>
    private static readonly RedisScript Enter = new(
        $$"""
        local word = redis.call('GET', KEYS[2])
        if word and (word == '{{ForAll}}' or tonumber(ARGV[4]) <= tonumber(word)) then return 0 end
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
        local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[5])
        if surplus > 0 then redis.call('ZREM', KEYS[1], unpack(redis.call('ZRANGE', KEYS[1], 0, surplus - 1))) end
        local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
        redis.call('PEXPIRE', KEYS[1], string.format('%d', tonumber(last[2]) - tonumber(ARGV[1])))
        return 1
        """);

    // Not a constructor argument: an add-on is part of it.
    private SessionAddOns AddOns => services.GetRequiredService<SessionAddOns>();

    /// <summary>What a session keeps of where its sign-in comes from; null for one that comes from no provider.</summary>
    /// <param name="principal">Who signs in.</param>
    /// <param name="begunAt">When the sign-in began, in UTC ticks.</param>
    public string? OriginOf(ClaimsPrincipal? principal, long begunAt)
    {
        if (principal is null || (options.Value.SignInOf is { } function ? function(principal) : SignInOf(principal)) is not { Issuer: { Length: > 0 } issuer } signIn)
        {
            return null;
        }

        var (session, subject) = (DigestOf("sid", issuer, signIn.SessionId), DigestOf("sub", issuer, signIn.Subject));
        var begun = (begunAt - DateTimeOffset.UnixEpoch.UtcTicks) / TimeSpan.TicksPerMillisecond;
        return session is null && subject is null ? null : new Origin(session, subject, begun).ToString();
    }

    private static ProviderSignIn? SignInOf(ClaimsPrincipal principal)
    {
        var session = principal.FindFirst("sid") ?? principal.FindFirst(ClaimTypes.Sid);
        var subject = principal.FindFirst("sub") ?? principal.FindFirst(ClaimTypes.NameIdentifier);
        return (principal.FindFirst("iss")?.Value ?? session?.Issuer ?? subject?.Issuer) is { } issuer && issuer != ClaimsIdentity.DefaultIssuer
            ? new ProviderSignIn { Issuer = issuer, SessionId = session?.Value, Subject = subject?.Value }
            : null;
    }

    /// <returns>False if the provider has ended what the session was begun with.</returns>
    public async Task<bool> EnterAsync(Guid id, TimeSpan life, string? origin)
    {
        if (Origin.Parse(origin) is not { } known)
        {
            return true;
        }

        var now = timeouts.Now;
        var ends = now + timeouts.PrecisionOf(life) + (long)(life + index.Options.RefreshInterval + Slack).TotalMilliseconds;
        foreach (var digest in known.Digests)
        {
            RedisValue[] arguments = [now, ends, id.ToString(), known.BegunAt, MostEntries];
            if ((int)await Failover.RepeatAsync(connection, database => Enter.EvaluateAsync(database, [SetKey(digest), WordKey(digest)], arguments)).ConfigureAwait(false) == 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>As <see cref="EnterAsync"/>, and ends a session that must not enter.</summary>
    public async Task EnterOrEndAsync(Guid id, TimeSpan life, SessionSnapshot stored)
    {
        if (!await EnterAsync(id, life, stored.GetMetadata(UserFields.Origin)).ConfigureAwait(false))
        {
            await EndSessionAsync(id, stored.GetMetadata(UserFields.UserId)).ConfigureAwait(false);
        }
    }

    public async Task RemoveAsync(Guid id, string? origin)
    {
        if (Origin.Parse(origin) is not { } known)
        {
            return;
        }

        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        foreach (var digest in known.Digests)
        {
            await database.SortedSetRemoveAsync(SetKey(digest), id.ToString()).ConfigureAwait(false);
        }
    }

    /// <summary>A session lives longer than its entries say.</summary>
    public async Task ProlongAsync(Guid id, TimeSpan life)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        await EnterAsync(id, life, await database.HashGetAsync(keys.Session(id), UserFields.Origin).ConfigureAwait(false)).ConfigureAwait(false);
    }

    public Task<long?> EndAsync(ProviderLogout logout, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(logout);
        ArgumentException.ThrowIfNullOrEmpty(logout.Issuer);
        ArgumentException.ThrowIfNullOrEmpty(logout.TokenId);
        var (session, subject) = (DigestOf("sid", logout.Issuer, logout.SessionId), DigestOf("sub", logout.Issuer, logout.Subject));
        return session is null && subject is null
            ? throw new ArgumentException("The logout names neither a subject nor a session.", nameof(logout))
            : EndAsync(logout, session, subject).WaitAsync(cancellationToken);
    }

    private async Task<long?> EndAsync(ProviderLogout logout, string? session, string? subject)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var used = $"{keys.Prefix}logout:{{{DigestOf("jti", logout.Issuer, logout.TokenId)}}}";
        if (await database.KeyExistsAsync(used).ConfigureAwait(false))
        {
            return null;
        }

        var (digest, now) = (session ?? subject!, timeouts.Now);
        await database.StringSetAsync(WordKey(digest), session is null ? now.ToString(CultureInfo.InvariantCulture) : ForAll, WordFor).ConfigureAwait(false);
        long ended = 0;
        foreach (var member in await database.SortedSetRangeByRankAsync(SetKey(digest)).ConfigureAwait(false))
        {
            if (!Guid.TryParse((string?)member, out var id))
            {
                continue;
            }

            var values = await database.HashGetAsync(keys.Session(id), [UserFields.Origin, UserFields.UserId]).ConfigureAwait(false);
            if (Origin.Parse(values[0]) is not { } origin || !origin.Digests.Contains(digest, StringComparer.Ordinal))
            {
                await database.SortedSetRemoveAsync(SetKey(digest), member).ConfigureAwait(false);
                continue;
            }

            // Another user's session is not ended by a session's id alone, nor what was begun since by the user's.
            if ((session is not null && subject is not null && origin.Subject is not null && origin.Subject != subject) || (session is null && origin.BegunAt > now))
            {
                continue;
            }

            ended += await EndSessionAsync(id, values[1]).ConfigureAwait(false) ? 1 : 0;
            await database.SortedSetRemoveAsync(SetKey(digest), member).ConfigureAwait(false);
        }

        // Last: one whose reply was lost is asked for again, and ending twice harms nobody.
        var left = logout.ExpiresAt - timeouts.Clock.GetUtcNow();
        await database.StringSetAsync(used, "", Ttl.Within((left > TimeSpan.Zero ? left : TimeSpan.Zero) + TimeSpan.FromMinutes(10))).ConfigureAwait(false);
        return ended;
    }

    private async Task<bool> EndSessionAsync(Guid id, string? userId)
    {
        if (!string.IsNullOrEmpty(userId))
        {
            return await index.EndAsync(userId, id.ToString(), SignedOut).ConfigureAwait(false) == RevokeResult.Revoked;
        }

        if ((await hash.EndAsync(id, SignedOut.Reason).ConfigureAwait(false)).Ended is not { } ended)
        {
            return false;
        }

        AddOns.EndedById(ended);
        AddOns.Over(new SessionEnd(ended, SignedOut.Reason, SignedOut));
        return true;
    }

    private string SetKey(string digest) => $"{keys.Prefix}provider:{{{digest}}}";

    private string WordKey(string digest) => $"{keys.Prefix}provider:{{{digest}}}:ended";

    // What is in front has its length, so that no two of them read alike.
    private static string? DigestOf(string kind, string issuer, string? value) => string.IsNullOrEmpty(value)
        ? null
        : WebEncoders.Base64UrlEncode(SHA256.HashData(Encoding.UTF8.GetBytes($"{kind}{issuer.Length}:{issuer}{value}")).AsSpan(0, DigestBytes));

    /// <summary>What a session keeps: the digests of its provider's session and user, and when its sign-in began, Unix milliseconds.</summary>
    private sealed record Origin(string? Session, string? Subject, long BegunAt)
    {
        public IEnumerable<string> Digests => ((string?[])[Session, Subject]).OfType<string>();

        public static Origin? Parse(string? text) => text?.Split(':') is [var session, var subject, var begun] && long.TryParse(begun, CultureInfo.InvariantCulture, out var begunAt)
            ? new Origin(session.Length == 0 ? null : session, subject.Length == 0 ? null : subject, begunAt)
            : null;

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Session}:{Subject}:{BegunAt}");
    }
}

/// <summary>Keeps the entries of <see cref="ProviderIndex"/> with their sessions, as <see cref="UserBinding"/> does those of the user index.</summary>
internal sealed class ProviderEntries(ProviderIndex providers, UserIndex index) : SessionAddOn
{
    public override SessionAddOnOrder Order => SessionAddOnOrder.Terms;

    public override void Committed(RedisSession session, SessionDelta delta, bool created)
    {
        if (!created && delta.ChangesTimeouts && session.Stored is { } stored)
        {
            _ = index.SendAsync(providers.EnterOrEndAsync(session.Identity.Id, session.Life, stored));
        }
    }

    public override void HeartbeatDue(SessionBeat beat) => _ = index.SendAsync(providers.EnterOrEndAsync(beat.Id, beat.Life, beat.Stored));

    /// <summary>Waited for: from here on a logout finds the new id, and one that came before is met here.</summary>
    public override ValueTask<bool> MovingAsync(RedisSession session, SessionSnapshot moved, Guid oldId) =>
        new(providers.EnterAsync(session.Identity.Id, session.Life, moved.GetMetadata(UserFields.Origin)));

    public override void Regenerated(RedisSession session, Guid oldId) =>
        _ = index.SendAsync(providers.RemoveAsync(oldId, session.GetMetadata(UserFields.Origin)));

    public override void Destroyed(RedisSession session, Guid id, SessionSnapshot? stored, bool rejected) =>
        _ = index.SendAsync(providers.RemoveAsync(id, stored?.GetMetadata(UserFields.Origin)));

    public override void Extended(Guid id, TimeSpan life) => _ = index.SendAsync(providers.ProlongAsync(id, life));
}
