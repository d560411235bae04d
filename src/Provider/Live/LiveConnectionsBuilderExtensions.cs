using Microsoft.AspNetCore.Components.Server.Circuits;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RedisSessions;
using RedisSessions.Live;
using RedisSessions.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Lets live connections belong to sessions.</summary>
public static class LiveConnectionsBuilderExtensions
{
    /// <summary>
    /// Lets SignalR hubs and interactive Blazor Server circuits belong to the session of the request that opened them, and endpoints with <c>CloseWithSession()</c>: when it is revoked,
    /// signed out, destroyed or expired, on whichever server, they are closed, within a second. What the user does on them keeps the session alive, and
    /// <see cref="ILiveSession"/> reads and changes it there.
    /// <para>
    /// Every server that changes or ends sessions is to have this line (or <see cref="LocalCacheMode.Notifying"/>), for it makes changes be published; and <c>UseSession</c> stands before the endpoints.
    /// </para>
    /// </summary>
    /// <param name="builder">What AddRedisSession returned.</param>
    /// <param name="configure">Options; <see langword="null"/> for the defaults.</param>
    public static RedisSessionBuilder AddLiveConnections(this RedisSessionBuilder builder, Action<LiveConnectionOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<LiveConnectionOptions>, LiveConnectionOptionsValidator>());
        var options = services.AddOptions<LiveConnectionOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.Configure<RedisSessionOptions>(static options => options.HearsChanges = true);
        services.TryAddSingleton<LiveConnections>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IChangeListener, LiveConnections>(static provider => provider.GetRequiredService<LiveConnections>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<SessionAddOn, LiveRequests>());
        services.TryAddScoped<LiveSessionAccessor>();
        services.TryAddScoped<ILiveSession>(static provider => provider.GetRequiredService<LiveSessionAccessor>());
        services.TryAddSingleton<LiveHubFilter>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<HubOptions>, LiveHubFilter.Adding>());
        services.TryAddEnumerable(ServiceDescriptor.Scoped<CircuitHandler, LiveCircuitHandler>());
        return builder;
    }

    private sealed class LiveConnectionOptionsValidator : IValidateOptions<LiveConnectionOptions>
    {
        public ValidateOptionsResult Validate(string? name, LiveConnectionOptions options) => Enum.IsDefined(options.KeepAlive)
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail("LiveConnectionOptions.KeepAlive is no value of its enumeration. Write LiveTraffic.Messages, LiveTraffic.Open or LiveTraffic.Nothing.");
    }
}
