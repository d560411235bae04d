using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;

namespace MvcSample.Controllers;

public sealed class HomeController : Controller
{
    /// <summary>Stores nothing: a visitor who only looks has no session.</summary>
    public IActionResult Index() => View(Shop.Products);

    public IActionResult Missing()
    {
        Response.StatusCode = StatusCodes.Status404NotFound;
        return View();
    }

    /// <summary>What went wrong is in the log; it is the handler that sets the status.</summary>
    public IActionResult Error() => View();
}
