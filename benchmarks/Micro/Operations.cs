using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Micro;

/// <summary>One request's worth of session work at a time, through ISessionStore and ISession alone.</summary>
[Config(typeof(Settings))]
[MemoryDiagnoser(displayGenColumns: false)]
public class Operations
{
    private OperationRig? _rig;

    [Params(Contender.Ours, Contender.Microsoft, Contender.JsonBlob)]
    public string Who { get; set; } = Contender.Ours;

    [Params(1, 10, 100, 1_000)]
    public int KiloBytes { get; set; }

    [Params(10, 200)]
    public int Fields { get; set; }

    [GlobalSetup]
    public async Task SetupAsync() => _rig = await OperationRig.StartAsync(Who, SharedRedis.Address, KiloBytes * 1_000, Fields);

    [GlobalCleanup]
    public async Task CleanupAsync() => await _rig!.DisposeAsync();

    [Benchmark]
    public Task Load() => _rig!.LoadAsync();

    [Benchmark]
    public Task LoadChangeCommit() => _rig!.LoadChangeCommitAsync();

    [Benchmark]
    public Task Touch() => _rig!.TouchAsync();

    [Benchmark]
    public Task Create() => _rig!.CreateAsync();

    private sealed class Settings : ManualConfig
    {
        public Settings()
        {
            AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
            AddColumn(new WireColumn("Commands", cost => cost.Commands), new WireColumn("Bytes out", cost => cost.BytesOut), new WireColumn("Bytes in", cost => cost.BytesIn));
        }
    }
}

/// <summary>One Redis for the whole run.</summary>
internal static class SharedRedis
{
    private static readonly Lazy<string> Started = new(() => RedisProcess.IsInstalled
        ? RedisProcess.StartAsync().GetAwaiter().GetResult().Address
        : new EmbeddedGarnet().Address);

    public static string Address => Started.Value;
}
