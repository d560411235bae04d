namespace RedisSessions;

/// <summary>How sessions move over from Microsoft's stack. See docs/migration.md.</summary>
public sealed class MicrosoftSessionMigrationOptions
{
    /// <summary>The instance name that AddStackExchangeRedisCache was given. Default: empty.</summary>
    public string InstanceName { get; set; } = "";

    /// <summary>
    /// Whether Microsoft's blob is kept up to date, because servers of the old version still run and serve the same
    /// browsers. Costs each request another round trip, and each change another write of the whole session; turn it off
    /// when the last old server is gone. Default <see langword="false"/>.
    /// </summary>
    public bool WriteBoth { get; set; }
}
