using RedisSessions.Redis;

namespace RedisSessions.Storage;

/// <summary>The names of keys in Redis. The braces are the Redis Cluster hash tag, so what is in them decides the slot.</summary>
internal sealed class SessionKeys(string prefix)
{
    public const int IdLength = 36;

    private SessionKeys(SessionKeys site, string tenant)
        : this($"{site.Prefix}tenant:{tenant}:")
    {
        (ChangesName, Changes) = (site.ChangesName, site.Changes);
    }

    public string Prefix { get; } = prefix;

    /// <summary>What the channel is called on which changes of sessions are published.</summary>
    public string ChangesName { get; } = prefix + "changes";

    /// <summary>The channel itself.</summary>
    public string Changes { get; } = RedisFeed.ChannelOf(prefix + "changes");

    /// <summary>Those of a tenant's sessions. Changes are published where the site's are, for a message says the whole key.</summary>
    public SessionKeys Of(string tenant) => new(this, tenant);

    /// <summary>Says for a short while that a session moved to another id; in the slot of the old one.</summary>
    public string Moved(Guid oldId) => $"{Prefix}moved:{{{oldId}}}";

    /// <summary>Says for a while why a session ended; in its slot.</summary>
    public string Ended(Guid id) => $"{Prefix}ended:{{{id}}}";

    /// <summary>Says which request has its turn at a session, or had it last; in its slot.</summary>
    public string Turn(Guid id) => $"{Prefix}turn:{{{id}}}";

    /// <summary>Says which of those that wait for a turn is the next; in its slot.</summary>
    public static string NextTurn(string turnKey) => turnKey + ":next";

    /// <summary>The hash of one session: <c>session:{id}</c>. One allocation.</summary>
    public string Session(Guid id) => string.Create(Prefix.Length + IdLength + 2, (Prefix, id), static (span, state) =>
    {
        state.Prefix.CopyTo(span);
        span = span[state.Prefix.Length..];
        span[0] = '{';
        state.id.TryFormat(span[1..], out _);
        span[IdLength + 1] = '}';
    });
}
