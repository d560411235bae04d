using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Security;

/// <summary>
/// Notes in a user's session from which network it is used, and whether it was used from two at once, as it is while its owner and a
/// thief both use it. Only a change of network writes anything, with the request's commit; and once a pair is known no more is written
/// for a while, so that an owner behind changing addresses does not write with every request.
/// </summary>
internal sealed class NetworksInUse(IOptions<SessionSecurityOptions> options, RedisConnection connection, SessionTimeouts timeouts, SessionKeys keys) : SessionAddOn
{
    private const string Network = "@wn";
    private const string Since = "@wt";
    private const string PairAt = "@wp";

    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(1);

    private long Window => (long)options.Value.ImpossiblePairWindow.TotalMilliseconds;

    public override SessionAddOnOrder Order => SessionAddOnOrder.Terms;

    public override bool KnowsTenants => true;

    public override void Loaded(RedisSession session)
    {
        if (Window <= 0 || session.Stored is not { } stored || stored.GetMetadata(FieldNames.UserId) is null || NetworkOf(session.Context) is not { Length: > 0 } network)
        {
            return;
        }

        var (noted, now) = (stored.GetMetadata(Network), timeouts.Now);
        if (noted == network || now - stored.GetNumber(PairAt) < (long)Quiet.TotalMilliseconds)
        {
            return;
        }

        Note(session.SetMetadata, network, now);
        if (noted is not null && now - stored.GetNumber(Since) < Window)
        {
            session.SetMetadata(PairAt, TextOf(now));
        }
    }

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (Window > 0 && delta.Metadata.GetValueOrDefault(FieldNames.UserId) is not null && NetworkOf(session.Context) is { Length: > 0 } network)
        {
            Note(delta.SetMetadata, network, timeouts.Now);
        }
    }

    /// <summary>Those of the sessions that were used from two networks at once lately.</summary>
    public async Task<IReadOnlySet<string>> FindAsync(IReadOnlyList<UserSession> sessions, TimeSpan lately)
    {
        var database = await connection.GetDatabaseAsync().ConfigureAwait(false);
        var pairs = new Task<RedisValue>[sessions.Count];
        for (var i = 0; i < pairs.Length; i++)
        {
            pairs[i] = database.HashGetAsync(keys.Session(Guid.Parse(sessions[i].Id)), PairAt);
        }

        var found = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < pairs.Length; i++)
        {
            if ((await pairs[i].ConfigureAwait(false)).TryParse(out long at) && timeouts.Now - at <= (long)lately.TotalMilliseconds)
            {
                found.Add(sessions[i].Id);
            }
        }

        return found;
    }

    private static void Note(Action<string, string?> set, string network, long now)
    {
        set(Network, network);
        set(Since, TextOf(now));
    }

    private string? NetworkOf(HttpContext? context) => context is null ? null : options.Value.NetworkOf(context.Connection.RemoteIpAddress);

    private static string TextOf(long number) => number.ToString(CultureInfo.InvariantCulture);
}
