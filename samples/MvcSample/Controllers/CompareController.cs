using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;
using StackExchange.Redis;

namespace MvcSample.Controllers;

/// <summary>
/// The same cart in two stores, filled by five requests at once: in the session, of which each request writes the field that it changed, and
/// in one JSON text, which each reads, changes and writes back whole, as most session stores do.
/// </summary>
[AutoValidateAntiforgeryToken]
public sealed class CompareController(IConnectionMultiplexer redis) : Controller
{
    private const string Prefix = "compare:";

    private JsonBlob Blob => new(redis.GetDatabase(), HttpContext.Session.Id);

    [HttpGet]
    public IActionResult Index() => View();

    /// <summary>Empties both. It also begins the session: five first requests without a cookie would begin five.</summary>
    [HttpPost]
    public async Task<IActionResult> Begin()
    {
        foreach (var key in HttpContext.Session.Keys.Where(key => key.StartsWith(Prefix, StringComparison.Ordinal)).ToList())
        {
            HttpContext.Session.Remove(key);
        }

        HttpContext.Session.SetString("comparing", "yes");
        await Blob.WriteAsync([]);
        return NoContent();
    }

    [HttpPost]
    public async Task<IActionResult> AddToSession(int item)
    {
        await ThinkAsync();
        HttpContext.Session.SetInt32($"{Prefix}{item}", 1);
        return NoContent();
    }

    [HttpPost]
    public async Task<IActionResult> AddToBlob(int item)
    {
        var cart = await Blob.ReadAsync();
        await ThinkAsync();
        cart[$"{item}"] = 1;
        await Blob.WriteAsync(cart);
        return NoContent();
    }

    [HttpGet]
    public async Task<IActionResult> Counts() => Json(new
    {
        session = HttpContext.Session.Keys.Count(key => key.StartsWith(Prefix, StringComparison.Ordinal)),
        blob = (await Blob.ReadAsync()).Count,
    });

    /// <summary>What a request does between reading and writing: here, asking whether the item is in stock.</summary>
    private static Task ThinkAsync() => Task.Delay(50);
}
