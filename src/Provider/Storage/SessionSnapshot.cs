using System.Globalization;
using StackExchange.Redis;

namespace RedisSessions.Storage;

/// <summary>
/// One version of one session as Redis held it. Immutable, and shared by every request of this server that loads that
/// version, so its arrays never leave the library: callers get copies.
/// </summary>
internal sealed class SessionSnapshot
{
    // What a field, and a session, cost in memory beyond their characters and bytes: object headers, dictionary slots.
    private const int FieldOverhead = 96;
    private const int SessionOverhead = 600;
    private const int ShortMetadata = 64;

    // The last millisecond that DateTimeOffset knows, since 1970.
    public const long LatestTime = 253_402_300_799_999;

    private readonly KeyValuePair<string, string>[] _metadata;

    private SessionSnapshot(long version, SessionFields fields, KeyValuePair<string, string>[] metadata, bool isPartial)
    {
        Version = version;
        Fields = fields;
        IsPartial = isPartial;
        _metadata = metadata;
        CreatedAt = long.Parse(GetMetadata(FieldNames.Created)!, CultureInfo.InvariantCulture);
    }

    /// <summary>The version of a session that does not exist.</summary>
    public const long NoVersion = 0;

    /// <summary>The version of none, ever.</summary>
    public const long UnknownVersion = -1;

    /// <summary>A random number: two servers never reach the same version by different roads, whatever Redis forgot in between.</summary>
    public static long NewVersion() => Random.Shared.NextInt64(1, long.MaxValue);

    public long Version { get; }

    /// <summary>When the session was created, Unix milliseconds.</summary>
    public long CreatedAt { get; }

    /// <summary>The application's fields.</summary>
    public SessionFields Fields { get; }

    /// <summary>Whether a value is left out that may not be shown; such a version is never kept in a copy.</summary>
    public bool IsPartial { get; }

    /// <summary>What the hash had as its seal when it was read; null if it had none, or was not read.</summary>
    public byte[]? Seal { get; private init; }

    /// <summary>Estimated bytes of memory: a value as it is, a name in UTF-16.</summary>
    public long Size
    {
        get
        {
            var size = SessionOverhead + Fields.Bytes;
            foreach (var name in Fields.Names)
            {
                size += FieldOverhead + name.Length;
            }

            foreach (var (name, _) in Fields.Expiries)
            {
                size += FieldOverhead + name.Length;
            }

            foreach (var (_, value) in _metadata)
            {
                // Nearly all of it is short, and within the overhead; a ticket is not.
                size += value.Length > ShortMetadata ? 2L * value.Length : 0;
            }

            return size;
        }
    }

    /// <summary>All metadata but the version, by stored name.</summary>
    public ReadOnlySpan<KeyValuePair<string, string>> Metadata => _metadata;

    public string? GetMetadata(string name)
    {
        foreach (var (key, value) in _metadata)
        {
            if (key == name)
            {
                return value;
            }
        }

        return null;
    }

    public long? GetNumber(string name) => long.TryParse(GetMetadata(name), CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Null also for a number that is no time of ours: who wrote it is no server of this fleet.</summary>
    public TimeSpan? GetMilliseconds(string name) => TimeOf(GetMetadata(name)) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null;

    /// <summary>A stored text as a time or a span of time, in milliseconds; null for what is none of ours.</summary>
    public static long? TimeOf(string? text) => long.TryParse(text, CultureInfo.InvariantCulture, out var time) && time is >= 0 and <= LatestTime ? time : null;

    /// <summary>Takes the reply of HGETALL apart. Its arrays were made for this reply, so they are kept, not copied.</summary>
    /// <param name="entries">Names and values as stored; not empty.</param>
    /// <param name="key">The session's key, which values may be bound to.</param>
    /// <param name="codec">Reads values that are not stored as they are; a value that it refuses counts as absent.</param>
    /// <exception cref="FormatException">There is no readable version or creation time: the hash is somebody else's.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A value cannot be decrypted, at least now.</exception>
    public static SessionSnapshot Parse(ReadOnlySpan<HashEntry> entries, string key = "", FieldCodec? codec = null)
    {
        var fields = new SessionFields(entries.Length);
        var metadata = new List<KeyValuePair<string, string>>(4);
        var (version, isPartial, hasCreated) = (NoVersion, false, false);
        byte[]? seal = null;

        // What is encoded is bound to its expiry, which may come behind it.
        var encoded = codec is null ? null : new List<KeyValuePair<string, byte[]>>(entries.Length);
        foreach (var entry in entries)
        {
            var name = (string)entry.Name!;
            if (!FieldNames.IsMetadata(name))
            {
                var (field, value) = (FieldNames.Decode(name), (byte[])entry.Value!);
                if (encoded is null)
                {
                    fields.Set(field, value, fields.ExpiryOf(field));
                }
                else
                {
                    encoded.Add(new(field, value));
                }
            }
            else if (FieldNames.IsExpiry(name))
            {
                if (entry.Value.TryParse(out long expires))
                {
                    fields.Expires(FieldNames.Decode(name[FieldNames.ExpiryPrefix.Length..]), expires);
                }
            }
            else if (name == FieldNames.Version)
            {
                entry.Value.TryParse(out version);
            }
            else if (name == FieldNames.Seal)
            {
                seal = entry.Value;
            }
            else
            {
                hasCreated |= name == FieldNames.Created && entry.Value.TryParse(out long created) && created is >= 0 and <= LatestTime;
                metadata.Add(new(FieldNames.Intern(name), (string)entry.Value!));
            }
        }

        foreach (var (field, stored) in encoded ?? [])
        {
            var expires = fields.ExpiryOf(field);
            if (codec!.Decode(key, field, stored, expires) is { } value)
            {
                fields.Set(field, value, expires);
            }
            else
            {
                isPartial = true;
            }
        }

        return version != NoVersion && hasCreated
            ? new SessionSnapshot(version, fields, [.. metadata], isPartial) { Seal = seal }
            : throw new FormatException("The hash has no readable metadata: it is no session of this library.");
    }

    /// <summary>What there is after a commit that replaced the version known to the caller.</summary>
    /// <param name="version">The version now.</param>
    /// <param name="createdAt">When the session was created, Unix milliseconds.</param>
    /// <param name="fields">All fields; nobody changes them any more.</param>
    /// <param name="before">The version replaced; null if the session was created.</param>
    /// <param name="delta">Whose metadata changed.</param>
    public static SessionSnapshot After(long version, long createdAt, SessionFields fields, SessionSnapshot? before, SessionDelta delta)
    {
        KeyValuePair<string, string>[] metadata = before?._metadata ?? [new(FieldNames.Created, createdAt.ToString(CultureInfo.InvariantCulture))];
        if (delta.Metadata.Count > 0)
        {
            var merged = new Dictionary<string, string>(metadata, StringComparer.Ordinal);
            foreach (var (name, value) in delta.Metadata)
            {
                if (value is null)
                {
                    merged.Remove(name);
                }
                else
                {
                    merged[name] = value;
                }
            }

            metadata = [.. merged];
        }

        return new SessionSnapshot(version, fields, metadata, before is { IsPartial: true });
    }

    /// <summary>What there is after a delta, by who knows all that there was.</summary>
    public static SessionSnapshot Applied(long version, long createdAt, SessionSnapshot? before, SessionDelta delta) =>
        After(version, createdAt, delta.AppliedTo(before?.Fields), before, delta);
}
