using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;
using RedisSessions.Json;

namespace MvcSample.Controllers;

[AutoValidateAntiforgeryToken]
public sealed class CartController : Controller
{
    private List<CartLine> Cart
    {
        get => HttpContext.Session.Get<List<CartLine>>("cart") ?? [];
        set => HttpContext.Session.Set("cart", value);
    }

    [HttpGet]
    public IActionResult Index() => View(Cart);

    [HttpPost]
    public IActionResult Add(string id)
    {
        if (Shop.Find(id) is null)
        {
            return NotFound();
        }

        var cart = Cart;
        var line = cart.FindIndex(l => l.ProductId == id);
        if (line < 0)
        {
            cart.Add(new CartLine(id, 1));
        }
        else
        {
            cart[line] = cart[line] with { Quantity = cart[line].Quantity + 1 };
        }

        Cart = cart;
        HttpContext.Session.Track("added to cart", id);
        return RedirectToAction("Index");
    }

    [HttpPost]
    public IActionResult Remove(string id)
    {
        Cart = [.. Cart.Where(line => line.ProductId != id)];
        return RedirectToAction("Index");
    }

    [HttpPost]
    public new IActionResult Empty()
    {
        HttpContext.Session.Remove("cart");
        return RedirectToAction("Index");
    }
}
