using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using RedisSessions.Clients;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Security;

/// <summary>
/// Notes in a session which browser it belongs to, when it is created and whenever its id changes, and compares on every
/// load. A session from before this was turned on is bound by its next change. Also keeps a session within its bounds and
/// gives it its user's timeouts.
/// </summary>
internal sealed class BrowserBinding(
    IOptions<SessionSecurityOptions> options,
    RedisConnection connection,
    SessionTimeouts timeouts,
    SessionKeys keys,
    SecurityEvents events) : SessionAddOn
{
    private const string Address = "@ba";
    private const string UserAgent = "@bu";
    private const string Fingerprint = "@bf";

    /// <summary>A bucket of one minute, whose key goes with it. ARGV: TTL in milliseconds. Answers the count so far.</summary>
    private static readonly RedisScript CountCreation = new(
        """
        local count = redis.call('INCR', KEYS[1])
        if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
        return count
        """);

    private SessionSecurityOptions Options => options.Value;

    public override SessionAddOnOrder Order => SessionAddOnOrder.Guard;

    public override void Loaded(RedisSession session)
    {
        if (session.Context is not { } context || session.Stored is not { } stored || Difference(stored, context) is not var (reason, configured))
        {
            return;
        }

        var action = Options.OnMismatch is { } overrule
            ? overrule(new SessionMismatch(session.Identity.ToString(), reason, configured, context))
            : configured;
        if (action is not { } decided)
        {
            return;
        }

        var (id, userId) = (session.Identity.Id, stored.GetMetadata(FieldNames.UserId));
        session.Keep(this, reason);
        switch (decided)
        {
            case BindingAction.Log:
                events.Report(SessionSecurityEventKind.Mismatch, id, userId, reason);
                break;
            case BindingAction.Reject:
                session.Disown();
                events.Report(SessionSecurityEventKind.Rejected, id, userId, reason);
                break;
            case BindingAction.Destroy:
                session.DestroyAndDisown();
                events.Report(SessionSecurityEventKind.DestroyedByValidation, id, userId, reason);
                break;
        }
    }

    private (string Reason, BindingAction Action)? Difference(SessionSnapshot stored, HttpContext context)
    {
        if (stored.GetMetadata(Address) is { } address && AddressOf(context) is { } nowAddress && address != nowAddress)
        {
            return ("address", Options.AddressAction);
        }

        if (stored.GetMetadata(UserAgent) is { } agent && UserAgentOf(context) is { } nowAgent && agent != nowAgent)
        {
            return ("user agent", Options.UserAgentAction);
        }

        return stored.GetMetadata(Fingerprint) is { } fingerprint && FingerprintOf(context) is { } nowFingerprint && fingerprint != nowFingerprint
            ? ("fingerprint", Options.FingerprintAction)
            : null;
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (session.Context is { } context && (session.Stored is null || !IsBound(session.Stored)))
        {
            Bind(context, delta.SetMetadata);
        }

        if (delta.Metadata.TryGetValue(FieldNames.UserId, out var userId) && userId is not null && Options.TimeoutsOf is { } timeoutsOf)
        {
            var users = timeoutsOf(userId);
            SetShorter(FieldNames.IdleTimeout, users.Idle, (long)timeouts.IdleTimeout.TotalMilliseconds);
            SetShorter(FieldNames.AbsoluteTimeout, users.Absolute, timeouts.AbsoluteMilliseconds);
        }

        void SetShorter(string field, TimeSpan? timeout, long sites)
        {
            if (timeout is { } value && (sites == 0 || Ttl.Milliseconds(value) < sites))
            {
                delta.SetMetadata(field, Ttl.Milliseconds(value).ToString(CultureInfo.InvariantCulture));
            }
        }
    }

    public override void Regenerated(RedisSession session, Guid oldId) =>
        events.Report(SessionSecurityEventKind.Regenerated, session.Identity.Id, session.GetMetadata(FieldNames.UserId), $"was {oldId}");

    public override void IdChanging(RedisSession session)
    {
        if (session.Context is { } context)
        {
            Bind(context, session.SetMetadata);
        }
    }

    public override void Revoked(string userId, Guid id) => events.Report(SessionSecurityEventKind.Revoked, id, userId);

    public override void Setting(RedisSession session, string key, int bytes)
    {
        if (bytes > Options.MaxFieldSize)
        {
            throw Refused(session, $"The value has {bytes:N0} bytes, more than SessionSecurityOptions.MaxFieldSize ({Options.MaxFieldSize:N0}) allows.");
        }

        var replaced = session.Peek(key);
        var count = session.FieldCount + (replaced is null ? 1 : 0);
        if (count > Options.MaxFieldCount)
        {
            throw Refused(session, $"The session would have {count:N0} fields, more than SessionSecurityOptions.MaxFieldCount ({Options.MaxFieldCount:N0}) allows.");
        }

        var size = session.FieldBytes + bytes + (replaced is null ? Encoding.UTF8.GetByteCount(key) : -replaced.Length);
        if (size > Options.MaxSessionSize)
        {
            throw Refused(session, $"The session would be larger than SessionSecurityOptions.MaxSessionSize ({Options.MaxSessionSize:N0} bytes) allows.");
        }
    }

    private InvalidOperationException Refused(RedisSession session, string sentence)
    {
        events.Report(SessionSecurityEventKind.LimitReached, session.Identity.Id, session.GetMetadata(FieldNames.UserId), sentence);
        return new InvalidOperationException(sentence);
    }

    public override async ValueTask<bool> MayCreateAsync(RedisSession session)
    {
        if (Options.MaxCreationsPerMinute <= 0 || session.Context is not { } context)
        {
            return true;
        }

        var network = Options.NetworkOf(context.Connection.RemoteIpAddress);
        var minute = timeouts.Now / 60_000;
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        RedisKey[] bucket = [$"{keys.Prefix}rate:{{{network}}}:{minute}"];
        var count = (long)await CountCreation.EvaluateAsync(database, bucket, [120_000]).ConfigureAwait(false);
        if (count == Options.MaxCreationsPerMinute + 1)
        {
            // Once a minute, not once a request: the log is something that a robot could fill, too.
            events.Report(SessionSecurityEventKind.LimitReached, session.Identity.Id, null, $"More than SessionSecurityOptions.MaxCreationsPerMinute ({Options.MaxCreationsPerMinute:N0}) new sessions from {network}.");
        }

        return count <= Options.MaxCreationsPerMinute;
    }

    private static bool IsBound(SessionSnapshot stored) =>
        stored.GetMetadata(Address) is not null || stored.GetMetadata(UserAgent) is not null || stored.GetMetadata(Fingerprint) is not null;

    private void Bind(HttpContext context, Action<string, string?> set)
    {
        Set(Address, AddressOf(context));
        Set(UserAgent, UserAgentOf(context));
        Set(Fingerprint, FingerprintOf(context));

        void Set(string field, string? value)
        {
            if (value is not null)
            {
                set(field, value);
            }
        }
    }

    private string? AddressOf(HttpContext context) => Options.Address switch
    {
        AddressBinding.Exact => ClientAddress.Of(context.Connection.RemoteIpAddress),
        AddressBinding.Network => Options.NetworkOf(context.Connection.RemoteIpAddress),
        _ => null,
    };

    // A digest: the header may be long, and nobody needs to read it here.
    private string? UserAgentOf(HttpContext context) => Options.UserAgent switch
    {
        UserAgentBinding.Exact => Digest(context.Request.Headers[HeaderNames.UserAgent].ToString()),
        UserAgentBinding.Family => Digest(UserAgents.Family(context.Request.Headers[HeaderNames.UserAgent].ToString())),
        _ => null,
    };

    private string? FingerprintOf(HttpContext context)
    {
        if (!Options.Fingerprint)
        {
            return null;
        }

        var text = new StringBuilder();
        foreach (var header in Options.FingerprintHeaders)
        {
            text.Append(header).Append(':').Append(context.Request.Headers[header].ToString()).Append('\n');
        }

        return Digest(text.ToString());
    }

    private static string Digest(string text) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));

    /// <summary>Why the request's session was not what its cookie said; null if it was.</summary>
    public string? MismatchOf(RedisSession session) => session.StateOf<string>(this);
}
