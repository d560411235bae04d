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
    public static byte[] DigestOf(string key, SessionSnapshot session)
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AddText(digest, key);
        AddNumber(digest, session.Version);

        var metadata = new List<KeyValuePair<string, string>>(session.Metadata.Length);
        foreach (var entry in session.Metadata)
        {
            if (!FieldNames.IsNotedInPassing(entry.Key))
            {
                metadata.Add(entry);
            }
        }

        metadata.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        AddNumber(digest, metadata.Count);
        foreach (var (name, value) in metadata)
        {
            AddText(digest, name);
            AddText(digest, value);
        }

        var names = session.Fields.Names.ToArray();
        Array.Sort(names, StringComparer.Ordinal);
        AddNumber(digest, names.Length);
        foreach (var name in names)
        {
            session.Fields.TryGet(name, out var value);
            AddText(digest, name);
            AddNumber(digest, value!.Length);
            digest.AppendData(value);
        }

        return digest.GetHashAndReset();
    }

    private static void AddText(IncrementalHash digest, string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var utf8 = length <= 256 ? stackalloc byte[length] : new byte[length];
        Encoding.UTF8.GetBytes(text, utf8);
        AddNumber(digest, length);
        digest.AppendData(utf8);
    }

    private static void AddNumber(IncrementalHash digest, long number)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        digest.AppendData(bytes);
    }
}
