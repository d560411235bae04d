using System.Globalization;
using Microsoft.Extensions.Options;
using RedisSessions.Redis;
using RedisSessions.Sessions;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>Gives a session its user's timeouts with the commit that says whose it is, whoever says so, if they are shorter than the site's.</summary>
internal sealed class TimeoutsByUser(IOptions<SessionSecurityOptions> options, SessionTimeouts timeouts) : SessionAddOn
{
    public override SessionAddOnOrder Order => SessionAddOnOrder.Terms;

    public override bool KnowsTenants => true;

    public override void Committing(RedisSession session, SessionDelta delta)
    {
        if (options.Value.TimeoutsOf is { } timeoutsOf && delta.Metadata.TryGetValue(FieldNames.UserId, out var userId) && userId is not null)
        {
            var users = timeoutsOf(userId);
            SetShorter(FieldNames.IdleTimeout, users.Idle, (long)timeouts.IdleTimeout.TotalMilliseconds);
            SetShorter(FieldNames.AbsoluteTimeout, users.Absolute, timeouts.AbsoluteMilliseconds);
        }

        // The site's 0 is no limit.
        void SetShorter(string field, TimeSpan? timeout, long sites)
        {
            // What a persistent sign-in asked for, it asked for itself: the user's own is the limit.
            if (delta.Metadata.TryGetValue(field, out var text) && long.TryParse(text, CultureInfo.InvariantCulture, out var asked))
            {
                sites = asked;
            }

            if (timeout is { } value && (sites == 0 || Ttl.Milliseconds(value) < sites))
            {
                delta.SetMetadata(field, Ttl.Milliseconds(value).ToString(CultureInfo.InvariantCulture));
            }
        }
    }
}
