using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace RedisSessions.Tests.Diagnostics;

/// <summary>A fleet whose servers have keys of their own, or those that Redis keeps for all.</summary>
public abstract class DataProtectionTests(RedisServer server) : ServerTest(server)
{
    private Task<Site> StartServerAsync(bool keepsKeys, string name = "shop") => StartAsync(
        Pages.Map,
        services: services =>
        {
            services.RemoveAll<IDataProtectionProvider>();
            services.AddHealthChecks().AddRedisSession();
            var protection = services.AddDataProtection();
            if (keepsKeys)
            {
                protection.SetApplicationName(name);
            }
            else
            {
                protection.UseEphemeralDataProtectionProvider();
            }
        },
        addOns: builder => _ = keepsKeys ? builder.PersistDataProtectionKeys() : builder);

    private static async Task<HealthReportEntry> CheckAsync(Site site) =>
        (await site.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["redis_session"];

    [Fact]
    public async Task Servers_that_keep_their_keys_in_redis_read_each_others_cookies_and_are_healthy()
    {
        var (first, second) = (await StartServerAsync(keepsKeys: true), await StartServerAsync(keepsKeys: true));
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        second.TakeOver(browser);
        Assert.Equal("1", await browser.GetAsync("/get/a"));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(first)).Status);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(second)).Status);

        // A new container, long after.
        var third = await StartServerAsync(keepsKeys: true);
        third.TakeOver(browser);
        Assert.Equal("1", await browser.GetAsync("/get/a"));

        var database = await DatabaseAsync();
        Assert.Equal(1, await database.ListLengthAsync($"{Fleet.Prefix}dataprotection"));
        Assert.Null(await database.KeyTimeToLiveAsync($"{Fleet.Prefix}dataprotection"));
    }

    [Fact]
    public async Task Servers_with_keys_of_their_own_are_told_so_by_the_health_check()
    {
        var (first, second) = (await StartServerAsync(keepsKeys: false), await StartServerAsync(keepsKeys: false));
        var browser = first.NewBrowser();
        await browser.GetAsync("/set/a/1");
        second.TakeOver(browser);
        Assert.Equal("", await browser.GetAsync("/get/a"));

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(first)).Status);
        var told = await CheckAsync(second);
        Assert.Equal(HealthStatus.Degraded, told.Status);
        Assert.Contains("PersistDataProtectionKeys()", told.Description, StringComparison.Ordinal);

        // What one says is the other's trouble does not change what it says of itself.
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(first)).Status);
        Assert.InRange((await (await DatabaseAsync()).KeyTimeToLiveAsync($"{Fleet.Prefix}keyring"))!.Value, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(10));
    }

    /// <summary>The same keys do not help where applications have different names.</summary>
    [Fact]
    public async Task Two_names_of_one_application_are_told_too()
    {
        var (first, second) = (await StartServerAsync(keepsKeys: true, "shop"), await StartServerAsync(keepsKeys: true, "/app/of/another/server"));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(first)).Status);
        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(second)).Status);
    }
}

public sealed class DataProtectionOnGarnet(InProcessGarnet server) : DataProtectionTests(server);

public sealed class DataProtectionOnRedis(LocalRedis server) : DataProtectionTests(server);

public sealed class DataProtectionOnCluster(LocalCluster server) : DataProtectionTests(server);
