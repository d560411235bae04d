using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;
using RedisSessions;

namespace MvcSample.Controllers;

/// <summary>The list itself, and signing out one device, are the library's: app.MapMySessions, and devices.js.</summary>
[Authorize]
[AutoValidateAntiforgeryToken]
public sealed class DevicesController(IUserSessions users) : Controller
{
    [HttpGet]
    [SessionValidated]
    public IActionResult Index() => View();

    /// <summary>Asks for the password, however recent the sign-in is: whoever found the browser open must not shut the owner out.</summary>
    [HttpPost]
    public async Task<IActionResult> SignOutOthers(string password)
    {
        var user = User.Identity!.Name!;
        if (!DemoUsers.IsRight(user, password))
        {
            ModelState.AddModelError("", "That is not your password. Nobody was signed out.");
            return View("Index");
        }

        var count = await users.RevokeAllAsync(user, HttpContext.Session.Id, new SessionRevocation(By: user, Note: "signed out everywhere else"));
        TempData["message"] = $"{count} other {(count == 1 ? "device is" : "devices are")} signed out.";
        return RedirectToAction("Index");
    }
}
