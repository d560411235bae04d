using Microsoft.AspNetCore.Mvc;
using RedisSessions;

namespace MvcSample.Controllers;

[AutoValidateAntiforgeryToken]
public sealed class SessionController(ISessionRepository sessions) : Controller
{
    [HttpGet]
    public async Task<IActionResult> Index()
    {
        // Null until something has been stored.
        var session = HttpContext.Session.IsAvailable ? await sessions.GetAsync(HttpContext.Session.Id) : null;
        return View(session);
    }

    [HttpPost]
    public async Task<IActionResult> Regenerate()
    {
        var before = HttpContext.Session.Id;
        await HttpContext.Session.RegenerateIdAsync();
        TempData["message"] = $"Session {before} is now {HttpContext.Session.Id}, with all its data.";
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
