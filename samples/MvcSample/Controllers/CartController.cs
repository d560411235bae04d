using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;

namespace MvcSample.Controllers;

[AutoValidateAntiforgeryToken]
public sealed class CartController : Controller
{
    [HttpGet]
    public IActionResult Index() => View(Cart.Read(HttpContext.Session));

    [HttpPost]
    public async Task<IActionResult> Add(string id)
    {
        if (Shop.Find(id) is not { } product)
        {
            return NotFound();
        }

        await Cart.AddAsync(HttpContext.Session, product);
        HttpContext.Session.Track("added to cart", product.Id);

        // The shop's script asks for the number alone; a browser without script gets the cart.
        return Request.Headers.Accept == "application/json" ? Json(new { count = Cart.Count(HttpContext.Session) }) : RedirectToAction("Index");
    }

    [HttpPost]
    public IActionResult Remove(string id)
    {
        if (Shop.Find(id) is { } product)
        {
            Cart.Remove(HttpContext.Session, product);
        }

        return RedirectToAction("Index");
    }

    [HttpPost]
    public new IActionResult Empty()
    {
        Cart.Empty(HttpContext.Session);
        return RedirectToAction("Index");
    }
}
