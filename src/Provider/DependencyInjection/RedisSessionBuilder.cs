namespace Microsoft.Extensions.DependencyInjection;

/// <summary>What <c>AddRedisSession</c> returns; add-ons hang off it.</summary>
public sealed class RedisSessionBuilder
{
    internal RedisSessionBuilder(IServiceCollection services) => Services = services;

    /// <summary>The application's services.</summary>
    public IServiceCollection Services { get; }
}
