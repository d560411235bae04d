using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace RedisSessions.Sessions;

/// <inheritdoc cref="ISessionTenants"/>
/// <remarks>At start-up it also looks whether all that is registered can tell tenants apart: what cannot would show one tenant's users to another.</remarks>
internal sealed class SessionTenants(IOptions<RedisSessionOptions> options, IServiceProvider services) : ISessionTenants, IHostedService
{
    public ISessionRepository SessionsOf(SessionTenant tenant)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        var store = services.GetRequiredService<RedisSessionStore>().Of(tenant);
        return new SessionRepository(store.Hash, store.Timeouts, store.Keys, store.AddOns, store.Durability);
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.TenantOf is null)
        {
            return Task.CompletedTask;
        }

        var forAll = services.GetRequiredService<SessionAddOns>().ForWholeSite;
        if (services.GetService<FormerStore>() is not null)
        {
            forAll = [.. forAll, "Migration"];
        }

        return forAll.Count == 0
            ? Task.CompletedTask
            : throw new InvalidOperationException(
                $"RedisSessionOptions.TenantOf is set, and what is registered of {string.Join(", ", forAll)} does not know tenants: it would mix their sessions. Write no AddUserIndex, AddAnalytics, AddLifecycle and AddMicrosoftSessionMigration with it, or host each tenant in an application of its own, with its own KeyPrefix (docs/tenants.md).");
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
