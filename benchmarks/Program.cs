using BenchmarkDotNet.Running;
using RedisSessions.Benchmarks.Http;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;

switch (args)
{
    case ["site", var contender, var redis, var port]:
        await BenchmarkSite.RunAsync(contender, redis, int.Parse(port, System.Globalization.CultureInfo.InvariantCulture));
        break;
    case ["load"]:
        await LoadGenerator.RunAsync();
        break;
    case ["http", .. var rest]:
        await HttpAsync(quick: rest is ["--quick"]);
        break;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        break;
}

static async Task HttpAsync(bool quick)
{
    using var process = RedisProcess.IsInstalled ? await RedisProcess.StartAsync() : null;
    using var garnet = process is null ? new EmbeddedGarnet() : null;
    var redis = process?.Address ?? garnet!.Address;
    var rates = await new HttpRun(quick).RunAsync(redis);
    var memory = await MemoryRun.RunAsync(redis);
    await Report.WriteAsync(rates, memory, redis, quick);
}

public partial class Program;
