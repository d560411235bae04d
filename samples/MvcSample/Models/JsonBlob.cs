using System.Text.Json;
using StackExchange.Redis;

namespace MvcSample.Models;

/// <summary>What not to do, for the comparison: everything in one text, which is read and written whole.</summary>
public sealed class JsonBlob(IDatabase database, string id)
{
    private readonly string _key = $"tea-shop:blob:{id}";

    public async Task<Dictionary<string, int>> ReadAsync() =>
        await database.StringGetAsync(_key) is { IsNull: false } json ? JsonSerializer.Deserialize<Dictionary<string, int>>((string)json!)! : [];

    public Task WriteAsync(Dictionary<string, int> cart) => database.StringSetAsync(_key, JsonSerializer.Serialize(cart), TimeSpan.FromMinutes(10));
}
