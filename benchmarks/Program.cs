using System.Globalization;
using BenchmarkDotNet.Running;
using RedisSessions.Benchmarks.Analytics;
using RedisSessions.Benchmarks.Caching;
using RedisSessions.Benchmarks.Http;
using RedisSessions.Benchmarks.Micro;
using RedisSessions.Benchmarks.Redis;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Benchmarks.Sizing;
using RedisSessions.Benchmarks.Staleness;
using RedisSessions.Benchmarks.Users;
using RedisSessions.Testing;

switch (args)
{
    case ["site", var contender, var redis, var port]:
        await BenchmarkSite.RunAsync(contender, redis, int.Parse(port, CultureInfo.InvariantCulture));
        break;
    case ["load"]:
        await LoadGenerator.RunAsync();
        break;
    case ["http", .. var rest]:
        await WithRedisAsync(redis => HttpAsync(redis, quick: rest is ["--quick"]));
        break;
    case ["latency"]:
        await WithRedisAsync(LatencyRun.RunAsync);
        break;
    case ["threads"]:
        await ThreadsRun.RunAsync();
        break;
    case ["users"]:
        await WithRedisAsync(UserIndexRun.RunAsync);
        break;
    case ["cache"]:
        await WithRedisAsync(CacheRun.RunAsync);
        break;
    case ["analytics"]:
        await WithRedisAsync(AnalyticsRun.RunAsync);
        break;
    case ["sizing"]:
        await WithRedisAsync(SizingRun.RunAsync);
        break;
    case ["redis"]:
        await RedisRun.RunAsync();
        break;
    case ["staleness"]:
        await WithRedisAsync(StalenessRun.RunAsync);
        break;
    case ["copies"]:
        await CopiesRun.RunAsync();
        break;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        break;
}

static async Task HttpAsync(string redis, bool quick)
{
    var rates = await new HttpRun(quick).RunAsync(redis);
    var memory = await MemoryRun.RunAsync(redis);
    await Report.WriteAsync(rates, memory, redis, quick);
}

// A redis-server on PATH, else Garnet.
static async Task WithRedisAsync(Func<string, Task> run)
{
    using var process = RedisProcess.IsInstalled ? await RedisProcess.StartAsServiceAsync() : null;
    using var garnet = process is null ? new EmbeddedGarnet() : null;
    await run(process?.Address ?? garnet!.Address);
}

public partial class Program;
