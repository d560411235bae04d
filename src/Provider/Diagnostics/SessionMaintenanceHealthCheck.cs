using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace RedisSessions.Diagnostics;

/// <summary>
/// Fails while this server is to get no more requests: the application says so (<see cref="SessionMaintenance"/>), the configuration does, which is read anew with every check, or the host stops. Asks nobody.
/// </summary>
internal sealed class SessionMaintenanceHealthCheck(SessionMaintenance maintenance, IServiceProvider services) : IHealthCheck
{
    // RedisSessionOptions.SectionName; no option, for options are read once.
    private const string Setting = "RedisSession:Maintenance";

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) => Task.FromResult(WhyNot() is { } reason
        ? new HealthCheckResult(context.Registration.FailureStatus, reason)
        : HealthCheckResult.Healthy());

    private string? WhyNot()
    {
        if (services.GetService<IHostApplicationLifetime>() is { ApplicationStopping.IsCancellationRequested: true })
        {
            return "The host is stopping.";
        }

        if (maintenance.Reason is { } reason)
        {
            return reason;
        }

        return services.GetService<IConfiguration>()?[Setting] is { Length: > 0 } said && !said.Equals(bool.FalseString, StringComparison.OrdinalIgnoreCase)
            ? $"The configuration ({Setting}) says that this server is in maintenance."
            : null;
    }
}
