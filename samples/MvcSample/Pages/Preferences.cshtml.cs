using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.RazorPages;
using MvcSample.Models;
using RedisSessions.Json;

namespace MvcSample.Pages;

/// <summary>An object in the session, as JSON in one field: right for what is changed as a whole.</summary>
[Authorize]
public sealed class PreferencesModel : PageModel
{
    public Preferences Preferences { get; private set; } = new();

    public void OnGet() => Preferences = HttpContext.Session.Get<Preferences>("preferences") ?? new Preferences();

    public IActionResult OnPost(Preferences preferences)
    {
        HttpContext.Session.Set("preferences", preferences);
        TempData["message"] = "Your preferences are saved.";
        return RedirectToPage();
    }
}
