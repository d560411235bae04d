using System.Globalization;

namespace MvcSample.Models;

public sealed record CartLine(Product Product, long Quantity);

/// <summary>
/// The cart in the session: one field a product, <c>cart:tea</c>, and its number is added on the server. So however many requests
/// fill the cart at once, whichever products they add, none undoes another's.
/// </summary>
public static class Cart
{
    private const string Prefix = "cart:";

    public static Task<long> AddAsync(ISession session, Product product) => session.IncrementAsync(Prefix + product.Id);

    public static void Remove(ISession session, Product product) => session.Remove(Prefix + product.Id);

    public static void Empty(ISession session)
    {
        foreach (var line in Read(session))
        {
            Remove(session, line.Product);
        }
    }

    public static IReadOnlyList<CartLine> Read(ISession session) =>
        [.. Shop.Products.Select(product => new CartLine(product, QuantityOf(session, product))).Where(line => line.Quantity > 0)];

    public static long Count(ISession session) => Read(session).Sum(line => line.Quantity);

    // IncrementAsync keeps decimal text.
    private static long QuantityOf(ISession session, Product product) =>
        long.TryParse(session.GetString(Prefix + product.Id), CultureInfo.InvariantCulture, out var quantity) ? quantity : 0;
}
