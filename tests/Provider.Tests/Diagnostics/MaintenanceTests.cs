using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace RedisSessions.Tests.Diagnostics;

/// <summary>A server that is taken out of its balancer's rotation, and goes on working.</summary>
public sealed class MaintenanceTests(InProcessGarnet server) : ServerTest(server)
{
    private const string Check = "redis_session_maintenance";

    private async Task<(Site Site, Func<string, Task<HealthReport>> AskAsync)> ServerAsync(HealthStatus? failureStatus = null)
    {
        var site = await StartAsync(
            app =>
            {
                Pages.Map(app);
                app.MapHealthChecks("/ready", new() { Predicate = check => check.Tags.Contains("ready") });
                app.MapHealthChecks("/live", new() { Predicate = check => check.Tags.Contains("live") });
            },
            services: services => services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection().Build()).AddHealthChecks().AddRedisSession(["live"]).AddRedisSessionMaintenance(failureStatus));
        return (site, tag => site.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Tags.Contains(tag)));
    }

    [Fact]
    public async Task A_server_in_maintenance_is_not_ready_but_alive_and_loses_nothing()
    {
        var (site, askAsync) = await ServerAsync();
        var (browser, maintenance) = (site.NewBrowser(), site.Services.GetRequiredService<SessionMaintenance>());
        Assert.Equal("Healthy", await browser.GetAsync("/ready"));
        await browser.GetAsync("/set/a/1");
        maintenance.Begin("New disks.");
        Assert.Equal((System.Net.HttpStatusCode.ServiceUnavailable, "Unhealthy"), await browser.TryAsync("/ready"));
        Assert.Equal("New disks.", (await askAsync("ready")).Entries[Check].Description);
        Assert.Equal("Healthy", await browser.GetAsync("/live"));
        await browser.GetAsync("/set/b/2");
        Assert.Equal("a,b", await browser.GetAsync("/keys"));
        maintenance.End();
        Assert.Equal("Healthy", await browser.GetAsync("/ready"));
    }

    [Fact]
    public async Task It_may_only_be_degraded()
    {
        var (site, askAsync) = await ServerAsync(HealthStatus.Degraded);
        site.Services.GetRequiredService<SessionMaintenance>().Begin("Soon.");
        Assert.Equal(HealthStatus.Degraded, (await askAsync("ready")).Status);
    }

    [Theory]
    [InlineData("true", HealthStatus.Unhealthy)]
    [InlineData("until Monday", HealthStatus.Unhealthy)]
    [InlineData("False", HealthStatus.Healthy)]
    [InlineData("", HealthStatus.Healthy)]
    public async Task The_configuration_may_say_it_while_the_server_runs(string said, HealthStatus expected)
    {
        var (site, askAsync) = await ServerAsync();
        Assert.Equal(HealthStatus.Healthy, (await askAsync("ready")).Status);
        site.Services.GetRequiredService<IConfiguration>()["RedisSession:Maintenance"] = said;
        Assert.Equal(expected, (await askAsync("ready")).Status);
    }

    [Fact]
    public async Task A_host_that_stops_is_not_ready()
    {
        var (site, askAsync) = await ServerAsync();
        site.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        Assert.Equal("The host is stopping.", (await askAsync("ready")).Entries[Check].Description);
    }
}
