using System.Security.Claims;
using RedisSessions.Benchmarks.Contenders;

namespace RedisSessions.Benchmarks.Http;

/// <summary>
/// The small site that each contender serves in a process of its own. A session holds ten fields that add up to its size,
/// and two small ones that pages work with, as pages do.
/// </summary>
internal static class BenchmarkSite
{
    public static async Task RunAsync(string contender, string redis, int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        Contender.Add(builder.Services, contender, redis);

        var app = builder.Build();
        app.UseSession();
        if (contender is Contender.OursWithUsers or Contender.OursWithSecurity or Contender.OursWithAnalytics)
        {
            // Signed in, by a kind of authentication that costs nothing itself.
            var principal = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, "ada")], "benchmark"));
            app.Use((context, next) =>
            {
                context.User = principal;
                return next(context);
            });
        }

        app.UseWhen(
            context => context.Request.Path.StartsWithSegments("/middleware-sync", StringComparison.Ordinal),
            branch => branch.Use((context, next) =>
            {
                context.Session.GetString("name");
                return next(context);
            }));
        app.MapGet("/none", () => "hello");
        app.MapGet("/fill/{size:int}", async (HttpContext context, int size) =>
        {
            await context.Session.LoadAsync();
            for (var i = 0; i < 10; i++)
            {
                context.Session.Set($"field-{i}", new byte[size / 10]);
            }

            context.Session.SetString("name", "Ada Lovelace");
            context.Session.SetInt32("count", 1);
        });
        app.MapGet("/read-async", async (HttpContext context) =>
        {
            await context.Session.LoadAsync();
            return context.Session.GetString("name");
        });
        app.MapGet("/read-sync", (HttpContext context) => context.Session.GetString("name"));
        app.MapGet("/middleware-sync", (HttpContext context) => context.Session.GetString("name"));
        app.MapGet("/write", async (HttpContext context) =>
        {
            await context.Session.LoadAsync();
            context.Session.SetInt32("count", (context.Session.GetInt32("count") ?? 0) + 1);
            return "ok";
        });
        app.MapGet("/stats", () => $"{GC.GetTotalAllocatedBytes(precise: true)} {GC.GetTotalMemory(forceFullCollection: false)}");
        await app.RunAsync();
    }
}
