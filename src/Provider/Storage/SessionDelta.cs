namespace RedisSessions.Storage;

/// <summary>What a request changed and Redis does not know yet.</summary>
internal sealed class SessionDelta
{
    private static readonly Dictionary<string, string?> NoMetadata = [];
    private static readonly Dictionary<string, long> NoExpiries = [];
    private Dictionary<string, string?>? _metadata;
    private Dictionary<string, long>? _expiries;
    private Dictionary<string, long>? _forgotten;
    private bool _isUpkeep = true;

    /// <summary>Whether everything that Redis holds at commit time goes first.</summary>
    public bool IsCleared { get; private set; }

    /// <summary>New values by the application's names; <see langword="null"/> removes the field. The arrays are ours.</summary>
    public Dictionary<string, byte[]?> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>When those of them expire that are set, Unix milliseconds; missing for one that does not by itself.</summary>
    public IReadOnlyDictionary<string, long> Expiries => _expiries ?? NoExpiries;

    /// <summary>Fields that have expired, and when: that need not be known any more, unless they were written again.</summary>
    public IReadOnlyDictionary<string, long> Forgotten => _forgotten ?? NoExpiries;

    /// <summary>Whether the server is to let a field expire, or to forget one that has.</summary>
    public bool Expires => Expiries.Count > 0 || Forgotten.Count > 0;

    /// <summary>New metadata by stored names; <see langword="null"/> removes it.</summary>
    public IReadOnlyDictionary<string, string?> Metadata => _metadata ?? NoMetadata;

    /// <summary>
    /// Whether there is nothing in it but what the library notes by itself while a session is used, and notes again with the next request if this one's is lost: until when a sign-in lasts that slides.
    /// </summary>
    public bool IsUpkeep => _isUpkeep && !IsCleared && !Creates && Fields.Count == 0 && Metadata.Count > 0;

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

    /// <summary>Sets a field, and forgets when the one before was to expire.</summary>
    /// <param name="name">The field.</param>
    /// <param name="value">Its value.</param>
    /// <param name="expires">When it expires, Unix milliseconds; null for never.</param>
    public void Set(string name, byte[] value, long? expires = null)
    {
        Fields[name] = value;
        if (expires is { } time)
        {
            (_expiries ??= new(StringComparer.Ordinal))[name] = time;
            SetMetadata(FieldNames.HasExpiring, "1");
        }
        else
        {
            _expiries?.Remove(name);
        }
    }

    public void Remove(string name)
    {
        Fields[name] = null;
        _expiries?.Remove(name);
    }

    /// <summary>Takes a change out of it; false if there is none of this field.</summary>
    public bool TryTake(string name, out byte[]? value)
    {
        _expiries?.Remove(name);
        return Fields.Remove(name, out value);
    }

    /// <summary>When a field that this sets expires; null for never.</summary>
    public long? ExpiryOf(string name) => _expiries is not null && _expiries.TryGetValue(name, out var expires) ? expires : null;

    /// <summary>Whether it changes a field that expires by itself, or did.</summary>
    public bool TouchesExpiring(SessionFields fields)
    {
        if (fields.Expiries.Count > 0)
        {
            foreach (var name in Fields.Keys)
            {
                if (fields.ExpiryOf(name) is not null)
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>What has expired by itself need not be known any more.</summary>
    public void Forget(string name, long expired) => (_forgotten ??= new(StringComparer.Ordinal))[name] = expired;

    public void SetMetadata(string name, string? value)
    {
        _isUpkeep = false;
        NoteMetadata(name, value);
    }

    /// <summary>As <see cref="SetMetadata"/>, for what is upkeep.</summary>
    public void NoteMetadata(string name, string? value) => (_metadata ??= new(StringComparer.Ordinal))[name] = value;

    public void Clear()
    {
        IsCleared = true;
        Fields.Clear();
        _expiries = null;
        _forgotten = null;
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
            if (value is null)
            {
                Remove(name);
            }
            else
            {
                Set(name, value, later.ExpiryOf(name));
            }
        }

        foreach (var (name, expired) in later.Forgotten)
        {
            Forget(name, expired);
        }

        _isUpkeep &= later._isUpkeep;
        foreach (var (name, value) in later.Metadata)
        {
            NoteMetadata(name, value);
        }
    }

    /// <summary>The fields that there are afterwards; of the caller's own.</summary>
    /// <param name="before">Those before; null for none.</param>
    public SessionFields AppliedTo(SessionFields? before)
    {
        var fields = before is null || IsCleared ? new SessionFields() : before.Copy();
        foreach (var (name, value) in Fields)
        {
            if (value is null)
            {
                fields.Remove(name);
            }
            else
            {
                fields.Set(name, value, ExpiryOf(name));
            }
        }

        foreach (var (name, expired) in Forgotten)
        {
            if (!Fields.ContainsKey(name) && fields.ExpiryOf(name) == expired)
            {
                fields.Remove(name);
            }
        }

        return fields;
    }

    /// <summary>Everything that a session holds, to be written elsewhere.</summary>
    public static SessionDelta Whole(SessionSnapshot session)
    {
        var delta = new SessionDelta { Creates = true };
        delta.Clear();
        foreach (var (name, value) in session.Fields.Values)
        {
            delta.Set(name, value, session.Fields.ExpiryOf(name));
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
                var expires = after.Fields.ExpiryOf(name);
                if (!(before.Fields.TryGet(name, out var old) && old.AsSpan().SequenceEqual(value) && before.Fields.ExpiryOf(name) == expires) && !own.Fields.ContainsKey(name))
                {
                    delta.Set(name, value, expires);
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
    /// <param name="at">When that is, Unix milliseconds: what has expired by then nobody changed.</param>
    public static SessionDelta Remaining(SessionDelta own, SessionSnapshot? before, SessionSnapshot now, long at)
    {
        var (fieldsBefore, fieldsNow) = (before?.Fields.At(at), now.Fields.At(at));
        var rest = new SessionDelta();
        if (own.IsCleared && before is not null)
        {
            foreach (var name in fieldsBefore!.Names)
            {
                if (!own.Fields.ContainsKey(name) && fieldsNow.TryGet(name, out _) && IsAsBefore(name))
                {
                    rest.Remove(name);
                }
            }
        }

        foreach (var (name, value) in own.Fields)
        {
            var isMade = Same(fieldsNow.TryGet(name, out var present) ? present : null, value) && (value is null || fieldsNow.ExpiryOf(name) == own.ExpiryOf(name));
            if (isMade || !IsAsBefore(name))
            {
                continue;
            }

            if (value is null)
            {
                rest.Remove(name);
            }
            else
            {
                rest.Set(name, value, own.ExpiryOf(name));
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

        bool IsAsBefore(string name)
        {
            byte[]? old = null;
            return Same(fieldsNow.TryGet(name, out var value) ? value : null, fieldsBefore?.TryGet(name, out old) == true ? old : null)
                && (value is null || fieldsNow.ExpiryOf(name) == fieldsBefore!.ExpiryOf(name));
        }

        static bool Same(byte[]? one, byte[]? other) => one is null ? other is null : other is not null && one.AsSpan().SequenceEqual(other);
    }
}
