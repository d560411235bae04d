using System.Diagnostics.CodeAnalysis;
using StackExchange.Redis;

namespace RedisSessions.Redis;

/// <summary>
/// How a connection of the library's own is set up: so that a page answers promptly while Redis is away, and works again
/// soon after it is back. What the connection string says stays as it says.
/// </summary>
internal static class RedisConnectionSettings
{
    private const int ConnectTimeoutMilliseconds = 2_000;
    private const int OperationTimeoutMilliseconds = 2_000;
    private const int HeartbeatMilliseconds = 100;
    private const int RoleCheckSeconds = 1;

    /// <summary>How long a page waits for the first connection where the connection string says no connect timeout.</summary>
    public static readonly TimeSpan DefaultPatience = TimeSpan.FromMilliseconds(800);

    /// <summary>How long a page waits for the first connection.</summary>
    public static TimeSpan PatienceOf(string configuration) => Says(configuration, "connectTimeout") && TryParse(configuration, out var settings)
        ? TimeSpan.FromMilliseconds(settings.ConnectTimeout)
        : DefaultPatience;

    public static bool TryParse(string configuration, [NotNullWhen(true)] out ConfigurationOptions? settings)
    {
        try
        {
            settings = ConfigurationOptions.Parse(configuration);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException)
        {
            // Not repeated to anyone: the text may hold a password.
            settings = null;
            return false;
        }

        return settings.EndPoints.Count > 0;
    }

    public static ConfigurationOptions FailFast(string configuration)
    {
        if (!TryParse(configuration, out var settings))
        {
            throw new InvalidOperationException("The Redis connection string cannot be parsed.");
        }

        if (!Says(configuration, "abortConnect"))
        {
            settings.AbortOnConnectFail = false;
        }

        if (!Says(configuration, "connectTimeout"))
        {
            settings.ConnectTimeout = ConnectTimeoutMilliseconds;
        }

        if (!Says(configuration, "connectRetry"))
        {
            settings.ConnectRetry = 1;
        }

        if (!Says(configuration, "syncTimeout") && !Says(configuration, "asyncTimeout"))
        {
            settings.SyncTimeout = OperationTimeoutMilliseconds;
            settings.AsyncTimeout = OperationTimeoutMilliseconds;
        }

        if (!Says(configuration, "configCheckSeconds"))
        {
            // Whether what was a master still is: by itself the client asks once a minute.
            settings.ConfigCheckSeconds = RoleCheckSeconds;
        }

        // None can be said in a connection string. The heartbeat is when the client looks whether to connect anew, and what has taken too long.
        settings.BacklogPolicy = BacklogPolicy.FailFast;
        settings.HeartbeatInterval = TimeSpan.FromMilliseconds(HeartbeatMilliseconds);
        settings.ReconnectRetryPolicy = new ReconnectSoon();
        return settings;
    }

    private static bool Says(string configuration, string option)
    {
        foreach (var part in configuration.AsSpan().Split(','))
        {
            var text = configuration.AsSpan(part).Trim();
            var equals = text.IndexOf('=');
            if (equals > 0 && text[..equals].Trim().Equals(option, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }
}
