using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using MvcSample.Infrastructure;
using MvcSample.Models;
using RedisSessions;

namespace MvcSample.Controllers;

public sealed record SecurityView(
    SessionOptions Session, RedisSessionOptions Redis, SessionSecurityOptions Security, UserIndexOptions Users, IReadOnlyList<LoggedSecurityEvent> Events);

[AutoValidateAntiforgeryToken]
public sealed class SecurityController(
    IOptions<SessionOptions> session,
    IOptions<RedisSessionOptions> redis,
    IOptions<SessionSecurityOptions> security,
    IOptions<UserIndexOptions> users,
    SecurityLog log,
    IServer server) : Controller
{
    [HttpGet]
    public IActionResult Index()
    {
        var user = users.Value.GetUserId(User);
        return View(new SecurityView(session.Value, redis.Value, security.Value, users.Value, log.Of(user, HttpContext.Session.Id)));
    }

    /// <summary>Plays the thief: asks this site for the cart with all of the visitor's cookies, from another kind of browser.</summary>
    [HttpPost]
    public async Task<IActionResult> Steal(CancellationToken cancellationToken)
    {
        // The server's own address, never the one that the request names.
        var address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault(a => a.StartsWith("http://", StringComparison.Ordinal));
        if (address is null)
        {
            TempData["message"] = "The thief only knows http; start the site with an http address to see it.";
            return RedirectToAction("Index");
        }

        using var thief = new HttpClient(new SocketsHttpHandler { UseCookies = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(new Uri(address.Replace("[::]", "localhost").Replace("0.0.0.0", "localhost").Replace("+", "localhost").Replace("*", "localhost")), "/api/cart"));
        request.Headers.TryAddWithoutValidation("Cookie", Request.Headers.Cookie.ToString());
        request.Headers.TryAddWithoutValidation("User-Agent", "CookieThief/1.0");
        using var response = await thief.SendAsync(request, cancellationToken);
        using var cart = JsonDocument.Parse(await response.Content.ReadAsStringAsync(cancellationToken));
        TempData["message"] = $"With your cookies in another browser the thief sees {cart.RootElement.GetArrayLength()} lines of a cart. You still see your {Cart.Read(HttpContext.Session).Count}.";
        return RedirectToAction("Index");
    }
}
