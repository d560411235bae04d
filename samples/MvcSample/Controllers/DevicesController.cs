using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using RedisSessions;

namespace MvcSample.Controllers;

[Authorize]
[AutoValidateAntiforgeryToken]
public sealed class DevicesController(IUserSessions users) : Controller
{
    private string UserId => User.Identity!.Name!;

    [HttpGet]
    [SessionValidated]
    public async Task<IActionResult> Index() => View(await users.ListAsync(UserId));

    [HttpPost]
    public async Task<IActionResult> Revoke(string id)
    {
        TempData["message"] = await users.RevokeAsync(UserId, id) == RevokeResult.Revoked
            ? "That device is signed out."
            : "There is no such device.";
        return RedirectToAction("Index");
    }

    [HttpPost]
    public async Task<IActionResult> RevokeOthers()
    {
        var count = await users.RevokeAllAsync(UserId, HttpContext.Session.Id);
        TempData["message"] = $"{count} other {(count == 1 ? "device is" : "devices are")} signed out.";
        return RedirectToAction("Index");
    }
}
