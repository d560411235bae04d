namespace RedisSessions.Tests.Infrastructure;

/// <summary>A test with a redis-server of its own, to pause, fill, stop or count at, and with sites that are as impatient as it says.</summary>
public abstract class OwnRedisTest : IAsyncDisposable
{
    private readonly List<IDisposable> _servers = [];
    private readonly List<IAsyncDisposable> _sites = [];

    protected OwnRedisTest() => RedisServer.SkipUnlessInstalled();

    protected Fleet Fleet { get; set; } = new();

    protected async Task<RedisProcess> RedisAsync(params string[] arguments)
    {
        var redis = await RedisProcess.StartAsync(arguments);
        _servers.Add(redis);
        return redis;
    }

    protected async Task<SentinelProcesses> SentinelsAsync(params string[] arguments)
    {
        var sentinels = await SentinelProcesses.StartAsync(arguments);
        _servers.Add(sentinels);
        return sentinels;
    }

    protected RedisProxy ProxyOf(RedisProcess redis)
    {
        var proxy = new RedisProxy(redis.Address);
        _servers.Add(proxy);
        return proxy;
    }

    protected async Task<Site> SiteAsync(
        string redis,
        Action<WebApplication>? map = null,
        Action<RedisSessionOptions>? options = null,
        TimeSpan? ioTimeout = null,
        Action<IServiceCollection>? services = null,
        Action<RedisSessionBuilder>? addOns = null,
        Action<IApplicationBuilder>? beforeSession = null,
        Action<IApplicationBuilder>? afterSession = null)
    {
        var site = await Site.StartAsync(
            redis,
            app =>
            {
                Pages.Map(app);
                map?.Invoke(app);
            },
            Fleet,
            options,
            collection =>
            {
                if (ioTimeout is { } timeout)
                {
                    collection.AddSession(o => o.IOTimeout = timeout);
                }

                services?.Invoke(collection);
            },
            addOns,
            beforeSession,
            afterSession);
        _sites.Add(site);
        return site;
    }

    protected T Keep<T>(T site)
        where T : IAsyncDisposable
    {
        _sites.Add(site);
        return site;
    }

    /// <summary>What a request of unknown end answers; null if its connection was aborted.</summary>
    protected static async Task<HttpResponseMessage?> TrySendAsync(Browser browser, string path)
    {
        try
        {
            return await browser.SendAsync(HttpMethod.Get, path);
        }
        catch (Exception exception) when (exception is not TimeoutException)
        {
            // The in-memory server lets the application's exception through to its client.
            return null;
        }
    }

    public virtual async ValueTask DisposeAsync()
    {
        foreach (var site in _sites)
        {
            await site.DisposeAsync();
        }

        foreach (var server in _servers)
        {
            server.Dispose();
        }

        GC.SuppressFinalize(this);
    }
}
