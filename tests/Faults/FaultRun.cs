using Microsoft.AspNetCore.DataProtection;
using RedisSessions.Testing;
using StackExchange.Redis;

namespace RedisSessions.Faults;

/// <summary>Two hosts, their browsers, one fault, and a look at what is left.</summary>
public static class FaultRun
{
    public const string Prefix = "fleet:";

    public static async Task<Outcome> RunAsync(Fault fault, FaultOptions options)
    {
        await using var target = await Target.StartAsync(fault, options.Seconds / 3);
        var ring = Directory.CreateTempSubdirectory("fleet-keys-");
        using var child = fault.Name == "host-kill" ? new ChildHost(options, target.Address, ring.FullName) : null;
        try
        {
            var protection = DataProtectionProvider.Create(ring);
            await using var one = await FleetHost.StartAsync(options.Stack, target.Address, Prefix, options, protection);
            await using var two = await FleetHost.StartAsync(options.Stack, target.Address, Prefix, options, protection);
            HttpMessageHandler[] hosts = [one.NewHandler(), child?.Handler ?? two.NewHandler()];
            if (child is not null)
            {
                await child.StartAsync();
                target.KillHost = child.RestartAsync;
            }

            var browsers = Enumerable.Range(0, options.Sessions).Select(i => new FleetBrowser(hosts, $"user{i % 8}")).ToArray();
            await Task.WhenAll(browsers.Select(Load.BeginAsync));
            var bare = new BareWriter(target.Address);
            await bare.StartAsync();
            using var stop = new CancellationTokenSource();
            var load = new Load(browsers, options);
            var running = load.RunAsync(stop.Token);
            await Task.Delay(TimeSpan.FromSeconds(options.Seconds / 5));
            await fault.Strike(target);
            if (TimeSpan.FromSeconds(options.Seconds - load.Now) is { Ticks: > 0 } rest)
            {
                await Task.Delay(rest);
            }

            await stop.CancelAsync();
            await running;
            return await LookAsync(fault, options, target, load, browsers, bare, one.Services);
        }
        finally
        {
            ring.Delete(recursive: true);
        }
    }

    private static async Task<Outcome> LookAsync(Fault fault, FaultOptions options, Target target, Load load, FleetBrowser[] browsers, BareWriter bare, IServiceProvider services)
    {
        await SettledAsync(target);
        var diverged = 0;
        foreach (var browser in browsers)
        {
            // The whole of it, at either host: what is lost counts at the one that shows less.
            var (here, there) = (await browser.GetAsync(0, "/all"), await browser.GetAsync(1, "/all"));
            diverged += here == there ? 0 : 1;
            foreach (var field in new[] { "x", "y" })
            {
                var shown = await browser.GetAsync(0, $"/get/{field}");
                load.Check(browser, field, FleetBrowser.Number(shown));
            }
        }

        var address = target.Sentinels is not null ? (await target.Sentinels.FindMasterAsync())!.Address : (target.Single ?? target.Cluster!.Nodes.First(node => node.IsRunning)).Address;
        await using var admin = await ConnectionMultiplexer.ConnectAsync($"{address},allowAdmin=true");
        var (withoutTtl, notHealed) = (0, 0);
        if (options.Stack == Stack.Ours)
        {
            var users = services.GetRequiredService<IUserSessions>();
            foreach (var user in browsers.Select(browser => browser.User).Distinct())
            {
                // Every look at the index heals it.
                await users.ListAsync(user);
                foreach (var id in await admin.GetDatabase().SortedSetRangeByRankAsync($"{Prefix}user:{{{user}}}"))
                {
                    notHealed += await admin.GetDatabase().KeyExistsAsync($"{Prefix}{{{id}}}") ? 0 : 1;
                }
            }
        }

        foreach (var server in admin.GetServers().Where(server => server is { IsConnected: true, IsReplica: false }))
        {
            await foreach (var key in server.KeysAsync(pattern: Prefix + "*"))
            {
                withoutTtl += await admin.GetDatabase().KeyTimeToLiveAsync(key) is null && await admin.GetDatabase().KeyExistsAsync(key) ? 1 : 0;
            }
        }

        return new Outcome(
            fault,
            options,
            load.Answers.Count,
            load.Answers.Count(answer => !answer.Ok),
            load.Answers.Max(answer => answer.Took),
            GapOf(load.Answers),
            load.Lost,
            await bare.StopAsync(admin),
            diverged,
            withoutTtl,
            notHealed,
            load.Reasons);
    }

    private static double GapOf(IReadOnlyList<(double At, double Took, bool Ok)> answers)
    {
        var (last, longest) = (0.0, 0.0);
        foreach (var (at, _, _) in answers.Where(answer => answer.Ok))
        {
            longest = Math.Max(longest, at - last);
            last = at;
        }

        return longest;
    }

    // One master is left, whom all name.
    private static async Task SettledAsync(Target target)
    {
        for (var i = 0; i < 300 && target.Sentinels is not null; i++)
        {
            if (await target.Sentinels.FindMasterAsync() is { } master && await AreReplicasAsync(target.Sentinels, master))
            {
                return;
            }

            await Task.Delay(100);
        }
    }

    private static async Task<bool> AreReplicasAsync(SentinelProcesses sentinels, RedisProcess master)
    {
        foreach (var server in sentinels.Servers.Where(server => server != master && server.IsRunning))
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync($"{server.Address},allowAdmin=true");
            if (!connection.GetServers()[0].IsReplica)
            {
                return false;
            }
        }

        return true;
    }
}
