using System.Collections.Concurrent;
using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using RedisSessions.Testing;

namespace RedisSessions.Benchmarks.Micro;

/// <summary>What the operation costs on the wire, counted by a proxy in front of the same Redis.</summary>
internal sealed class WireColumn(string name, Func<WireCost, long> value) : IColumn
{
    private static readonly ConcurrentDictionary<string, WireCost> Measured = new();

    public string Id => name;

    public string ColumnName => name;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => $"{name} per operation";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        var who = (string)benchmarkCase.Parameters[nameof(Operations.Who)];
        var bytes = (int)benchmarkCase.Parameters[nameof(Operations.KiloBytes)] * 1_000;
        var fields = (int)benchmarkCase.Parameters[nameof(Operations.Fields)];
        var operation = benchmarkCase.Descriptor.WorkloadMethod.Name;
        var cost = Measured.GetOrAdd($"{who}|{bytes}|{fields}|{operation}", _ => Task.Run(() => MeasureAsync(who, bytes, fields, operation)).GetAwaiter().GetResult());
        return value(cost).ToString("N0", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    private static async Task<WireCost> MeasureAsync(string who, int bytes, int fields, string operation)
    {
        using var proxy = new RedisProxy(SharedRedis.Address);
        await using var rig = await OperationRig.StartAsync(who, proxy.Address, bytes, fields);
        Func<Task> run = operation switch
        {
            nameof(Operations.Load) => rig.LoadAsync,
            nameof(Operations.LoadChangeCommit) => rig.LoadChangeCommitAsync,
            nameof(Operations.Touch) => rig.TouchAsync,
            nameof(Operations.Create) => rig.CreateAsync,
            _ => throw new ArgumentOutOfRangeException(nameof(operation)),
        };
        await run();
        await run();

        // The client's own PINGs fall in between; the cheapest of a few runs is the operation's own cost.
        var best = new WireCost(long.MaxValue, long.MaxValue, long.MaxValue);
        for (var i = 0; i < 5; i++)
        {
            var before = proxy.Snapshot();
            await run();
            var cost = proxy.Snapshot() - before;
            best = new WireCost(Math.Min(best.Commands, cost.Commands.Count), Math.Min(best.BytesOut, cost.BytesToRedis), Math.Min(best.BytesIn, cost.BytesFromRedis));
        }

        return best;
    }
}

internal sealed record WireCost(long Commands, long BytesOut, long BytesIn);
