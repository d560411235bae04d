namespace RedisSessions;

/// <summary>How values are encrypted at rest.</summary>
public sealed class SessionEncryptionOptions
{
    /// <summary>
    /// Whether values that were written before encryption was turned on are read; each is encrypted when it is next set. Turn
    /// it off once those sessions have expired: until then whoever can write to Redis can plant a value in the clear, and sessions' seals are
    /// not looked at. Default
    /// <see langword="true"/>, so that turning encryption on loses nobody's session.
    /// </summary>
    public bool AcceptUnencrypted { get; set; } = true;
}
