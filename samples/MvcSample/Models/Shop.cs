namespace MvcSample.Models;

public sealed record Product(string Id, string Name, decimal Price);

public sealed record Preferences(string Theme = "light", string Language = "en", bool Newsletter = false);

/// <summary>What a real site would ask its database for.</summary>
public static class Shop
{
    public static IReadOnlyList<Product> Products { get; } =
    [
        new("tea", "Green tea, 100 g", 6.50m),
        new("mug", "Stoneware mug", 14.00m),
        new("pot", "Cast-iron teapot", 48.00m),
        new("tin", "Storage tin", 9.90m),
    ];

    public static Product? Find(string id) => Products.FirstOrDefault(product => product.Id == id);
}

/// <summary>The demo's users; their passwords are on the sign-in page.</summary>
public static class DemoUsers
{
    public static IReadOnlyDictionary<string, string> Passwords { get; } = new Dictionary<string, string>
    {
        ["ada"] = "lovelace",
        ["grace"] = "hopper",
    };

    /// <summary>The role of who runs the shop.</summary>
    public const string Admin = "admin";

    public static bool IsAdmin(string user) => user == "ada";
}
