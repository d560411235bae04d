namespace RedisSessions.Tests.Model;

/// <summary>One session in the model's store.</summary>
internal sealed record StoredSession(int Incarnation, Dictionary<string, long> Fields, TimeSpan? OwnIdle, DateTimeOffset Deadline)
{
    /// <summary>Whether this step slid it by a load, or wrote it; what its TTL may be follows.</summary>
    public Touch Touch { get; init; }

    /// <summary>
    /// A failover took its TTL back. A server whose copy saw the later one does not know, and slides it when that would be due, within the
    /// precision.
    /// </summary>
    public bool IsTakenBack { get; init; }

    /// <summary>It was loaded since it was written: whether that slides it, the server's copy decides, and nobody waits for it. It may arrive after time has passed.</summary>
    public bool MaySlideYet { get; init; }
}

internal enum Touch
{
    None,
    Load,

    /// <summary>A load whose reply was lost: it may have slid the session or not.</summary>
    LostLoad,
    Write,
}

/// <summary>What a request changed and did not commit.</summary>
internal sealed class Changes
{
    public bool Cleared { get; private set; }

    public Dictionary<string, long?> Fields { get; private init; } = [];

    public TimeSpan? Idle { get; set; }

    public bool IsEmpty => !Cleared && Fields.Count == 0 && Idle is null;

    public bool Sets => Fields.Values.Any(value => value is not null);

    public void Clear()
    {
        Cleared = true;
        Fields.Clear();
    }

    public void Add(Changes later)
    {
        if (later.Cleared)
        {
            Clear();
        }

        foreach (var (name, value) in later.Fields)
        {
            Fields[name] = value;
        }

        Idle = later.Idle ?? Idle;
    }

    public Dictionary<string, long> ApplyTo(Dictionary<string, long>? before, bool setsOnly = false)
    {
        var fields = before is null || (Cleared && !setsOnly) ? [] : new Dictionary<string, long>(before);
        foreach (var (name, value) in Fields)
        {
            if (value is { } set)
            {
                fields[name] = set;
            }
            else if (!setsOnly)
            {
                fields.Remove(name);
            }
        }

        return fields;
    }

    public Changes Clone() => new() { Cleared = Cleared, Fields = new(Fields), Idle = Idle };
}
