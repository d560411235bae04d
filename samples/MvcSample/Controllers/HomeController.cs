using Microsoft.AspNetCore.Mvc;

namespace MvcSample.Controllers;

public sealed class HomeController : Controller
{
    public IActionResult Index()
    {
        var visits = (HttpContext.Session.GetInt32("visits") ?? 0) + 1;
        HttpContext.Session.SetInt32("visits", visits);
        return View(visits);
    }

}
