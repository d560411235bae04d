using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Session;
using RedisSessions.Benchmarks.Contenders;
using RedisSessions.Benchmarks.Http;
using RedisSessions.Benchmarks.Results;
using RedisSessions.Testing;
using StackExchange.Redis;

namespace RedisSessions.Benchmarks.Sizing;

/// <summary>What an operator plans with: Redis's memory per session, and its processor time and traffic per request.</summary>
internal sealed class SizingRun(string redis, IServer admin)
{
    private const int RequestsPerSecond = 1_000;
    private const int Seconds = 5;
    private const int Workers = 16;
    private const int Cookies = 64;

    private static readonly (int Fields, int Bytes)[] Shapes = [(3, 20), (10, 20), (10, 100), (50, 20), (10, 1_000), (100, 100), (10, 10_000)];

    private static readonly string[] Sites =
        [Contender.Ours, Contender.OursWithoutCopies, Contender.OursWithUsers, Contender.OursWithSecurity, Contender.OursWithAnalytics, Contender.Microsoft];

    private readonly StringBuilder _text = new();

    public static async Task RunAsync(string redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync($"{redis},allowAdmin=true");
        var run = new SizingRun(redis, connection.GetServers()[0]);
        run._text.AppendLine(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd}, `dotnet run -c Release --project benchmarks -- sizing`, {await Report.MachineAsync(redis)}");
        await run.MeasureMemoryAsync();
        await run.MeasureAddOnsAsync();
        await run.MeasureRequestsAsync();
        Console.WriteLine(run._text);
        await ResultsFile.ReplaceAsync(Path.Combine(Report.Folder(), "RESULTS.md"), "sizing", run._text.ToString());
    }

    private async Task MeasureMemoryAsync()
    {
        _text.AppendLine();
        _text.AppendLine("### Bytes of Redis's memory per session, by shape");
        _text.AppendLine();
        _text.AppendLine("`used_memory` before and after, over the number of sessions: keys, values, expiries and the allocator's rounding.");
        _text.AppendLine();
        _text.AppendLine("| fields | bytes of each value | RedisSessions | Microsoft |");
        _text.AppendLine("|---|---|---|---|");
        foreach (var (fields, bytes) in Shapes)
        {
            var ours = await PerSessionAsync(Contender.Ours, fields, bytes);
            var microsoft = await PerSessionAsync(Contender.Microsoft, fields, bytes);
            _text.AppendLine(CultureInfo.InvariantCulture, $"| {fields} | {bytes:N0} | {ours:N0} | {microsoft:N0} |");
        }
    }

    private async Task<long> PerSessionAsync(string contender, int fields, int bytes)
    {
        var sessions = fields * bytes > 10_000 ? 1_000 : 10_000;
        await admin.FlushAllDatabasesAsync();
        await using var provider = Contender.Add(new ServiceCollection().AddLogging(), contender, redis).BuildServiceProvider();
        var store = provider.GetRequiredService<ISessionStore>();

        // Scripts and connections first, so that they are not counted.
        await CreateAsync(1);
        await admin.FlushAllDatabasesAsync();
        var before = await InfoAsync("memory", "used_memory");
        await CreateAsync(sessions);
        return (await InfoAsync("memory", "used_memory") - before) / sessions;

        async Task CreateAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var session = store.Create(Guid.NewGuid().ToString(), TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(1), () => true, true);
                for (var field = 0; field < fields; field++)
                {
                    session.Set($"field-{field}", new byte[bytes]);
                }

                await session.CommitAsync();
            }
        }
    }

    private async Task MeasureAddOnsAsync()
    {
        const int Sessions = 5_000;
        _text.AppendLine();
        _text.AppendLine("### Bytes per session with add-ons, each session of ten fields of 20 bytes and two small ones");
        _text.AppendLine();
        _text.AppendLine("| | bytes |");
        _text.AppendLine("|---|---|");
        foreach (var contender in Sites.Except([Contender.OursWithoutCopies]))
        {
            var port = EmbeddedGarnet.FreePort();
            using var site = await ChildProcess.StartSiteAsync(contender, redis, port);
            await LoadGenerator.FillAsync(port, 100, 200);
            await admin.FlushAllDatabasesAsync();
            var before = await InfoAsync("memory", "used_memory");
            await LoadGenerator.FillAsync(port, Sessions, 200);
            await QuietAsync();
            _text.AppendLine(CultureInfo.InvariantCulture, $"| {contender} | {(await InfoAsync("memory", "used_memory") - before) / Sessions:N0} |");
        }
    }

    private async Task MeasureRequestsAsync()
    {
        _text.AppendLine();
        _text.AppendLine(CultureInfo.InvariantCulture, $"### Redis at {RequestsPerSecond:N0} requests a second");
        _text.AppendLine();
        _text.AppendLine("Processor time of Redis (`used_cpu_user` and `used_cpu_sys`, less what it takes idle) as a share of one core, and the bytes that it");
        _text.AppendLine(CultureInfo.InvariantCulture, $"received and sent per request. Sessions of ten fields; requests are spread evenly over {Seconds} seconds and {Cookies} sessions, so nothing is");
        _text.AppendLine("pipelined but by chance: at a higher rate a request takes less.");
        _text.AppendLine();
        _text.AppendLine("| | request | session | core | bytes in | bytes out |");
        _text.AppendLine("|---|---|---|---|---|---|");
        foreach (var contender in Sites)
        {
            var port = EmbeddedGarnet.FreePort();
            using var site = await ChildProcess.StartSiteAsync(contender, redis, port);
            foreach (var size in new[] { 1_000, 10_000, 100_000 })
            {
                await admin.FlushAllDatabasesAsync();
                var cookies = await LoadGenerator.FillAsync(port, Cookies, size);
                foreach (var (path, what) in new[] { ("/read-async", "reads"), ("/write", "reads and writes") })
                {
                    await DriveAsync(port, path, cookies);
                    await QuietAsync();
                    var (core, received, sent) = await DuringAsync(() => Task.Delay(TimeSpan.FromSeconds(Seconds)));
                    var busy = await DuringAsync(() => DriveAsync(port, path, cookies));
                    const int Requests = RequestsPerSecond * Seconds;
                    _text.AppendLine(CultureInfo.InvariantCulture, $"| {contender} | {what} | {size / 1_000} KB | {(busy.Core - core) / Seconds:P1} | {(busy.Received - received) / Requests:N0} | {(busy.Sent - sent) / Requests:N0} |");
                }
            }
        }
    }

    private async Task<(double Core, long Received, long Sent)> DuringAsync(Func<Task> work)
    {
        var before = await ReadAsync();
        await work();
        var after = await ReadAsync();
        return (after.Core - before.Core, after.Received - before.Received, after.Sent - before.Sent);

        async Task<(double Core, long Received, long Sent)> ReadAsync()
        {
            var cpu = await InfoAsync("cpu");
            return (
                double.Parse(cpu["used_cpu_user"], CultureInfo.InvariantCulture) + double.Parse(cpu["used_cpu_sys"], CultureInfo.InvariantCulture),
                await InfoAsync("stats", "total_net_input_bytes"),
                await InfoAsync("stats", "total_net_output_bytes"));
        }
    }

    private static async Task DriveAsync(int port, string path, string[] cookies)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false });
        var next = 0;
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(async _ =>
        {
            while (true)
            {
                var request = Interlocked.Increment(ref next) - 1;
                if (request >= RequestsPerSecond * Seconds)
                {
                    return;
                }

                var due = TimeSpan.FromSeconds((double)request / RequestsPerSecond) - watch.Elapsed;
                if (due > TimeSpan.Zero)
                {
                    await Task.Delay(due);
                }

                using var message = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{port}{path}"));
                message.Headers.Add("Cookie", cookies[request % cookies.Length]);
                using var response = await client.SendAsync(message);
                response.EnsureSuccessStatusCode();
            }
        }));
    }

    /// <summary>Until nothing but our own question reaches Redis: what is sent behind the response, or by a timer, has been sent.</summary>
    private async Task QuietAsync()
    {
        while (true)
        {
            var before = await InfoAsync("stats", "total_commands_processed");
            await Task.Delay(1_500);
            if (await InfoAsync("stats", "total_commands_processed") - before <= 3)
            {
                return;
            }
        }
    }

    private async Task<long> InfoAsync(string section, string name) => long.Parse((await InfoAsync(section))[name], CultureInfo.InvariantCulture);

    private async Task<Dictionary<string, string>> InfoAsync(string section) =>
        (await admin.InfoAsync(section)).SelectMany(group => group).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
}
