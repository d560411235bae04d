using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Json;
using StackExchange.Redis;

namespace RedisSessions.Tests.DependencyInjection;

public sealed class RegistrationTests(InProcessGarnet garnet)
{
    private static ServiceCollection NewServices()
    {
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.None));
        return services;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_order_of_AddSession_and_AddRedisSession_does_not_matter(bool ours)
    {
        var services = NewServices();
        if (ours)
        {
            services.AddRedisSession(garnet.Address);
        }

        services.AddSession(o => o.IdleTimeout = TimeSpan.FromMinutes(3));
        if (!ours)
        {
            services.AddRedisSession(garnet.Address);
        }

        using var provider = services.BuildServiceProvider();
        Assert.Equal("RedisSessionStore", provider.GetRequiredService<ISessionStore>().GetType().Name);
        Assert.Equal(TimeSpan.FromMinutes(3), provider.GetRequiredService<IOptions<SessionOptions>>().Value.IdleTimeout);
        Assert.Null(provider.GetService<IDistributedCache>());
    }

    public static TheoryData<string, Action<RedisSessionOptions>> Mistakes => new()
    {
        { "KeyPrefix is empty", o => o.KeyPrefix = "" },
        { "contains a brace", o => o.KeyPrefix = "a{b}" },
        { "AbsoluteTimeout is not positive", o => o.AbsoluteTimeout = TimeSpan.Zero },
        { "SizeLimit is negative", o => o.LocalCache.SizeLimit = -1 },
        { "Mode is no value of its enumeration", o => o.LocalCache.Mode = (LocalCacheMode)3 },
        { "there is no copy to be used", o => (o.LocalCache.Mode, o.LocalCache.SizeLimit) = (LocalCacheMode.Notified, 0) },
        { "MaxLag is out of range", o => o.LocalCache.MaxLag = TimeSpan.FromMilliseconds(49) },
        { "MaxLag is out of range", o => o.LocalCache.MaxLag = TimeSpan.FromSeconds(61) },
        { "Exclusive.Wait is out of range", o => o.Exclusive.Wait = TimeSpan.FromMilliseconds(-1) },
        { "Exclusive.Wait is out of range", o => o.Exclusive.Wait = TimeSpan.FromMinutes(61) },
        { "Exclusive.MaxWaiting is out of range", o => o.Exclusive.MaxWaiting = 0 },
        { "Exclusive.MaxWaiting is out of range", o => o.Exclusive.MaxWaiting = 10_001 },
        { "Exclusive.Lease is out of range", o => o.Exclusive.Lease = TimeSpan.FromMilliseconds(99) },
        { "Exclusive.Lease is out of range", o => o.Exclusive.Lease = TimeSpan.FromMinutes(61) },
        { "is not a connection string", o => o.Configuration = "localhost:6379,password=hunter2,connectTimeout=soon" },
        { "is not a connection string", o => o.Configuration = "" },
        { "has no endpoint", o => o.ConfigurationOptions = new ConfigurationOptions() },
        { "No Redis connection is configured", o => o.Configuration = null },
        { "ConnectionStrings__cache", o => (o.Configuration, o.ConnectionName) = (null, "cache") },
        { "AddKeyedRedisClient(\"cache\")", o => (o.Configuration, o.ServiceKey) = (null, "cache") },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_mistake_fails_at_start_up_with_a_sentence_that_says_what_to_write(string sentence, Action<RedisSessionOptions> mistake)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddRedisSession("localhost:6379", mistake);
        await using var app = builder.Build();
        var exception = await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync());
        Assert.Contains(sentence, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", exception.ToString(), StringComparison.Ordinal);
        Assert.Matches("Write|Add ", exception.Message);
    }

    [Theory]
    [InlineData(0, 60)]
    [InlineData(-5, 60)]
    [InlineData(60, 0)]
    public async Task A_timeout_of_the_session_that_is_not_positive_fails_at_start_up(int idle, int io)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddRedisSession("localhost:6379");
        builder.Services.AddSession(o => (o.IdleTimeout, o.IOTimeout) = (TimeSpan.FromSeconds(idle), TimeSpan.FromSeconds(io)));
        await using var app = builder.Build();
        var exception = await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync());
        Assert.Contains("is not positive. Write", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_are_bound_from_configuration_and_code_wins()
    {
        var services = NewServices();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["RedisSession:Configuration"] = "one:6379",
            ["RedisSession:KeyPrefix"] = "shop:",
            ["RedisSession:AbsoluteTimeout"] = "08:00:00",
            ["RedisSession:PreloadSession"] = "false",
            ["RedisSession:UseDedicatedThreads"] = "false",
            ["RedisSession:LocalCache:SizeLimit"] = "1000",
            ["RedisSession:LocalCache:Mode"] = "Notified",
            ["RedisSession:LocalCache:MaxLag"] = "00:00:05",
            ["RedisSession:Exclusive:Wait"] = "00:00:03",
            ["RedisSession:Exclusive:Lease"] = "00:00:04",
            ["RedisSession:Exclusive:MaxWaiting"] = "7",
        }).Build());
        services.AddRedisSession(o => o.KeyPrefix = "code:");
        using var provider = services.BuildServiceProvider();
        var options = provider.GetRequiredService<IOptions<RedisSessionOptions>>().Value;
        Assert.Equal((TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(4), 7), (options.Exclusive.Wait, options.Exclusive.Lease, options.Exclusive.MaxWaiting));
        Assert.Equal(("one:6379", "code:", TimeSpan.FromHours(8), false, 1000L, LocalCacheMode.Notified, TimeSpan.FromSeconds(5)),
            (options.Configuration!, options.KeyPrefix, options.AbsoluteTimeout!.Value, options.PreloadSession, options.LocalCache.SizeLimit, options.LocalCache.Mode, options.LocalCache.MaxLag));
    }

    [Fact]
    public async Task The_containers_connection_is_used_and_left_open()
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(garnet.Address);
        var services = NewServices();
        services.AddSingleton<IConnectionMultiplexer>(_ => connection);
        services.AddRedisSession(o => o.KeyPrefix = $"{Guid.NewGuid():N}:");

        // A connection that is handed over as an instance is not the container's to dispose either.
        await using (var provider = services.BuildServiceProvider())
        {
            var sessions = provider.GetRequiredService<ISessionRepository>();
            Assert.True(await sessions.ExistsAsync((await sessions.CreateAsync()).Id));
        }
    }

    [Fact]
    public async Task A_factory_is_called_once_again_after_a_failure_and_its_connection_is_left_open()
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(garnet.Address);
        var calls = 0;
        var services = NewServices();
        services.AddRedisSession(o =>
        {
            o.KeyPrefix = $"{Guid.NewGuid():N}:";
            o.ConnectionMultiplexerFactory = () => Interlocked.Increment(ref calls) == 1
                ? throw new InvalidOperationException("not yet")
                : Task.FromResult<IConnectionMultiplexer>(connection);
        });
        await using (var provider = services.BuildServiceProvider())
        {
            Assert.Equal(0, calls);
            var sessions = provider.GetRequiredService<ISessionRepository>();
            await Assert.ThrowsAsync<InvalidOperationException>(() => sessions.CreateAsync());
            await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => sessions.CreateAsync()));
            Assert.Equal(2, calls);
        }

        await connection.GetDatabase().PingAsync();
    }

    [Theory]
    [InlineData("h:1", false, 2000, 2000, 1)]
    [InlineData("h:1,abortConnect=true,connectTimeout=1234,syncTimeout=777,connectRetry=4", true, 1234, 777, 4)]
    [InlineData("h:1, asyncTimeout = 900", false, 2000, 900, 1)]
    public void A_connection_of_our_own_fails_fast_except_where_the_connection_string_says_otherwise(string text, bool abort, int connect, int async, int retry)
    {
        var settings = RedisSessions.Redis.RedisConnectionSettings.FailFast(text);
        Assert.Equal((abort, connect, async, retry), (settings.AbortOnConnectFail, settings.ConnectTimeout, settings.AsyncTimeout, settings.ConnectRetry));
        Assert.False(settings.BacklogPolicy.QueueWhileDisconnected);
    }

    [Fact]
    public void Session_extensions_refuse_a_foreign_session_by_naming_AddRedisSession()
    {
        var services = NewServices();
        services.AddDistributedMemoryCache();
        services.AddSession();
        using var provider = services.BuildServiceProvider();
        var foreign = provider.GetRequiredService<ISessionStore>().Create("k", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), () => true, true);
        foreach (var call in new Action[]
        {
            () => foreign.RegenerateIdAsync(),
            () => foreign.DestroyAsync(),
            () => foreign.IncrementAsync("a"),
            () => foreign.SetIdleTimeout(TimeSpan.FromMinutes(1)),
            () => foreign.GetCreatedAt(),
        })
        {
            Assert.Contains("AddRedisSession", Assert.Throws<InvalidOperationException>(call).Message, StringComparison.Ordinal);
        }

        foreign.Set("cart", new { Item = "tea" });
        Assert.Equal("""{"item":"tea"}""", foreign.GetString("cart"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_string_is_found_by_its_name(bool isNamedByConfiguration)
    {
        var settings = new Dictionary<string, string?> { ["ConnectionStrings:cache"] = garnet.Address };
        if (isNamedByConfiguration)
        {
            settings["RedisSession:ConnectionName"] = "cache";
        }

        var services = NewServices();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
        services.AddRedisSession(o => o.ConnectionName ??= "cache");
        await using var provider = services.BuildServiceProvider();
        Assert.False(await provider.GetRequiredService<ISessionRepository>().ExistsAsync(Guid.NewGuid().ToString()));
    }

    /// <summary>As Aspire's client registers it; the one without a key is another's, and away.</summary>
    [Fact]
    public async Task A_keyed_connection_is_used_and_left_to_the_container()
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(garnet.Address + RedisServer.Patient);
        var services = NewServices();
        services.AddKeyedSingleton<IConnectionMultiplexer>("cache", (_, _) => connection);
        services.AddSingleton<IConnectionMultiplexer>(_ => throw new InvalidOperationException("The one without a key."));
        services.AddRedisSession(o => o.ServiceKey = "cache");
        await using (var provider = services.BuildServiceProvider())
        {
            Assert.False(await provider.GetRequiredService<ISessionRepository>().ExistsAsync(Guid.NewGuid().ToString()));
        }
    }
}
