using System.Diagnostics;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace RedisSessions.Tests.Model;

/// <summary>
/// One server of the fleet without its socket: the library as an application registers it, and its pipeline with the real
/// SessionMiddleware and the two real middlewares that execute a pipeline again.
/// </summary>
internal sealed class ModelServer : IAsyncDisposable
{
    // Bounds the copies of all fleets, and lets some be evicted.
    private const int CopiesSize = 512 * 1024;

    private readonly ServiceProvider _services;
    private readonly IConnectionMultiplexer _connection;
    private readonly LossyProxy? _proxy;

    public ModelServer(string prefix, IDataProtectionProvider protection, TimeProvider clock, IConnectionMultiplexer connection, LossyProxy? proxy)
    {
        _connection = connection;
        _proxy = proxy;
        var services = new ServiceCollection();
        services.AddSingleton(protection);
        services.AddSingleton(clock);
        services.AddSingleton(new DiagnosticListener("model"));
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.None));
        services.AddRedisSession(options =>
        {
            options.KeyPrefix = prefix;
            options.ConnectionMultiplexerFactory = () => Task.FromResult(connection);
            options.LocalCache.SizeLimit = CopiesSize;

            // A lost reply is to be a failure here.
            options.WaitForFailover = TimeSpan.Zero;
        });
        services.Configure<SessionOptions>(options => options.IdleTimeout = SessionModel.IdleTimeout);
        _services = services.BuildServiceProvider();

        var app = new ApplicationBuilder(_services);
        app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandlingPath = "/again" });
        app.UseStatusCodePagesWithReExecute("/again");
        app.UseSession();
        app.Run(OpenRequest.ServeAsync);
        Pipeline = app.Build();
    }

    public RequestDelegate Pipeline { get; }

    public IServiceProvider Services => _services;

    /// <summary>How many replies this server lost so far.</summary>
    public int Lost => _proxy?.Lost ?? 0;

    public void LoseReply(int number) => _proxy?.Lose(number);

    public async Task ReconnectAsync()
    {
        var limit = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await _connection.GetDatabase().PingAsync();
                return;
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException && limit.Elapsed < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(2);
            }
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
