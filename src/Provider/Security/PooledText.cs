using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace RedisSessions.Security;

/// <summary>Bytes one behind the other, in a buffer from the pool, which goes back without them.</summary>
internal sealed class PooledText : IDisposable
{
    private const int InitialSize = 16 * 1024;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(InitialSize);
    private int _length;

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>Its length in front.</summary>
    public void AddText(string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        AddNumber(length);
        Encoding.UTF8.GetBytes(text, Space(length));
    }

    /// <summary>Its length in front.</summary>
    public void AddValue(ReadOnlySpan<byte> value)
    {
        AddNumber(value.Length);
        Add(value);
    }

    public void AddNumber(long number) => BinaryPrimitives.WriteInt64LittleEndian(Space(sizeof(long)), number);

    public void Add(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Space(bytes.Length));

    public void Dispose() => Return(_buffer);

    private Span<byte> Space(int length)
    {
        if (_buffer.Length - _length < length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * _buffer.Length, checked(_length + length)));
            Written.CopyTo(larger);
            Return(_buffer);
            _buffer = larger;
        }

        _length += length;
        return _buffer.AsSpan(_length - length, length);
    }

    // No more of it was written.
    private void Return(byte[] buffer)
    {
        buffer.AsSpan(0, _length).Clear();
        ArrayPool<byte>.Shared.Return(buffer);
    }
}
