using System.Globalization;
using System.Text;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Micro;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Redis;

/// <summary>
/// Redis's side: what one core of it carries, and what a request writes to the append-only file and to replicas. Each contender's own code makes
/// its requests once, and what it sends is recorded and sent again as fast as Redis answers.
/// </summary>
internal sealed class RedisRun
{
    private const int Sessions = 64;
    private const int Rounds = 5;
    private const int Fields = 10;
    private const string Read = "read";
    private const string Write = "read and write one field";
    private const string Version = "@v";
    private const string Ours = "RedisSessions";
    private const string Cold = "RedisSessions, no copy at hand";
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(300);
    private static readonly int[] Sizes = [1_000, 10_000, 100_000];

    private readonly List<Row> _rows = [];

    public static async Task RunAsync()
    {
        if (!RedisProcess.IsInstalled)
        {
            throw new InvalidOperationException("There is no redis-server on PATH, and this is about it.");
        }

        var run = new RedisRun();
        using var redis = await RedisProcess.StartAsServiceAsync();
        await run.MeasureThroughputAsync(redis);
        using var logged = await RedisProcess.StartAsync("--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0", "--repl-ping-replica-period", "3600", "--repl-diskless-sync-delay", "0");
        using var replica = await RedisProcess.StartAsync("--replicaof", "127.0.0.1", logged.Port.ToString(CultureInfo.InvariantCulture));
        await run.MeasureBytesAsync(logged);
        var text = await run.ReportAsync(redis.Address);
        Console.WriteLine(text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "redis", text);
    }

    private Row RowOf(string who, string what, int size)
    {
        var row = _rows.Find(row => (row.Who, row.What, row.Size) == (who, what, size));
        if (row is null)
        {
            _rows.Add(row = new Row(who, what, size));
        }

        return row;
    }

    private async Task MeasureThroughputAsync(RedisProcess redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        var admin = connection.GetServers()[0];
        foreach (var size in Sizes)
        {
            await admin.FlushAllDatabasesAsync();
            var subjects = await RecordAllAsync(redis, connection.GetDatabase(), size);
            for (var round = 0; round < Rounds; round++)
            {
                foreach (var (who, what, requests, replies) in subjects)
                {
                    using var replay = new Replay(redis.Port, requests, replies);
                    replay.Send(1);
                    await admin.ConfigResetStatisticsAsync();
                    var before = await CpuAsync(admin);
                    var (count, seconds) = replay.Run(Turn);
                    var cpu = await CpuAsync(admin) - before;
                    var usec = await MicrosecondsAsync(admin, requests[0]);
                    RowOf(who, what, size).Samples.Add(new Sample(count / seconds, count / cpu, usec, cpu / seconds));
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{size / 1000,4} KB  round {round + 1}/{Rounds}  {who,-32} {what,-26} {count / seconds,11:N0}/s  {count / cpu,11:N0} per core  {usec,7:N2} µs in commands"));
                }
            }
        }
    }

    /// <summary>Appended and replicated: sent one connection after the other, for what counts is bytes.</summary>
    private async Task MeasureBytesAsync(RedisProcess redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{redis.Address},allowAdmin=true");
        var admin = connection.GetServers()[0];
        while (!(await admin.InfoRawAsync("replication"))!.Contains("state=online", StringComparison.Ordinal))
        {
            await Task.Delay(20);
        }

        foreach (var size in Sizes)
        {
            foreach (var (who, what, requests, replies) in await RecordAllAsync(redis, connection.GetDatabase(), size))
            {
                using var replay = new Replay(redis.Port, requests, replies);
                replay.Send(1);
                var before = await BytesAsync(admin);
                var count = replay.Send(4);
                var after = await BytesAsync(admin);
                var row = RowOf(who, what, size);
                (row.Appended, row.Replicated) = ((after.Appended - before.Appended) / (double)count, (after.Replicated - before.Replicated) / (double)count);
                // Asking is in it, too: less than a byte a request.
                (row.Received, row.Sent) = ((after.Received - before.Received) / (double)count, (after.Sent - before.Sent - (after.Replicated - before.Replicated)) / (double)count);
            }
        }
    }

    private static async Task<List<(string Who, string What, IReadOnlyList<IReadOnlyList<Command>> Requests, int Replies)>> RecordAllAsync(RedisProcess redis, IDatabase database, int size)
    {
        var subjects = new List<(string, string, IReadOnlyList<IReadOnlyList<Command>>, int)>();
        foreach (var contender in new[] { Contender.Ours, Contender.OursWithoutCopies, Contender.Microsoft, Contender.JsonBlob })
        {
            using var recorder = new WireRecorder(redis.Port);
            var rigs = await OperationRig.StartManyAsync(contender, recorder.Address, size, Fields, Sessions);
            var (who, isCold) = (contender == Contender.Ours ? Ours : contender == Contender.OursWithoutCopies ? Cold : contender, contender == Contender.OursWithoutCopies);
            subjects.Add((who, Read, await RecordAsync(recorder, rigs, rig => rig.LoadAsync()), contender == Contender.Ours ? 50 : size));
            if (!isCold)
            {
                // The first may still have to say its script.
                await RecordAsync(recorder, rigs, rig => rig.LoadChangeCommitAsync());
                subjects.Add((who, Write, await RecordWritesAsync(recorder, database, rigs), contender == Contender.Ours ? 100 : size));
            }

            await rigs[0].DisposeAsync();
        }

        var (blob, small) = (new byte[size], new byte[20]);
        for (var i = 0; i < Sessions; i++)
        {
            await database.StringSetAsync($"bare:{i}", blob);
            await database.StringSetAsync($"small:{i}", small);
            await database.HashSetAsync($"hash:{i}", Version, "1234567890123456789");
        }

        subjects.Add(("PING", "bare", Bare(_ => ["PING"]), 7));
        subjects.Add(("HGET of a version", "bare", Bare(i => ["HGET", $"hash:{i}", Version]), 30));
        subjects.Add(("GET of the session's size", "bare", Bare(i => ["GET", $"bare:{i}"]), size));
        subjects.Add(("SET of 20 bytes", "bare", Bare(i => ["SET", $"small:{i}", small]), 5));
        subjects.Add(("SET of the session's size", "bare", Bare(i => ["SET", $"bare:{i}", blob]), 5));
        return subjects;
    }

    private static async Task<IReadOnlyList<IReadOnlyList<Command>>> RecordAsync(WireRecorder recorder, OperationRig[] rigs, Func<OperationRig, Task> operation)
    {
        var requests = new List<IReadOnlyList<Command>>();
        foreach (var rig in rigs)
        {
            recorder.Take();
            await operation(rig);
            requests.Add(recorder.Take());
        }

        return requests;
    }

    /// <summary>
    /// A write of ours names the version that it replaces, and what is sent again would not find that. So it names the one that it leaves, and each is what a
    /// server sends that knows the session.
    /// </summary>
    private static async Task<IReadOnlyList<IReadOnlyList<Command>>> RecordWritesAsync(WireRecorder recorder, IDatabase database, OperationRig[] rigs)
    {
        var former = await RecordAsync(recorder, rigs, rig => rig.LoadChangeCommitAsync());
        if (former[0][0].Words is not ["HGET", _, Version])
        {
            return former;
        }

        var requests = new List<IReadOnlyList<Command>>();
        foreach (var (rig, commands) in rigs.Zip(former))
        {
            var key = commands[0].Words[1];
            string before = (await database.HashGetAsync(key, Version))!;
            recorder.Take();
            await rig.LoadChangeCommitAsync();
            var request = recorder.Take();
            string after = (await database.HashGetAsync(key, Version))!;
            requests.Add([.. request.Select(command => command.With(before, after))]);
        }

        return requests;
    }

    private static IReadOnlyList<IReadOnlyList<Command>> Bare(Func<int, object[]> command) => [.. Enumerable.Range(0, Sessions).Select(i =>
    {
        var words = command(i);
        var bytes = new MemoryStream();
        bytes.Write(Encoding.ASCII.GetBytes($"*{words.Length}\r\n"));
        foreach (var word in words)
        {
            var text = word as byte[] ?? Encoding.ASCII.GetBytes((string)word);
            bytes.Write(Encoding.ASCII.GetBytes($"${text.Length}\r\n"));
            bytes.Write(text);
            bytes.Write("\r\n"u8);
        }

        return (IReadOnlyList<Command>)[new Command((string)words[0], bytes.ToArray())];
    })];

    private static async Task<double> CpuAsync(IServer admin)
    {
        var cpu = (await admin.InfoAsync("cpu")).SelectMany(group => group).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        return double.Parse(cpu["used_cpu_user"], CultureInfo.InvariantCulture) + double.Parse(cpu["used_cpu_sys"], CultureInfo.InvariantCulture);
    }

    /// <summary>What INFO commandstats says of a request's own commands; those that a script calls are in its time.</summary>
    private static async Task<double> MicrosecondsAsync(IServer admin, IReadOnlyList<Command> request)
    {
        var stats = (await admin.InfoAsync("commandstats")).SelectMany(group => group).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
        return request.Sum(command =>
        {
            const string PerCall = "usec_per_call=";
            var line = stats[$"cmdstat_{command.Name}"];
            var from = line.IndexOf(PerCall, StringComparison.Ordinal) + PerCall.Length;
            return double.Parse(line.AsSpan(from, line.IndexOf(',', from) - from), CultureInfo.InvariantCulture);
        });
    }

    private static async Task<(long Appended, long Replicated, long Received, long Sent)> BytesAsync(IServer admin)
    {
        var all = (await admin.InfoAsync()).SelectMany(group => group).DistinctBy(pair => pair.Key).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        return (Of("aof_current_size"), Of("master_repl_offset"), Of("total_net_input_bytes"), Of("total_net_output_bytes"));

        long Of(string name) => long.Parse(all[name], CultureInfo.InvariantCulture);
    }

    private async Task<string> ReportAsync(string redis)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- redis`, {await Report.MachineAsync(redis)}");
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"What one core of redis-server carries. Each contender's own code makes a request for each of {Sessions} sessions of ten fields; its");
        text.AppendLine("commands are recorded and sent again, pipelined (up to 32 requests), from eight connections, so the client's own cost is left out.");
        text.AppendLine(CultureInfo.InvariantCulture, $"Requests per second of Redis's processor time (`used_cpu_user` and `used_cpu_sys`), medians of {Rounds} turns; in brackets the microseconds that");
        text.AppendLine("`INFO commandstats` counts for a request's commands, which is without reading the socket, parsing and answering. A read of ours with");
        text.AppendLine("no copy at hand is what a server does that has not seen the session. Where Redis was not busy all the time, the client was");
        text.AppendLine("the limit; the figure is by Redis's processor time all the same.");
        Table("requests per core-second (µs in commands)", row => $"{row.PerCore:N0} ({row.Microseconds:0.0})");
        Table("requests per second as measured (Redis busy)", row => $"{row.PerSecond:N0} ({row.Busy:P0})");
        text.AppendLine();
        text.AppendLine("### One core of Redis against Microsoft's");
        text.AppendLine();
        Header();
        foreach (var what in new[] { Read, Write })
        {
            Line($"{what}: ours / Microsoft", size => Ratio(what, size, Contender.Microsoft));
            Line($"{what}: ours / JSON blob", size => Ratio(what, size, Contender.JsonBlob));
        }

        Line("read: ours / bare HGET", size => $"{RowOf(Ours, Read, size).PerCore / RowOf("HGET of a version", "bare", size).PerCore:0.00}");
        Table("bytes to the append-only file per request", row => $"{row.Appended:N0}");
        Table("bytes to each replica per request", row => $"{row.Replicated:N0}");
        Table("bytes from and to clients per request", row => $"{row.Received:N0}, {row.Sent:N0}");
        return text.ToString();

        string Ratio(string what, int size, string other) => $"{RowOf(Ours, what, size).PerCore / RowOf(other, what, size).PerCore:0.00}";

        void Header()
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"| | {string.Join(" | ", Sizes.Select(size => $"{size / 1000} KB"))} |");
            text.AppendLine(CultureInfo.InvariantCulture, $"|---|{string.Concat(Sizes.Select(_ => "---|"))}");
        }

        void Line(string name, Func<int, string> cell) => text.AppendLine($"| {name} | {string.Join(" | ", Sizes.Select(cell))} |");

        void Table(string title, Func<Row, FormattableString> cell)
        {
            text.AppendLine();
            text.AppendLine(CultureInfo.InvariantCulture, $"### {char.ToUpperInvariant(title[0])}{title[1..]}");
            text.AppendLine();
            Header();
            foreach (var (who, what) in _rows.Select(row => (row.Who, row.What)).Distinct().OrderBy(row => row.What == Read ? 0 : row.What == Write ? 1 : 2))
            {
                Line(what == "bare" ? who : $"{what}: {who}", size => cell(RowOf(who, what, size)).ToString(CultureInfo.InvariantCulture));
            }
        }
    }

    private sealed record Sample(double PerSecond, double PerCore, double Microseconds, double Busy);

    private sealed record Row(string Who, string What, int Size)
    {
        public List<Sample> Samples { get; } = [];

        public double Appended { get; set; }

        public double Replicated { get; set; }

        public double Received { get; set; }

        public double Sent { get; set; }

        public double PerSecond => Median(sample => sample.PerSecond);

        public double PerCore => Median(sample => sample.PerCore);

        public double Microseconds => Median(sample => sample.Microseconds);

        public double Busy => Median(sample => sample.Busy);

        private double Median(Func<Sample, double> of) => Samples.Select(of).Order().ElementAt(Samples.Count / 2);
    }
}
