using RedisSessions.Storage;

namespace RedisSessions.Security;

/// <summary>
/// All that a session is: its key, its version, its metadata and its values, each with its length in front, so that no two
/// sessions read the same. Without what is noted in passing. Of a field that expires by itself, when that is: the value, which may be gone, is bound to it by itself.
/// </summary>
internal static class SessionSeal
{
    public static PooledText TextOf(string key, SessionSnapshot session)
    {
        var text = new PooledText();
        text.AddText(key);
        text.AddNumber(session.Version);

        var metadata = new List<KeyValuePair<string, string>>(session.Metadata.Length);
        foreach (var entry in session.Metadata)
        {
            if (!FieldNames.IsNotedInPassing(entry.Key))
            {
                metadata.Add(entry);
            }
        }

        metadata.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        text.AddNumber(metadata.Count);
        foreach (var (name, value) in metadata)
        {
            text.AddText(name);
            text.AddText(value);
        }

        var expiries = session.Fields.Expiries;
        var names = expiries.Count == 0 ? session.Fields.Names.ToArray() : [.. session.Fields.Names.Where(name => !expiries.ContainsKey(name))];
        Array.Sort(names, StringComparer.Ordinal);
        text.AddNumber(names.Length);
        foreach (var name in names)
        {
            session.Fields.TryGet(name, out var value);
            text.AddText(name);
            text.AddValue(value);
        }

        // Where there never was one, nothing: as it was before there were any. Metadata says which of the two this is.
        foreach (var (name, expires) in expiries.OrderBy(static expiry => expiry.Key, StringComparer.Ordinal))
        {
            text.AddText(name);
            text.AddNumber(expires);
        }

        return text;
    }
}
