using System.Security.Claims;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.TestHost;

namespace RedisSessions.Faults;

/// <summary>Whose sessions the hosts keep.</summary>
public enum Stack
{
    Ours,
    Microsoft,
}

/// <summary>One application server of the fleet, in this process.</summary>
public sealed class FleetHost : IAsyncDisposable
{
    public const string UserHeader = "X-User";

    private readonly WebApplication _app;

    private FleetHost(WebApplication app) => _app = app;

    public IServiceProvider Services => _app.Services;

    public HttpMessageHandler NewHandler() => ((TestServer)_app.Services.GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>()).CreateHandler();

    public static async Task<FleetHost> StartAsync(Stack stack, string redis, string prefix, FaultOptions options, IDataProtectionProvider protection)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseTestServer();
        Add(builder.Services, stack, redis, prefix, options);
        builder.Services.AddSingleton(protection);
        var app = builder.Build();
        Map(app, stack);
        await app.StartAsync();
        return new FleetHost(app);
    }

    public static void Add(IServiceCollection services, Stack stack, string redis, string prefix, FaultOptions options)
    {
        services.AddSession(o => o.IdleTimeout = TimeSpan.FromMinutes(10));
        if (stack == Stack.Ours)
        {
            services.AddRedisSession(redis, o =>
            {
                if (options.ClientFollows)
                {
                    o.ConnectionMultiplexerFactory = async () =>
                    {
                        var settings = StackExchange.Redis.ConfigurationOptions.Parse(redis);
                        (settings.AbortOnConnectFail, settings.BacklogPolicy, settings.AsyncTimeout) = (false, StackExchange.Redis.BacklogPolicy.FailFast, 2000);
                        return await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(settings);
                    };
                }

                o.KeyPrefix = prefix;
                o.WaitForFailover = options.Wait;
                o.LocalCache.Mode = options.Notified ? LocalCacheMode.Notified : LocalCacheMode.Validated;
            }).AddUserIndex();
            return;
        }

        services.AddStackExchangeRedisCache(o =>
        {
            o.Configuration = redis;
            o.InstanceName = prefix;
        });
    }

    public static void Map(WebApplication app, Stack stack)
    {
        app.Use((context, next) =>
        {
            if (context.Request.Headers[UserHeader] is [{ } user])
            {
                context.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user)], "fleet"));
            }

            return next(context);
        });
        app.UseSession();
        app.MapGet("/set/{field}/{value:int}", async (HttpContext context, string field, int value) =>
        {
            await context.Session.LoadAsync();
            context.Session.SetInt32(field, value);
            return "ok";
        });
        app.MapGet("/get/{field}", async (HttpContext context, string field) =>
        {
            await context.Session.LoadAsync();
            return $"{context.Session.GetInt32(field) ?? 0}";
        });
        app.MapGet("/all", async (HttpContext context) =>
        {
            await context.Session.LoadAsync();
            return string.Join(' ', context.Session.Keys.Order().Select(key => $"{key}={context.Session.GetInt32(key)}"));
        });
        app.MapGet("/end", async context =>
        {
            await context.Session.DestroyAsync();
            await context.Response.WriteAsync("ok");
        });
        app.MapGet("/turn", async context =>
        {
            await context.Session.LoadAsync();
            if (stack == Stack.Ours)
            {
                await context.Session.RegenerateIdAsync();
            }

            await context.Response.WriteAsync("ok");
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
