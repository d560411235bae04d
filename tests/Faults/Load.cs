using System.Diagnostics;

namespace RedisSessions.Faults;

/// <summary>
/// Browsers that write ever greater numbers, each to fields of its own, at one host, and read them at the other. What was answered with 200 counts as acknowledged: a
/// later read that shows less has lost the difference. With notified copies a read may be as old as they may be, and is compared with what was acknowledged by then.
/// </summary>
public sealed class Load(FleetBrowser[] browsers, FaultOptions options)
{
    // As MaxLag has it by default, and a moment for the machine.
    private readonly double _lag = options.Notified ? 0.7 : 0;

    private readonly Dictionary<(FleetBrowser, string), Queue<(double At, int Value)>> _recent = [];
    private readonly Lock _lock = new();
    private readonly List<(double At, double Took, bool Ok)> _answers = new(100_000);
    private readonly Dictionary<string, int> _reasons = [];
    private readonly Dictionary<(FleetBrowser, string), int> _acknowledged = [];
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private int _lost;

    public double Now => _watch.Elapsed.TotalSeconds;

    public int Lost => _lost;

    public IReadOnlyList<(double At, double Took, bool Ok)> Answers => _answers;

    public IReadOnlyDictionary<string, int> Reasons => _reasons;

    public async Task RunAsync(CancellationToken stop)
    {
        var workers = new List<Task>();
        for (var i = 0; i < browsers.Length; i++)
        {
            // Half of them send two requests at once; the others change their id now and then, which two at once could not.
            var turns = i % 2 == 0;
            workers.Add(WorkAsync(browsers[i], "x", turns, stop));
            if (!turns)
            {
                workers.Add(WorkAsync(browsers[i], "y", turns: false, stop));
            }
        }

        await Task.WhenAll(workers);
    }

    /// <summary>Both fields there, so that the session is before two requests are sent at once.</summary>
    public static Task BeginAsync(FleetBrowser browser) => browser.GetAsync(0, "/set/x/0").ContinueWith(_ => browser.GetAsync(0, "/set/y/0"), TaskScheduler.Default).Unwrap();

    private async Task WorkAsync(FleetBrowser browser, string field, bool turns, CancellationToken stop)
    {
        for (var i = 1; !stop.IsCancellationRequested; i++)
        {
            var host = i % 2;
            if (turns && i % 100 == 50)
            {
                await SendAsync(browser, host, "/turn");
            }

            if ((await SendAsync(browser, host, $"/set/{field}/{i}")).Ok)
            {
                lock (_lock)
                {
                    _acknowledged[(browser, field)] = i;
                    Recent(browser, field).Enqueue((Now, i));
                }
            }

            var least = Least(browser, field);
            var (ok, body) = await SendAsync(browser, 1 - host, $"/get/{field}");
            if (ok && FleetBrowser.Number(body) is var value && value < least)
            {
                Check(browser, field, value);
            }
        }
    }

    private Queue<(double At, int Value)> Recent(FleetBrowser browser, string field) =>
        _recent.TryGetValue((browser, field), out var recent) ? recent : _recent[(browser, field)] = [];

    /// <summary>What a read that begins now must show.</summary>
    private int Least(FleetBrowser browser, string field)
    {
        lock (_lock)
        {
            var recent = Recent(browser, field);
            while (recent.Count > 1 && recent.ElementAt(1).At <= Now - _lag)
            {
                recent.Dequeue();
            }

            return Math.Min(_acknowledged.GetValueOrDefault((browser, field)), recent.TryPeek(out var oldest) && oldest.At <= Now - _lag ? oldest.Value : 0);
        }
    }

    /// <summary>What a read shows after all that was acknowledged before it.</summary>
    public void Check(FleetBrowser browser, string field, int value)
    {
        lock (_lock)
        {
            var acknowledged = _acknowledged.GetValueOrDefault((browser, field));
            if (value < acknowledged)
            {
                _lost += acknowledged - value;
                _acknowledged[(browser, field)] = value;
            }
        }
    }

    private async Task<(bool Ok, string Body)> SendAsync(FleetBrowser browser, int host, string path)
    {
        var began = Now;
        var (ok, body, why) = await browser.TryAsync(host, path, CancellationToken.None);
        lock (_lock)
        {
            _answers.Add((Now, Now - began, ok));
            if (why is not null)
            {
                var reason = why[..Math.Min(why.Length, 100)];
                _reasons[reason] = _reasons.GetValueOrDefault(reason) + 1;
            }
        }

        return (ok, body);
    }
}
