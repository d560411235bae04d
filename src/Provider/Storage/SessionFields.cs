using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace RedisSessions.Storage;

/// <summary>
/// The application's fields of one session, by the application's names, with running totals. Once it is part of a
/// <see cref="SessionSnapshot"/> it is shared by requests and nobody changes it.
/// <para>
/// A field may expire by itself. When it did, its value goes and the time stays: the hash has it still, and who seals the hash must know what it has.
/// </para>
/// </summary>
internal sealed class SessionFields
{
    private static readonly Dictionary<string, long> NoExpiries = [];

    private readonly Dictionary<string, byte[]> _values;
    private Dictionary<string, long>? _expiries;

    public SessionFields(int capacity = 0) => _values = new(capacity, StringComparer.Ordinal);

    private SessionFields(SessionFields other)
    {
        _values = new(other._values, StringComparer.Ordinal);
        _expiries = other._expiries is { } expiries ? new(expiries, StringComparer.Ordinal) : null;
        Bytes = other.Bytes;
        NextExpiry = other.NextExpiry;
    }

    public static SessionFields Empty { get; } = new();

    public int Count => _values.Count;

    /// <summary>Of names in UTF-8 and values together.</summary>
    public long Bytes { get; private set; }

    public Dictionary<string, byte[]>.KeyCollection Names => _values.Keys;

    public IReadOnlyDictionary<string, byte[]> Values => _values;

    /// <summary>When fields expire, Unix milliseconds; also of those that have.</summary>
    public IReadOnlyDictionary<string, long> Expiries => _expiries ?? NoExpiries;

    /// <summary>When the first of them that has not yet expires.</summary>
    public long NextExpiry { get; private set; } = long.MaxValue;

    public static long SizeOf(string name, byte[] value) => Encoding.UTF8.GetByteCount(name) + value.LongLength;

    public SessionFields Copy() => new(this);

    /// <summary>What there is at a time: this, where nothing has expired by then.</summary>
    public SessionFields At(long now)
    {
        if (NextExpiry > now)
        {
            return this;
        }

        var copy = Copy();
        copy.Expire(now);
        return copy;
    }

    public bool TryGet(string name, [NotNullWhen(true)] out byte[]? value) => _values.TryGetValue(name, out value);

    /// <summary>When a field expires, or has expired; null for one that does not by itself.</summary>
    public long? ExpiryOf(string name) => _expiries is not null && _expiries.TryGetValue(name, out var expires) ? expires : null;

    /// <param name="name">The field.</param>
    /// <param name="value">Its value.</param>
    /// <param name="expires">When it expires, Unix milliseconds; null for never.</param>
    public void Set(string name, byte[] value, long? expires = null)
    {
        // Not removed first: values may be replaced while names are enumerated.
        if (_values.TryGetValue(name, out var replaced))
        {
            Bytes -= SizeOf(name, replaced);
        }

        _values[name] = value;
        Bytes += SizeOf(name, value);
        if (expires is { } time)
        {
            Expires(name, time);
        }
        else
        {
            _expiries?.Remove(name);
        }
    }

    /// <summary>Says when a field expires, whether or not it still is there.</summary>
    public void Expires(string name, long time)
    {
        (_expiries ??= new(StringComparer.Ordinal))[name] = time;
        if (_values.ContainsKey(name))
        {
            NextExpiry = Math.Min(NextExpiry, time);
        }
    }

    public bool Remove(string name)
    {
        _expiries?.Remove(name);
        return RemoveValue(name);
    }

    /// <summary>Removes what has expired.</summary>
    public void Expire(long now)
    {
        NextExpiry = long.MaxValue;
        foreach (var (name, time) in Expiries)
        {
            if (time <= now)
            {
                RemoveValue(name);
            }
            else if (_values.ContainsKey(name))
            {
                NextExpiry = Math.Min(NextExpiry, time);
            }
        }
    }

    private bool RemoveValue(string name)
    {
        if (!_values.Remove(name, out var value))
        {
            return false;
        }

        Bytes -= SizeOf(name, value);
        return true;
    }
}
