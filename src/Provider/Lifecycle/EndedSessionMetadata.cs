using System.Text;

namespace RedisSessions;

/// <summary>What is known of a session that has ended. It does not hold the session's secret.</summary>
public sealed class EndedSessionMetadata
{
    /// <summary>The same for every call about this end, and for no other: for an application that must not act twice.</summary>
    public required string EventId { get; init; }

    /// <summary>The session's id, as <c>ISession.Id</c> said it last.</summary>
    public required string SessionId { get; init; }

    /// <summary>When it was created, UTC.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its user's credentials were checked, UTC; <see langword="null"/> where nobody knows, or nobody signed in.</summary>
    public DateTimeOffset? SignedInAt { get; init; }

    /// <summary>When it was last known to be used, UTC.</summary>
    public required DateTimeOffset LastSeenAt { get; init; }

    /// <summary>When it ended, UTC; where nobody saw that, when it was found to have ended.</summary>
    public required DateTimeOffset EndedAt { get; init; }

    /// <summary>The address that it was last known to be used from; <see langword="null"/> if unknown.</summary>
    public string? Address { get; init; }

    /// <summary>The User-Agent header that came with it, at most 256 characters; <see langword="null"/> if unknown.</summary>
    public string? UserAgent { get; init; }

    /// <summary>The browser and the system that this names, such as <c>Firefox on Windows</c>.</summary>
    public required string DeviceName { get; init; }

    /// <summary>Who revoked it: <see cref="SessionRevocation.By"/>; <see langword="null"/> where nobody said.</summary>
    public string? RevokedBy { get; init; }

    /// <summary>What for: <see cref="SessionRevocation.Note"/>; <see langword="null"/> where nobody said.</summary>
    public string? Note { get; init; }

    /// <summary>Those of <see cref="SessionLifecycleOptions.Fields"/> that it had, as they were last.</summary>
    public IReadOnlyDictionary<string, byte[]> Fields { get; init; } = new Dictionary<string, byte[]>();

    /// <summary>Which call about this end this is, from 1; a call whose server died is not counted.</summary>
    public required int Attempt { get; init; }

    /// <summary>One of <see cref="Fields"/>, as <c>Session.SetString</c> wrote it.</summary>
    /// <param name="field">Its name.</param>
    /// <returns><see langword="null"/> if the session did not have it, or the options do not name it.</returns>
    public string? GetString(string field) => Fields.TryGetValue(field, out var value) ? Encoding.UTF8.GetString(value) : null;
}
