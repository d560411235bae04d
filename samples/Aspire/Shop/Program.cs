using RedisSessions;

var builder = WebApplication.CreateBuilder(args);

// Aspire's keyed client, and sessions on it. With its own connection it would be options.ConnectionName = "cache".
builder.AddKeyedRedisClient("cache");
builder.Services.AddRedisSession(options => options.ServiceKey = "cache").PersistDataProtectionKeys();
builder.Services.AddHealthChecks().AddRedisSession();

var app = builder.Build();
app.UseSession();
app.MapGet("/", async (HttpContext context) => $"visit {await context.Session.IncrementAsync("visits")}, served by process {Environment.ProcessId}");
app.MapHealthChecks("/health");
app.Run();
