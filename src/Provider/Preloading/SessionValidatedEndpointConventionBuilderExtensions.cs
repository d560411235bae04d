using RedisSessions;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Says where an endpoint is mapped that its session must be asked for.</summary>
public static class SessionValidatedEndpointConventionBuilderExtensions
{
    /// <summary>Makes requests to these endpoints ask Redis for their session. See <see cref="SessionValidatedAttribute"/>.</summary>
    /// <param name="builder">The endpoints.</param>
    public static TBuilder RequireValidatedSession<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithMetadata(new SessionValidatedAttribute());
    }
}
