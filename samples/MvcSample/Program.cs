using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Mvc;
using MvcSample;

var builder = WebApplication.CreateBuilder(args);

var redis = builder.Configuration.GetConnectionString("Redis");
Console.WriteLine(redis is null
    ? "Sessions are kept in an in-process Garnet and end with this process; set ConnectionStrings__Redis=host:port to use a Redis."
    : "Sessions are kept in the Redis of ConnectionStrings:Redis.");
redis ??= EmbeddedRedis.Start(builder);

// The one line that puts sessions on Redis, and what hangs off it: whose they are, what protects them, what they do.
builder.Services.AddRedisSession(redis, options => options.AbsoluteTimeout = TimeSpan.FromHours(12))
    .AddUserIndex()
    .AddSecurity()
    .AddAnalytics();
builder.Services.AddHealthChecks().AddRedisSession();

builder.Services.AddSession(options =>
{
    options.Cookie.IsEssential = true;
    options.Cookie.SameSite = SameSiteMode.Lax;
    options.IdleTimeout = TimeSpan.FromMinutes(20);
});
builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(options =>
{
    options.LoginPath = "/Account/SignIn";
    options.AccessDeniedPath = "/Account/SignIn";
});
builder.Services.AddAuthorization();

// Secure wherever the site is served over HTTPS, as the authentication cookie is by itself; the session cookie is by AddSecurity().
builder.Services.AddAntiforgery(options => options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
builder.Services.Configure<CookieTempDataProviderOptions>(options => options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
builder.Services.AddControllersWithViews();

var app = builder.Build();
app.UseStaticFiles();
app.UseRouting();
app.UseSession();
app.UseAuthentication();
app.UseAuthorization();
app.MapHealthChecks("/health");
app.MapControllerRoute("default", "{controller=Home}/{action=Index}/{id?}");
app.Run();
