namespace RedisSessions.Storage;

/// <summary>Why sessions end, as Redis holds it: in words, for <c>redis-cli</c> and for servers that know further reasons.</summary>
internal static class SessionEnding
{
    public static string NameOf(SessionEndReason reason) => reason switch
    {
        SessionEndReason.SignedOut => "signed-out",
        SessionEndReason.Evicted => "evicted",
        SessionEndReason.Mismatch => "mismatch",
        SessionEndReason.CredentialsChanged => "credentials-changed",
        SessionEndReason.Expired => "expired",
        _ => "revoked",
    };

    /// <summary>Behind the word in a mark: its browser has come back, and that was told.</summary>
    public const string Told = " told";

    /// <returns>What nobody knows counts as revoked: somebody ended it.</returns>
    public static SessionEndReason Parse(string? name) => (name?.EndsWith(Told, StringComparison.Ordinal) == true ? name[..^Told.Length] : name) switch
    {
        null or "expired" => SessionEndReason.Expired,
        "signed-out" => SessionEndReason.SignedOut,
        "evicted" => SessionEndReason.Evicted,
        "mismatch" => SessionEndReason.Mismatch,
        "credentials-changed" => SessionEndReason.CredentialsChanged,
        _ => SessionEndReason.Revoked,
    };
}

/// <summary>What is left of a session that is not there.</summary>
/// <param name="HasMoved">It was given another id within the last minute, and lives on.</param>
/// <param name="Reason">Why it ended, as its mark says; null without one.</param>
internal readonly record struct SessionRemains(bool HasMoved, SessionEndReason? Reason);
