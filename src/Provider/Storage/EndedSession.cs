namespace RedisSessions.Storage;

/// <summary>What is known of a session that was ended by its id.</summary>
/// <param name="Id">The session.</param>
/// <param name="CreatedAt">When it was created, Unix milliseconds; null if its hash did not say.</param>
/// <param name="UserId">To whom it was bound; null for nobody.</param>
/// <param name="FirstId">As its hash said it: the id under which it was created, once it had another; null for none.</param>
internal readonly record struct EndedSession(Guid Id, long? CreatedAt, string? UserId, string? FirstId = null);
