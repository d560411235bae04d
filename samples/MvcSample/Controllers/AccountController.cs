using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;

namespace MvcSample.Controllers;

public sealed record SignInView(string? ReturnUrl, string? Ended);

public sealed record CodeView(string? ReturnUrl, string Code);

[AutoValidateAntiforgeryToken]
public sealed class AccountController(TimeProvider clock) : Controller
{
    /// <param name="returnUrl">Where the visitor wanted to go.</param>
    /// <param name="ended">Why the visitor's session ended, as the library says it; for a text, and nothing else.</param>
    [HttpGet]
    public IActionResult SignIn(string? returnUrl, string? ended) => View(new SignInView(returnUrl, ended));

    [HttpPost]
    public IActionResult SignIn(string user, string password, string? returnUrl)
    {
        if (!DemoUsers.IsRight(user, password))
        {
            ModelState.AddModelError("", "That user and password do not match.");
            return View(new SignInView(returnUrl, null));
        }

        SignInCode.Begin(HttpContext.Session, user, clock.GetUtcNow());
        return RedirectToAction("Code", new { returnUrl });
    }

    [HttpGet]
    public IActionResult Code(string? returnUrl) => SignInCode.Pending(HttpContext.Session, clock.GetUtcNow()) is { } code
        ? View(new CodeView(returnUrl, code))
        : RedirectToAction("SignIn", new { returnUrl });

    [HttpPost]
    public async Task<IActionResult> Code(string code, string? returnUrl)
    {
        if (await SignInCode.RedeemAsync(HttpContext.Session, code, clock.GetUtcNow()) is not { } user)
        {
            ModelState.AddModelError("", "That is not the code, or its time is over.");
            return SignInCode.Pending(HttpContext.Session, clock.GetUtcNow()) is { } pending
                ? View(new CodeView(returnUrl, pending))
                : View("SignIn", new SignInView(returnUrl, null));
        }

        // The session gets a new id and becomes the user's; the cart in it stays.
        var identity = new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user), new Claim(ClaimTypes.Name, user)], "demo");
        if (DemoUsers.IsAdmin(user))
        {
            identity.AddClaim(new Claim(ClaimTypes.Role, DemoUsers.Admin));
        }

        await HttpContext.SignInAsync(new ClaimsPrincipal(identity));
        return LocalRedirect(Url.IsLocalUrl(returnUrl) ? returnUrl! : "/Devices");
    }

    /// <summary>Ends the session, too: a cookie that was copied is worth nothing afterwards.</summary>
    [HttpPost]
    public new async Task<IActionResult> SignOut()
    {
        await HttpContext.SignOutAsync();
        return RedirectToAction("Index", "Home");
    }

    [HttpGet]
    public IActionResult Denied()
    {
        Response.StatusCode = StatusCodes.Status403Forbidden;
        return View();
    }
}
