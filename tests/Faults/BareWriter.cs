using StackExchange.Redis;

namespace RedisSessions.Faults;

/// <summary>
/// What the engine itself loses: a client that appends numbers to lists and notes which were acknowledged, beside the load and over a connection of its own. Like
/// any client that follows Sentinels it is the StackExchange.Redis connection that the same string gives.
/// </summary>
public sealed class BareWriter(string redis)
{
    private const int Keys = 8;

    private readonly List<int>[] _acknowledged = [.. Enumerable.Range(0, Keys).Select(_ => new List<int>())];
    private readonly CancellationTokenSource _stop = new();
    private IConnectionMultiplexer? _connection;
    private Task _work = Task.CompletedTask;

    public async Task StartAsync()
    {
        var settings = ConfigurationOptions.Parse(redis);
        settings.AbortOnConnectFail = false;
        settings.AsyncTimeout = 2000;
        settings.BacklogPolicy = BacklogPolicy.FailFast;
        _connection = await ConnectionMultiplexer.ConnectAsync(settings);
        _work = Task.WhenAll(Enumerable.Range(0, Keys).Select(WriteAsync));
    }

    private static string KeyOf(int i) => $"bare:{i}";

    private async Task WriteAsync(int key)
    {
        for (var i = 1; !_stop.IsCancellationRequested; i++)
        {
            try
            {
                await _connection!.GetDatabase().ListRightPushAsync(KeyOf(key), i);
                _acknowledged[key].Add(i);

                // It measures, and is no load.
                await Task.Delay(1);
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                await Task.Delay(10);
            }
        }
    }

    /// <returns>How many values were acknowledged and are not there.</returns>
    public async Task<int> StopAsync(IConnectionMultiplexer admin)
    {
        await _stop.CancelAsync();
        await _work;
        await _connection!.DisposeAsync();
        var lost = 0;
        for (var i = 0; i < Keys; i++)
        {
            var stored = (await admin.GetDatabase().ListRangeAsync(KeyOf(i))).Select(value => (int)value).ToHashSet();
            lost += _acknowledged[i].Count(value => !stored.Contains(value));
        }

        return lost;
    }
}
