namespace RedisSessions;

/// <summary>Sessions of tenants, outside a request. In a request <see cref="RedisSessionOptions.TenantOf"/> says whose session it is.</summary>
public interface ISessionTenants
{
    /// <summary>The sessions of a tenant, by id. <see cref="ISessionRepository"/> itself has those of no tenant.</summary>
    /// <param name="tenant">The tenant.</param>
    ISessionRepository SessionsOf(SessionTenant tenant);
}
