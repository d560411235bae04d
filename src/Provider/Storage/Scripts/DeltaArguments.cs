using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>How a delta stands behind a script's header: names and values to set in turn, then names to remove.</summary>
internal static class DeltaArguments
{
    /// <summary>All arguments, the header yet to be written.</summary>
    /// <param name="header">How many arguments come before.</param>
    /// <param name="key">The session's key.</param>
    /// <param name="delta">What to change.</param>
    /// <param name="codec">Null where values are stored as they are.</param>
    /// <param name="seal">Set, too; null for none.</param>
    /// <param name="sets">How many fields are set.</param>
    public static RedisValue[] Behind(int header, string key, SessionDelta delta, FieldCodec? codec, byte[]? seal, out int sets)
    {
        var removed = delta.CountRemoved();
        sets = delta.Fields.Count + delta.Metadata.Count - removed + (seal is null ? 0 : 1);
        var arguments = new RedisValue[header + (2 * sets) + removed];
        var (nextSet, nextRemoved) = (header, header + (2 * sets));
        foreach (var (name, value) in delta.Fields)
        {
            Place(FieldNames.Encode(name), value is null ? RedisValue.Null : codec?.Encode(key, name, value) ?? value);
        }

        foreach (var (name, value) in delta.Metadata)
        {
            Place(name, value);
        }

        if (seal is not null)
        {
            Place(FieldNames.Seal, seal);
        }

        return arguments;

        void Place(string field, RedisValue value)
        {
            if (value.IsNull)
            {
                arguments[nextRemoved++] = field;
            }
            else
            {
                arguments[nextSet++] = field;
                arguments[nextSet++] = value;
            }
        }
    }
}
