using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Infrastructure;
using MvcSample.Models;
using RedisSessions;
using StackExchange.Redis;

var builder = WebApplication.CreateBuilder(args);

// Sessions are in the Redis, Valkey or cluster of ConnectionStrings__Redis=host:port, or else in a Garnet within this process.
var server = builder.Configuration.GetConnectionString("Redis");
var redis = server ?? EmbeddedRedis.Start(builder);

// The one line that puts sessions on Redis, and what hangs off it: whose they are, what protects them, what happens in them.
builder.Services.AddRedisSession(redis, options => options.AbsoluteTimeout = TimeSpan.FromHours(12))
    .AddUserIndex(options => options.EndedParameter = "ended") // The sign-in page says why somebody is there again.
    .AddSecurity()
    .AddAnalytics();
builder.Services.AddHealthChecks().AddRedisSession();

builder.Services.AddSession(options =>
{
    options.Cookie.IsEssential = true; // Without it a visitor who has not consented to cookies has no cart.
    options.Cookie.SameSite = SameSiteMode.Lax;
    options.IdleTimeout = TimeSpan.FromMinutes(20);
});

// A connection for what is not the session: the comparison's JSON blob, and the keys that protect cookies. Two instances of the site
// read each other's cookies because they share both the keys and the name.
var connection = await ConnectionMultiplexer.ConnectAsync(ConfigurationOptions.Parse(redis).Patient());
builder.Services.AddSingleton<IConnectionMultiplexer>(connection);
if (server is not null)
{
    builder.Services.AddDataProtection().SetApplicationName("TeaShop").PersistKeysToStackExchangeRedis(connection, "tea-shop:keys");
}

builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(options =>
{
    options.LoginPath = "/Account/SignIn";
    options.AccessDeniedPath = "/Account/Denied";
});
builder.Services.AddAuthorizationBuilder().AddPolicy("operators", policy => policy.RequireRole(DemoUsers.Admin));

// Secure wherever the site is served over HTTPS, as the authentication cookie is by itself; the session cookie is by AddSecurity().
builder.Services.AddAntiforgery(options => options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
builder.Services.Configure<CookieTempDataProviderOptions>(options => options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
builder.Services.AddControllersWithViews();
builder.Services.AddRazorPages();

// The site's own: what the Security page and the session inspector show, and the telemetry that a setting asks for.
builder.Services.AddSingleton<SecurityLog>().AddSingleton<ISessionSecurityEvents>(provider => provider.GetRequiredService<SecurityLog>());
builder.Services.AddSingleton<RequestCosts>();
builder.AddTelemetry();

var app = builder.Build();
if (!app.Environment.IsDevelopment())
{
    app.UseExceptionHandler("/Home/Error"); // Developers see the exception itself.
}

app.UseMiddleware<SafeHeaders>();
app.UseStaticFiles();
app.UseRouting();
app.UseMiddleware<RequestCostMiddleware>(); // Around the session, to see what it costs.
app.UseSession();
app.UseAuthentication();
app.UseAuthorization();

app.MapHealthChecks("/health");
app.MapMySessions("/account/sessions"); // What the page Your devices works with.
app.MapSessionDashboard("/admin/sessions", "operators"); // For ada; see DemoUsers.
app.MapGet("/api/cart", (HttpContext context) => Cart.Read(context.Session)); // The session is loaded already: nothing waits here.
app.MapControllerRoute("default", "{controller=Home}/{action=Index}/{id?}");
app.MapRazorPages();
app.MapFallbackToController("Missing", "Home");
app.Run();
