namespace RedisSessions.Tests.Model;

/// <summary>What a step was seen to do, apart from what is stored.</summary>
internal sealed class Facts
{
    /// <summary>What the call threw.</summary>
    public Exception? Error { get; set; }

    /// <summary>The session's id afterwards.</summary>
    public Guid? Id { get; set; }

    /// <summary>Whether the session could be read once it was loaded.</summary>
    public bool IsAvailable { get; set; } = true;

    /// <summary>What an increment returned.</summary>
    public long? Sum { get; set; }

    /// <summary>Whether a connection was cut within the step.</summary>
    public bool LostReply { get; set; }

    /// <summary>Set once the response has left.</summary>
    public CookieSeen? Cookie { get; set; }
}

/// <summary>What the browser made of a response.</summary>
/// <param name="Before">The session that its cookie named before; null without one.</param>
/// <param name="Kind">What the response did to it.</param>
/// <param name="Id">The session that a new cookie names.</param>
internal sealed record CookieSeen(Guid? Before, CookieKind Kind, Guid Id);

internal enum CookieKind
{
    Kept,
    Replaced,
    Expired,
}

/// <summary>One session as Redis holds it.</summary>
internal sealed record SessionSeen(Guid Id, IReadOnlyDictionary<string, string> Fields, string? Version, string? Created, TimeSpan TimeToLive);

/// <summary>The library and the model disagree.</summary>
internal sealed class DifferenceException(string message) : Exception(message);
