namespace RedisSessions.Storage;

/// <summary>
/// A request's turn, as what it changes says it to Redis: a change is made only as long as nobody else has had a turn since, whether or not the lease is over.
/// <para>
/// The number is random, as a version is, and is compared for being the same, not for being greater: Redis keeps the one of the latest turn. A count would be
/// reached by two requests after a failover that lost one of them.
/// </para>
/// </summary>
/// <param name="Key">Where the number of the latest turn is.</param>
/// <param name="Number">This turn's.</param>
internal sealed record TurnFence(string Key, long Number);
