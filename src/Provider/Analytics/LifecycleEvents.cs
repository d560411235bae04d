namespace RedisSessions.Analytics;

/// <summary>
/// The names of what the library records by itself. No application may use them, so that what is counted under them happened; and they are
/// counted however many other names there are.
/// </summary>
internal static class LifecycleEvents
{
    public const string Created = "created";
    public const string SignedIn = "signed in";
    public const string Regenerated = "regenerated";

    /// <summary>What names beyond the limit of a day are counted as.</summary>
    public const string Other = "(other)";

    private static readonly HashSet<string> Reserved = new(StringComparer.OrdinalIgnoreCase)
    {
        Created, SignedIn, Regenerated, Other, EndReasons.SignedOut, EndReasons.Revoked, EndReasons.Expired, EndReasons.Rejected,
    };

    public static bool Contains(string name) => Reserved.Contains(name.Trim());
}
