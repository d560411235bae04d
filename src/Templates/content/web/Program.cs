using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;

var builder = WebApplication.CreateBuilder(args);

// The connection, the prefix of all keys and the timeouts are in appsettings.json.
builder.Services.AddRedisSession()
    .AddUserIndex(options => options.MaxSessionsPerUser = 10)
    .AddSecurity()
    .PersistDataProtectionKeys();
builder.Services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme)
    .AddCookie(options => options.LoginPath = "/");
builder.Services.AddAuthorization();
builder.Services.AddAntiforgery();
builder.Services.AddHealthChecks().AddRedisSession();

var app = builder.Build();
app.UseSession();
app.UseAuthentication();
app.UseAuthorization();

app.MapGet("/", async (HttpContext context) =>
{
    var visits = await context.Session.IncrementAsync("visits");
    var page = context.User.Identity is { IsAuthenticated: true, Name: var name }
        ? $"""<p>Signed in as {name}. <a href="/account/sessions">Your sessions</a> · <a href="/sign-out">Sign out</a></p>"""
        : """<p><a href="/sign-in">Sign in</a></p>""";
    return Results.Content($"<!doctype html><title>RedisSessionsApp</title><h1>Visit {visits}</h1>{page}", "text/html");
});

// In place of a password: signing in gives the session a new id and enters it in the user's list.
app.MapGet("/sign-in", async (HttpContext context) =>
{
    var identity = new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, "ada"), new Claim(ClaimTypes.Name, "Ada")], CookieAuthenticationDefaults.AuthenticationScheme);
    await context.SignInAsync(new ClaimsPrincipal(identity));
    return Results.Redirect("/");
});

// Ends the session on the server, too.
app.MapGet("/sign-out", async (HttpContext context) =>
{
    await context.SignOutAsync();
    return Results.Redirect("/");
});

// GET lists the user's sessions as JSON, DELETE ends one of them, or all others.
app.MapMySessions("/account/sessions");
app.MapHealthChecks("/health");
app.Run();
