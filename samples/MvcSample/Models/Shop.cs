using System.Security.Cryptography;
using System.Text;

namespace MvcSample.Models;

public sealed record Product(string Id, string Name, decimal Price);

public sealed record Preferences(string Theme = "auto", string Language = "en", bool Newsletter = false);

/// <summary>What a real site would ask its database for.</summary>
public static class Shop
{
    public static IReadOnlyList<Product> Products { get; } =
    [
        new("tea", "Green tea, 100 g", 6.50m),
        new("mug", "Stoneware mug", 14.00m),
        new("pot", "Cast-iron teapot", 48.00m),
        new("tin", "Storage tin", 9.90m),
        new("cup", "Porcelain cup", 12.50m),
    ];

    public static Product? Find(string? id) => Products.FirstOrDefault(product => product.Id == id);
}

/// <summary>The demo's users; their passwords are on the sign-in page. A real site has ASP.NET Core Identity, or somebody else's.</summary>
public static class DemoUsers
{
    private static readonly Dictionary<string, string> Passwords = new()
    {
        ["ada"] = "lovelace",
        ["grace"] = "hopper",
    };

    /// <summary>The role of who runs the shop, and sees the dashboard.</summary>
    public const string Admin = "admin";

    public static bool IsAdmin(string user) => user == "ada";

    public static bool IsRight(string? user, string? password) =>
        Passwords.TryGetValue(user ?? "", out var expected)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(password ?? ""));
}
