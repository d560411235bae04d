using RedisSessions;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Turns preloading of the session off where an endpoint is mapped.</summary>
public static class SessionPreloadEndpointConventionBuilderExtensions
{
    /// <summary>Lets these endpoints run without waiting for the session's load. See <see cref="SessionPreloadAttribute"/>.</summary>
    /// <param name="builder">The endpoints.</param>
    public static TBuilder DisableSessionPreload<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithMetadata(new SessionPreloadAttribute(enabled: false));
    }
}
