using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using RedisSessions.Storage;

namespace RedisSessions.Migration;

/// <summary>
/// What DistributedSession stores (its serialization revision 2): one byte revision, three bytes count, sixteen bytes id,
/// then for each value two bytes key length, the key in UTF-8, four bytes value length, the value; all big-endian.
/// </summary>
internal static class MicrosoftSessionBlob
{
    private const byte Revision = 2;
    private const int HeaderLength = 20;
    private const int MaxCount = 0xFFFFFF;

    /// <summary>Whether the blob is whole, from end to end. Allocates nothing, so a hostile length costs nothing.</summary>
    public static bool IsWellFormed(ReadOnlySpan<byte> blob)
    {
        if (blob.Length < HeaderLength || blob[0] != Revision)
        {
            return false;
        }

        var position = HeaderLength;
        for (var left = CountOf(blob); left > 0; left--)
        {
            if (!TryNext(blob, ref position, out _, out _))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The values of a well-formed blob.</summary>
    public static void CopyTo(ReadOnlySpan<byte> blob, Dictionary<string, byte[]?> fields)
    {
        var position = HeaderLength;
        for (var left = CountOf(blob); left > 0; left--)
        {
            TryNext(blob, ref position, out var key, out var value);
            fields[Encoding.UTF8.GetString(blob[key])] = blob[value].ToArray();
        }
    }

    private static int CountOf(ReadOnlySpan<byte> blob) => (blob[1] << 16) | (blob[2] << 8) | blob[3];

    /// <summary>Without what expires by itself, which it would not in there.</summary>
    public static byte[] Serialize(Guid id, SessionSnapshot session)
    {
        var fields = session.Fields.At(long.MaxValue - 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(fields.Count, MaxCount);
        var length = HeaderLength;
        foreach (var (name, value) in fields.Values)
        {
            length = checked(length + 6 + Encoding.UTF8.GetByteCount(name) + value.Length);
        }

        var blob = new byte[length];
        blob[0] = Revision;
        blob[1] = (byte)(fields.Count >> 16);
        blob[2] = (byte)(fields.Count >> 8);
        blob[3] = (byte)fields.Count;
        id.TryWriteBytes(blob.AsSpan(4));
        var rest = blob.AsSpan(HeaderLength);
        foreach (var (name, value) in fields.Values)
        {
            var nameLength = Encoding.UTF8.GetBytes(name, rest[2..]);
            BinaryPrimitives.WriteUInt16BigEndian(rest, (ushort)nameLength);
            rest = rest[(2 + nameLength)..];
            BinaryPrimitives.WriteInt32BigEndian(rest, value.Length);
            value.CopyTo(rest[4..]);
            rest = rest[(4 + value.Length)..];
        }

        return blob;
    }

    private static bool TryNext(ReadOnlySpan<byte> blob, ref int position, out Range key, out Range value)
    {
        key = value = default;
        if (blob.Length - position < 2)
        {
            return false;
        }

        int keyLength = BinaryPrimitives.ReadUInt16BigEndian(blob[position..]);
        position += 2;
        if (blob.Length - position < keyLength + 4)
        {
            return false;
        }

        key = position..(position + keyLength);
        if (!Utf8.IsValid(blob[key]))
        {
            return false;
        }

        position += keyLength;
        var valueLength = BinaryPrimitives.ReadInt32BigEndian(blob[position..]);
        position += 4;
        if (valueLength < 0 || blob.Length - position < valueLength)
        {
            return false;
        }

        value = position..(position + valueLength);
        position += valueLength;
        return true;
    }
}
