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

    public bool IsEmpty => !IsCleared && !Creates && Fields.Count == 0 && Metadata.Count == 0;

    /// <summary>Whether a session that does not exist yet is worth creating for this, even without a field of the application's.</summary>
    public bool Creates { get; set; }

    /// <summary>Whether applying this where there is no session creates one.</summary>
    public bool WouldCreate
    {
        get
        {
            if (Creates)
            {
                return true;
            }

            foreach (var value in Fields.Values)
            {
                if (value is not null)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Whether the session's own timeouts are among the changes.</summary>
    public bool ChangesTimeouts => Metadata.ContainsKey(FieldNames.IdleTimeout) || Metadata.ContainsKey(FieldNames.AbsoluteTimeout);

    /// <summary>How many fields and metadata this removes.</summary>
    public int CountRemoved()
    {
        var removed = 0;
        foreach (var value in Fields.Values)
        {
            removed += value is null ? 1 : 0;
        }

        if (_metadata is not null)
        {
            foreach (var value in _metadata.Values)
            {
                removed += value is null ? 1 : 0;
            }
        }

        return removed;
    }

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

    /// <summary>Everything that a session holds, to be written elsewhere.</summary>
    public static SessionDelta Whole(SessionSnapshot session)
    {
        var delta = new SessionDelta { Creates = true };
        delta.Clear();
        foreach (var (name, value) in session.Fields.Values)
        {
            delta.Fields[name] = value;
        }

        foreach (var (name, value) in session.Metadata)
        {
            delta.SetMetadata(name, value);
        }

        return delta;
    }

    /// <summary>What others changed from one version of a session to a later one, but for what <paramref name="own"/> changed itself; after a Clear that is every field.</summary>
    public static SessionDelta Between(SessionSnapshot before, SessionSnapshot after, SessionDelta own)
    {
        var delta = new SessionDelta();
        if (!own.IsCleared)
        {
            foreach (var (name, value) in after.Fields.Values)
            {
                if (!(before.Fields.TryGet(name, out var old) && old.AsSpan().SequenceEqual(value)) && !own.Fields.ContainsKey(name))
                {
                    delta.Fields[name] = value;
                }
            }

            foreach (var name in before.Fields.Names)
            {
                if (!after.Fields.TryGet(name, out _) && !own.Fields.ContainsKey(name))
                {
                    delta.Fields[name] = null;
                }
            }
        }

        foreach (var (name, value) in after.Metadata)
        {
            if (before.GetMetadata(name) != value && !own.Metadata.ContainsKey(name))
            {
                delta.SetMetadata(name, value);
            }
        }

        foreach (var (name, _) in before.Metadata)
        {
            if (after.GetMetadata(name) is null && !own.Metadata.ContainsKey(name))
            {
                delta.SetMetadata(name, null);
            }
        }

        return delta;
    }

    /// <summary>
    /// What is left to do of a commit of which nobody knows whether it was made, where others committed since: what stands as it stood before it. A field that
    /// others changed keeps what they wrote, as if they had come after it, for that they may have.
    /// </summary>
    /// <param name="own">The commit.</param>
    /// <param name="before">What it was to change; null if it was to create the session.</param>
    /// <param name="now">What there is.</param>
    public static SessionDelta Remaining(SessionDelta own, SessionSnapshot? before, SessionSnapshot now)
    {
        var rest = new SessionDelta();
        if (own.IsCleared && before is not null)
        {
            foreach (var name in before.Fields.Names)
            {
                if (!own.Fields.ContainsKey(name) && now.Fields.TryGet(name, out var value) && Same(value, FieldOf(before, name)))
                {
                    rest.Fields[name] = null;
                }
            }
        }

        foreach (var (name, value) in own.Fields)
        {
            var present = FieldOf(now, name);
            if (Same(present, FieldOf(before, name)) && !Same(present, value))
            {
                rest.Fields[name] = value;
            }
        }

        foreach (var (name, value) in own.Metadata)
        {
            var present = now.GetMetadata(name);
            if (present == before?.GetMetadata(name) && present != value)
            {
                rest.SetMetadata(name, value);
            }
        }

        return rest;

        static byte[]? FieldOf(SessionSnapshot? session, string name) => session is not null && session.Fields.TryGet(name, out var value) ? value : null;

        static bool Same(byte[]? one, byte[]? other) => one is null ? other is null : other is not null && one.AsSpan().SequenceEqual(other);
    }
}
