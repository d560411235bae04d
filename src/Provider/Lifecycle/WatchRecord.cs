using System.Globalization;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Lifecycle;

/// <summary>What is kept of a life, so that its end can be told when its hash is gone. An immutable reading of the hash in Redis.</summary>
internal sealed class WatchRecord
{
    /// <summary>Counts notes.</summary>
    public const string Revision = "rev";

    /// <summary>Its ids, the newest first, separated by blanks.</summary>
    public const string Ids = "ids";

    /// <summary>There if its hash was seen: what was never stored does not end.</summary>
    public const string Stored = "stored";

    /// <summary>There if its first id was made for it, so that what is found under that is about it.</summary>
    public const string Fresh = "fresh";

    public const string User = "user";
    public const string SignedIn = "signed-in";
    public const string Seen = "seen";
    public const string Until = "until";
    public const string Address = "address";
    public const string Agent = "agent";

    /// <summary>Which of its hashes somebody ended, why, when, by whom and what for.</summary>
    public const string EndId = "end-id";
    public const string End = "end";
    public const string EndAt = "end-at";
    public const string By = "by";
    public const string Why = "note";

    /// <summary>There once it has ended, and the application is to be told: why.</summary>
    public const string Over = "over";
    public const string Attempts = "attempts";

    /// <summary>What a field of the application's is called; the value has <see cref="FieldMark"/> in front, for it may be empty.</summary>
    public const string FieldPrefix = "f:";
    public const byte FieldMark = (byte)'=';

    private readonly Dictionary<string, RedisValue> _values = new(StringComparer.Ordinal);

    public WatchRecord(HashEntry[] entries)
    {
        foreach (var entry in entries)
        {
            _values[(string)entry.Name!] = entry.Value;
        }

        SessionIds = [.. (TextOf(Ids) ?? "").Split(' ').Select(static text => SessionId.TryParse(text, out var id) ? id : Guid.Empty).Where(static id => id != Guid.Empty)];
    }

    public IReadOnlyList<Guid> SessionIds { get; }

    public bool IsStored => _values.ContainsKey(Stored);

    public bool IsFresh => _values.ContainsKey(Fresh);

    public bool IsOver => _values.ContainsKey(Over);

    /// <summary>The names of the application's fields.</summary>
    public IEnumerable<string> FieldNames => _values.Keys.Where(static name => name.StartsWith(FieldPrefix, StringComparison.Ordinal)).Select(static name => name[FieldPrefix.Length..]);

    public string? TextOf(string name) => _values.TryGetValue(name, out var value) ? (string?)value : null;

    public byte[]? BytesOf(string name) => _values.TryGetValue(name, out var value) ? (byte[]?)value : null;

    /// <summary>Null also for what is no time of ours.</summary>
    public long? TimeOf(string name) => SessionSnapshot.TimeOf(TextOf(name));

    public int CountOf(string name) => int.TryParse(TextOf(name), CultureInfo.InvariantCulture, out var count) ? count : 0;
}
