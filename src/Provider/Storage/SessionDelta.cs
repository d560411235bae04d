namespace RedisSessions.Storage;

/// <summary>What a request changed and Redis does not know yet.</summary>
internal sealed class SessionDelta
{
    private static readonly Dictionary<string, string?> NoMetadata = [];
    private Dictionary<string, string?>? _metadata;

    /// <summary>Whether everything that Redis holds at commit time goes first.</summary>
    public bool IsCleared { get; private set; }

    /// <summary>New values by the application's names; <see langword="null"/> removes the field. The arrays are ours.</summary>
    public Dictionary<string, byte[]?> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>New metadata by stored names; <see langword="null"/> removes it.</summary>
    public IReadOnlyDictionary<string, string?> Metadata => _metadata ?? NoMetadata;

    public bool IsEmpty => !IsCleared && Fields.Count == 0 && Metadata.Count == 0;

    /// <summary>Whether a session that does not exist yet is worth creating for this, even without a field of the application's.</summary>
    public bool Creates { get; set; }

    public void SetMetadata(string name, string? value) => (_metadata ??= new(StringComparer.Ordinal))[name] = value;

    public void Clear()
    {
        IsCleared = true;
        Fields.Clear();
    }

    /// <summary>Applies later changes on top of these.</summary>
    public void Add(SessionDelta later)
    {
        Creates |= later.Creates;
        if (later.IsCleared)
        {
            Clear();
        }

        foreach (var (name, value) in later.Fields)
        {
            Fields[name] = value;
        }

        foreach (var (name, value) in later.Metadata)
        {
            SetMetadata(name, value);
        }
    }
}
