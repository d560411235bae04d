using System.Diagnostics;
using System.Globalization;

namespace RedisSessions.Tests.Storage;

/// <summary>
/// Two servers, writers and readers at once, over the machine's own clock, while the channel of one of them is cut and stalled again and
/// again: no read that began is older than the last change that was acknowledged more than the greatest lag before. REDIS_SESSIONS_CHECKED_READS says how many.
/// </summary>
[Collection(Alone.Name)]
public sealed class NotifiedCheckerTests(ITestOutputHelper output) : OwnRedisTest
{
    private const int Sessions = 8;
    private const string Unavailable = "-";

    private static readonly TimeSpan MaxLag = TimeSpan.FromMilliseconds(500);
    private static readonly int Reads = int.Parse(Environment.GetEnvironmentVariable("REDIS_SESSIONS_CHECKED_READS") ?? "10000", CultureInfo.InvariantCulture);

    [Fact]
    public async Task No_read_is_older_than_the_greatest_lag()
    {
        var redis = await RedisAsync();
        var proxy = ProxyOf(redis);
        var sites = new[] { await ServerAsync(redis.Address), await ServerAsync(proxy.Address) };
        var served = sites.Select(site => new InstrumentReader(site.Services, "redis_sessions.local_copy.served")).ToArray();
        var histories = new History[Sessions];
        for (var i = 0; i < Sessions; i++)
        {
            var browser = sites[0].NewBrowser();
            await browser.GetAsync("/set/n/0");
            histories[i] = new History(browser);
        }

        using var done = new CancellationTokenSource();
        var left = Reads;
        var readers = Enumerable.Range(0, 6).Select(seed => Task.Run(() => ReadAsync(new Random(seed)))).ToArray();
        var writers = Enumerable.Range(0, 2).Select(number => Task.Run(() => WriteAsync(number))).ToArray();
        var faults = Task.Run(DisturbAsync);
        await Task.WhenAll(readers);
        await done.CancelAsync();
        await Task.WhenAll([.. writers, faults]);

        var unasked = served.Sum(reader => reader.Read() ?? 0);
        output.WriteLine($"{Reads} reads, {unasked} of them without asking, {histories.Sum(history => history.Last)} changes; the oldest was {histories.Max(history => history.Oldest).TotalMilliseconds:N1} ms old");
        Assert.True(unasked > 0, "Nothing was served without asking.");

        async Task ReadAsync(Random random)
        {
            var browsers = sites.Select(site => histories.Select(history => BrowserOf(site, history.Browser)).ToArray()).ToArray();
            while (Interlocked.Decrement(ref left) >= 0)
            {
                var (site, session) = (random.Next(sites.Length), random.Next(Sessions));
                var began = Stopwatch.GetTimestamp();
                var read = await browsers[site][session].GetAsync("/read");
                if (read != Unavailable)
                {
                    histories[session].Check(int.Parse(read, CultureInfo.InvariantCulture), began);
                }
            }
        }

        // Each its own sessions, at both servers in turn.
        async Task WriteAsync(int number)
        {
            var browsers = sites.Select(site => histories.Select(history => BrowserOf(site, history.Browser)).ToArray()).ToArray();
            for (var i = 0; !done.IsCancellationRequested; i++)
            {
                var session = (2 * (i % (Sessions / 2))) + number;
                var history = histories[session];
                var value = ++history.Last;
                var (_, body) = await browsers[i / Sessions % 2][session].TryAsync($"/write/{value}");
                if (body == "ok")
                {
                    history.Acknowledged(value, Stopwatch.GetTimestamp());
                }

                await Task.Delay(2);
            }
        }

        async Task DisturbAsync()
        {
            for (var i = 0; !done.IsCancellationRequested; i++)
            {
                if (i % 3 == 2)
                {
                    var mayArrive = new TaskCompletionSource();
                    proxy.BeforeReply = _ => mayArrive.Task;
                    await Task.Delay(700);
                    proxy.BeforeReply = null;
                    mayArrive.SetResult();
                }
                else
                {
                    proxy.Cut();
                }

                await Task.Delay(700);
            }
        }
    }

    private Task<Site> ServerAsync(string address) => SiteAsync(
        address + RedisServer.Patient,
        app =>
        {
            app.MapGet("/read", (HttpContext context) => context.Session.GetString("n") ?? Unavailable);
            app.MapGet("/write/{value}", (HttpContext context, string value) =>
            {
                if (!context.Session.IsAvailable)
                {
                    return Unavailable;
                }

                context.Session.SetString("n", value);
                return "ok";
            });
        },
        options: o => (o.LocalCache.Mode, o.LocalCache.MaxLag) = (LocalCacheMode.Notified, MaxLag));

    private static Browser BrowserOf(Site site, Browser browser)
    {
        var copy = browser.Copy();
        site.TakeOver(copy);
        return copy;
    }

    /// <summary>What was acknowledged of one session, and when.</summary>
    private sealed class History(Browser browser)
    {
        private readonly List<(int Value, long At)> _acknowledged = [(0, Stopwatch.GetTimestamp())];

        public Browser Browser { get; } = browser;

        public int Last { get; set; }

        public TimeSpan Oldest { get; private set; }

        public void Acknowledged(int value, long at)
        {
            lock (_acknowledged)
            {
                _acknowledged.Add((value, at));
            }
        }

        public void Check(int read, long began)
        {
            lock (_acknowledged)
            {
                // The first that the read did not see, of those that were acknowledged before it began.
                for (var i = _acknowledged.Count - 1; i >= 0 && _acknowledged[i].Value > read; i--)
                {
                    var (value, at) = _acknowledged[i];
                    if (at <= began && Stopwatch.GetElapsedTime(at, began) is var age && age > Oldest)
                    {
                        Oldest = age;
                        Assert.True(age <= MaxLag, $"Read {read}, but {value} had been acknowledged {age.TotalMilliseconds:N1} ms before.");
                    }
                }
            }
        }
    }
}
