namespace RedisSessions.Tests.Infrastructure;

/// <summary>Plain pages that any site with sessions has; written as a tutorial writes them, synchronously.</summary>
public static class Pages
{
    public static void Map(WebApplication app)
    {
        app.MapGet("/none", () => "none");
        app.MapGet("/get/{key}", (HttpContext context, string key) => context.Session.GetString(key) ?? "");
        app.MapGet("/set/{key}/{value}", (HttpContext context, string key, string value) =>
        {
            context.Session.SetString(key, value);
            return "ok";
        });
        app.MapGet("/keys", (HttpContext context) => string.Join(",", context.Session.Keys.Order()));
        app.MapGet("/id", (HttpContext context) => context.Session.Id);
        app.MapGet("/available", (HttpContext context) => context.Session.IsAvailable);
        app.MapGet("/clear", (HttpContext context) => context.Session.Clear());
        app.MapGet("/regenerate", async (HttpContext context) =>
        {
            await context.Session.RegenerateIdAsync();
            return context.Session.Id;
        });
        app.MapGet("/destroy", async (HttpContext context) =>
        {
            await context.Session.DestroyAsync();
            return string.Join(",", context.Session.Keys);
        });
    }
}
