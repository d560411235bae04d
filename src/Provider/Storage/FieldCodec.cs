namespace RedisSessions.Storage;

/// <summary>
/// What the application's values look like in Redis. Without one they are stored as they are. Bound to the key and the field
/// name, so that a value does not pass for another; and with a seal over all that the session holds, so that nothing of it can be changed,
/// put back or taken away by itself.
/// </summary>
internal abstract class FieldCodec
{
    /// <param name="key">The hash.</param>
    /// <param name="field">The field.</param>
    /// <param name="value">Its value.</param>
    /// <param name="expires">When it expires by itself, Unix milliseconds, which it is bound to as well; null for never.</param>
    public abstract byte[] Encode(string key, string field, byte[] value, long? expires = null);

    /// <param name="key">The hash.</param>
    /// <param name="field">The field.</param>
    /// <param name="stored">What is stored.</param>
    /// <param name="expires">When it expires by itself; null for never.</param>
    /// <returns><see langword="null"/> for what is no value of this field, and never will be; it counts as absent.</returns>
    /// <exception cref="System.Security.Cryptography.CryptographicException">
    /// It cannot be read, at least now: the key may be missing for a moment.
    /// </exception>
    public abstract byte[]? Decode(string key, string field, byte[] stored, long? expires = null);

    /// <summary>What makes version, metadata and values one. Kept in the hash, and written with every new version.</summary>
    public abstract byte[] Seal(string key, SessionSnapshot session);

    /// <summary>Whether what was read is what somebody sealed.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The seal cannot be read, at least now.</exception>
    public abstract bool IsSealed(string key, SessionSnapshot session);
}
