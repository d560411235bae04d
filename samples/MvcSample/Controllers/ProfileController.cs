using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;
using RedisSessions.Json;

namespace MvcSample.Controllers;

[Authorize]
[AutoValidateAntiforgeryToken]
public sealed class ProfileController : Controller
{
    [HttpGet]
    public IActionResult Index() => View(HttpContext.Session.Get<Preferences>("preferences") ?? new Preferences());

    [HttpPost]
    public IActionResult Index(Preferences preferences)
    {
        HttpContext.Session.Set("preferences", preferences);
        TempData["message"] = "Your preferences are saved.";
        return RedirectToAction("Index");
    }
}
