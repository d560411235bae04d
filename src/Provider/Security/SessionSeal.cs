using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>
/// The digest of all that a session is: its key, its version, its metadata and its values, each with its length in front, so that no two
/// sessions read the same. Without what is noted in passing.
/// </summary>
internal static class SessionSeal
{
    // Values up to here are gathered: what the hash costs by the call is more than what it costs to copy them.
    private const int BufferSize = 16 * 1024;

    public static byte[] DigestOf(string key, SessionSnapshot session)
    {
        using var digest = new Digest();
        digest.Add(key);
        digest.Add(session.Version);

        var metadata = new List<KeyValuePair<string, string>>(session.Metadata.Length);
        foreach (var entry in session.Metadata)
        {
            if (!FieldNames.IsNotedInPassing(entry.Key))
            {
                metadata.Add(entry);
            }
        }

        metadata.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        digest.Add(metadata.Count);
        foreach (var (name, value) in metadata)
        {
            digest.Add(name);
            digest.Add(value);
        }

        var names = session.Fields.Names.ToArray();
        Array.Sort(names, StringComparer.Ordinal);
        digest.Add(names.Length);
        foreach (var name in names)
        {
            session.Fields.TryGet(name, out var value);
            digest.Add(name);
            digest.Add(value!);
        }

        return digest.End();
    }

    private sealed class Digest : IDisposable
    {
        private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        private IncrementalHash? _hash;
        private int _length;

        public void Add(string text)
        {
            var length = Encoding.UTF8.GetByteCount(text);
            Add((long)length);
            if (length > BufferSize)
            {
                Append(Encoding.UTF8.GetBytes(text));
            }
            else
            {
                Encoding.UTF8.GetBytes(text, Space(length));
            }
        }

        public void Add(byte[] value)
        {
            Add(value.LongLength);
            if (value.Length > BufferSize)
            {
                Append(value);
            }
            else
            {
                value.CopyTo(Space(value.Length));
            }
        }

        public void Add(long number) => BinaryPrimitives.WriteInt64LittleEndian(Space(sizeof(long)), number);

        public byte[] End()
        {
            if (_hash is null)
            {
                return SHA256.HashData(_buffer.AsSpan(0, _length));
            }

            Flush();
            return _hash.GetHashAndReset();
        }

        public void Dispose()
        {
            ArrayPool<byte>.Shared.Return(_buffer, clearArray: true);
            _hash?.Dispose();
        }

        private Span<byte> Space(int length)
        {
            if (_length + length > BufferSize)
            {
                Flush();
            }

            _length += length;
            return _buffer.AsSpan(_length - length, length);
        }

        private void Append(byte[] bytes)
        {
            Flush();
            _hash!.AppendData(bytes);
        }

        private void Flush()
        {
            _hash ??= IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            _hash.AppendData(_buffer, 0, _length);
            _length = 0;
        }
    }
}
