using StackExchange.Redis;

namespace RedisSessions.Storage.Scripts;

/// <summary>How a delta stands behind a script's header: names and values to set in turn, then names to remove, then names and times of what is to be forgotten.</summary>
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
        sets = delta.Fields.Count + delta.Metadata.Count - removed + (seal is null ? 0 : 1) + delta.Expiries.Count;
        var arguments = new RedisValue[header + (2 * sets) + removed + (2 * delta.Forgotten.Count)];
        var (nextSet, nextRemoved) = (header, header + (2 * sets));
        foreach (var (name, value) in delta.Fields)
        {
            Place(FieldNames.Encode(name), value is null ? RedisValue.Null : codec?.Encode(key, name, value, delta.ExpiryOf(name)) ?? value);
        }

        foreach (var (name, expires) in delta.Expiries)
        {
            Place(FieldNames.ExpiryPrefix + FieldNames.Encode(name), expires);
        }

        foreach (var (name, value) in delta.Metadata)
        {
            Place(name, value);
        }

        if (seal is not null)
        {
            Place(FieldNames.Seal, seal);
        }

        foreach (var (name, expired) in delta.Forgotten)
        {
            arguments[nextRemoved++] = FieldNames.Encode(name);
            arguments[nextRemoved++] = expired;
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
