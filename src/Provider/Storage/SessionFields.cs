using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace RedisSessions.Storage;

/// <summary>
/// The application's fields of one session, by the application's names, with running totals. Once it is part of a
/// <see cref="SessionSnapshot"/> it is shared by requests and nobody changes it.
/// </summary>
internal sealed class SessionFields
{
    private readonly Dictionary<string, byte[]> _values;

    public SessionFields(int capacity = 0) => _values = new(capacity, StringComparer.Ordinal);

    private SessionFields(SessionFields other)
    {
        _values = new(other._values, StringComparer.Ordinal);
        Bytes = other.Bytes;
    }

    public static SessionFields Empty { get; } = new();

    public int Count => _values.Count;

    /// <summary>Of names in UTF-8 and values together.</summary>
    public long Bytes { get; private set; }

    public Dictionary<string, byte[]>.KeyCollection Names => _values.Keys;

    public IReadOnlyDictionary<string, byte[]> Values => _values;

    public static long SizeOf(string name, byte[] value) => Encoding.UTF8.GetByteCount(name) + value.LongLength;

    public SessionFields Copy() => new(this);

    public bool TryGet(string name, [NotNullWhen(true)] out byte[]? value) => _values.TryGetValue(name, out value);

    public void Set(string name, byte[] value)
    {
        // Not removed first: values may be replaced while names are enumerated.
        if (_values.TryGetValue(name, out var replaced))
        {
            Bytes -= SizeOf(name, replaced);
        }

        _values[name] = value;
        Bytes += SizeOf(name, value);
    }

    public bool Remove(string name)
    {
        if (!_values.Remove(name, out var value))
        {
            return false;
        }

        Bytes -= SizeOf(name, value);
        return true;
    }
}
