using Microsoft.AspNetCore.Mvc;
using MvcSample.Infrastructure;
using RedisSessions;

namespace MvcSample.Controllers;

public sealed record SessionView(StoredSession Session, RequestCost? Cost);

[AutoValidateAntiforgeryToken]
public sealed class SessionController(ISessionRepository sessions, RequestCosts costs) : Controller
{
    [HttpGet]
    public async Task<IActionResult> Index()
    {
        // Null until something has been stored.
        var id = HttpContext.Session.IsAvailable ? HttpContext.Session.Id : "";
        var session = id.Length > 0 ? await sessions.GetAsync(id) : null;
        return View(session is null ? null : new SessionView(session, costs.LastOf(id)));
    }

    [HttpPost]
    public async Task<IActionResult> Regenerate()
    {
        var before = HttpContext.Session.Id;
        await HttpContext.Session.RegenerateIdAsync();
        TempData["message"] = $"Session {before[..8]} is now {HttpContext.Session.Id[..8]}, with all its data. The old cookie is worth nothing.";
        return RedirectToAction("Index");
    }

    /// <summary>An idle timeout of its own: adding to the TTL alone would last until the next click, which slides it.</summary>
    [HttpPost]
    public IActionResult Extend()
    {
        HttpContext.Session.SetIdleTimeout(TimeSpan.FromHours(1));
        TempData["message"] = "This session now lives for an hour unused.";
        return RedirectToAction("Index");
    }

    [HttpPost]
    public async Task<IActionResult> Destroy()
    {
        await HttpContext.Session.DestroyAsync();
        TempData["message"] = "The session is gone, here and in Redis.";
        return RedirectToAction("Index");
    }
}
