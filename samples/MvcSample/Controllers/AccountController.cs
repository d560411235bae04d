using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;

namespace MvcSample.Controllers;

[AutoValidateAntiforgeryToken]
public sealed class AccountController : Controller
{
    [HttpGet]
    public IActionResult SignIn(string? returnUrl) => View(model: returnUrl);

    [HttpPost]
    public async Task<IActionResult> SignIn(string user, string password, string? returnUrl)
    {
        if (!DemoUsers.Passwords.TryGetValue(user ?? "", out var expected) || expected != password)
        {
            ModelState.AddModelError("", "That user and password do not match.");
            return View(model: returnUrl);
        }

        // The session gets a new id and becomes the user's; the cart in it stays.
        var identity = new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user!), new Claim(ClaimTypes.Name, user!)], "demo");
        if (DemoUsers.IsAdmin(user!))
        {
            identity.AddClaim(new Claim(ClaimTypes.Role, DemoUsers.Admin));
        }

        await HttpContext.SignInAsync(new ClaimsPrincipal(identity));
        return LocalRedirect(Url.IsLocalUrl(returnUrl) ? returnUrl! : "/Profile");
    }

    [HttpPost]
    public new async Task<IActionResult> SignOut()
    {
        await HttpContext.SignOutAsync();
        return RedirectToAction("Index", "Home");
    }
}
