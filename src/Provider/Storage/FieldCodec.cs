namespace RedisSessions.Storage;

/// <summary>
/// What the application's values look like in Redis. Without one they are stored as they are. Bound to the key and the field
/// name, so that a value does not pass for another.
/// </summary>
internal abstract class FieldCodec
{
    public abstract byte[] Encode(string key, string field, byte[] value);

    /// <returns><see langword="null"/> if it cannot be read; it then counts as absent.</returns>
    public abstract byte[]? Decode(string key, string field, byte[] stored);
}
