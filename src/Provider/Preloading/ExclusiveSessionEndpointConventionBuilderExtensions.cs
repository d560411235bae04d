using RedisSessions;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Lets requests of one session take turns where endpoints are mapped.</summary>
public static class ExclusiveSessionEndpointConventionBuilderExtensions
{
    /// <summary>Lets requests of one session to these endpoints take turns. See <see cref="ExclusiveSessionAttribute"/>.</summary>
    /// <typeparam name="TBuilder">Of the endpoints.</typeparam>
    /// <param name="builder">The endpoints.</param>
    /// <param name="wait">How long a request waits for others at most, from 0 to 1 hour; <see langword="null"/> for as long as <see cref="RedisSessionOptions.Exclusive"/> says.</param>
    /// <param name="lease">For how long it keeps others waiting after its server was last heard of, from 100 milliseconds to 1 hour; <see langword="null"/> for as long as the options say.</param>
    /// <exception cref="ArgumentOutOfRangeException">One of them is out of range.</exception>
    public static TBuilder RequireExclusiveSession<TBuilder>(this TBuilder builder, TimeSpan? wait = null, TimeSpan? lease = null)
        where TBuilder : IEndpointConventionBuilder
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithMetadata(new ExclusiveSessionAttribute(wait, lease));
    }
}
