namespace RedisSessions;

/// <summary>
/// Whose session a request's is, where one application serves several (<see cref="RedisSessionOptions.TenantOf"/>): a tenant's sessions have keys, timeouts and a limit of their own, and no
/// cookie of one tenant names a session of another.
/// </summary>
/// <remarks>Make one object for each tenant and hand out that; another object of the same name is the same tenant, but costs each request some allocations.</remarks>
public sealed class SessionTenant
{
    private const int LongestName = 64;

    private readonly TimeSpan? _idleTimeout;
    private readonly TimeSpan? _absoluteTimeout;
    private readonly long? _maxSessionSize;

    /// <param name="name">
    /// Part of every key of the tenant's sessions: <c>session:tenant:&lt;name&gt;:</c>. Of 1 to 64 ASCII letters, digits, dots, hyphens and underscores; upper and lower case are different.
    /// </param>
    /// <exception cref="ArgumentException">The name has other characters, or is too long.</exception>
    public SessionTenant(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length > LongestName || !name.All(static character => char.IsAsciiLetterOrDigit(character) || character is '.' or '-' or '_'))
        {
            throw new ArgumentException("A tenant's name has 1 to 64 ASCII letters, digits, dots, hyphens and underscores.", nameof(name));
        }

        Name = name;
    }

    /// <summary>The tenant's name.</summary>
    public string Name { get; }

    /// <summary>How long the tenant's sessions live unused; positive. Default <see langword="null"/>: <see cref="Microsoft.AspNetCore.Builder.SessionOptions.IdleTimeout"/>.</summary>
    public TimeSpan? IdleTimeout
    {
        get => _idleTimeout;
        init => _idleTimeout = Positive(value);
    }

    /// <summary>How long they live at most; positive. Default <see langword="null"/>: <see cref="RedisSessionOptions.AbsoluteTimeout"/>.</summary>
    public TimeSpan? AbsoluteTimeout
    {
        get => _absoluteTimeout;
        init => _absoluteTimeout = Positive(value);
    }

    /// <summary>
    /// How many bytes a session of the tenant's may hold, names and values; positive. With <c>AddSecurity()</c> its <c>MaxSessionSize</c> holds, too. Default <see langword="null"/>: only that.
    /// </summary>
    public long? MaxSessionSize
    {
        get => _maxSessionSize;
        init
        {
            if (value is { } bytes)
            {
                ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes, nameof(value));
            }

            _maxSessionSize = value;
        }
    }

    private static TimeSpan? Positive(TimeSpan? timeout)
    {
        if (timeout is { } value)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.FromMilliseconds(1), nameof(value));
        }

        return timeout;
    }
}
