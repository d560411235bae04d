using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;

namespace MvcSample.Controllers;

public sealed class HomeController : Controller
{
    /// <summary>Stores nothing: a visitor who only looks has no session.</summary>
    public IActionResult Index() => View(Shop.Products);
}
