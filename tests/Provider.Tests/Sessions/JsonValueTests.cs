using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using RedisSessions.Json;

namespace RedisSessions.Tests.Sessions;

/// <summary>A session outlives a deployment, and its values the class that wrote them.</summary>
public abstract class JsonValueTests(RedisServer server) : ServerTest(server)
{
    private static readonly SessionValue<Basket> Baskets = new("basket", BasketJson.Default.Basket)
    {
        Version = 3,
        Upgrade = static (from, json) => from switch
        {
            1 => new Basket([json.GetProperty("item").GetString()!]),
            2 => new Basket([.. json.EnumerateArray().Select(item => item.GetString()!)]),
            _ => null,
        },
    };

    private async Task<(Site Site, Browser Browser)> StartedAsync()
    {
        var site = await StartAsync(app =>
        {
            Pages.Map(app);
            app.MapGet("/store/{text}", (HttpContext context, string text) => context.Session.SetString("basket", text));
            app.MapGet("/read", (HttpContext context) => context.Session.Get("basket", BasketJson.Default.Basket)?.Items.Count ?? -1);
            app.MapGet("/reflect", (HttpContext context) => context.Session.Get<int>("basket"));
            app.MapGet("/value", (HttpContext context) => string.Join(',', context.Session.Get(Baskets)?.Items ?? ["none"]));
            app.MapGet("/fill", (HttpContext context) => context.Session.Set(Baskets, new Basket(["tea", "milk"])));
        });
        return (site, site.NewBrowser());
    }

    [Theory]
    [InlineData("{\"items\":5}")]
    [InlineData("[]")]
    [InlineData("card 4111")]
    [InlineData("v9 {}")]
    public async Task What_a_class_cannot_read_any_more_counts_as_absent_stays_and_is_logged_without_its_content(string stored)
    {
        var (site, browser) = await StartedAsync();
        await browser.GetAsync("/store/" + Uri.EscapeDataString(stored));
        Assert.Equal("-1", await browser.GetAsync("/read"));
        Assert.Equal("0", await browser.GetAsync("/reflect"));
        Assert.Equal(stored, await browser.GetAsync("/get/basket"));

        var said = site.Log.Ours.Where(entry => entry.Id.Id == 133).ToArray();
        Assert.Equal(2, said.Length);
        Assert.All(said, entry => Assert.True(entry is { Level: Microsoft.Extensions.Logging.LogLevel.Warning, Exception: null } && entry.Message.Contains("Field:basket", StringComparison.Ordinal), entry.ToString()));
        Assert.DoesNotContain(said, entry => entry.ToString().Contains(stored, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{\"item\":\"tea\"}", "tea")]
    [InlineData("v2 [\"tea\",\"jam\"]", "tea,jam")]
    [InlineData("v3 {\"items\":[\"tea\"]}", "tea")]
    public async Task What_a_former_version_stored_is_upgraded(string stored, string expected)
    {
        var (site, browser) = await StartedAsync();
        await browser.GetAsync("/store/" + Uri.EscapeDataString(stored));
        Assert.Equal(expected, await browser.GetAsync("/value"));
        Assert.DoesNotContain(site.Log.Ours, entry => entry.Id.Id == 133);
    }

    [Theory]
    [InlineData("v4 {\"items\":[\"tea\"]}")]
    [InlineData("v {\"items\":[\"tea\"]}")]
    [InlineData("v3{\"items\":[\"tea\"]}")]
    [InlineData("v-1 {\"items\":[\"tea\"]}")]
    [InlineData("v2 [")]
    public async Task What_a_later_version_stored_or_nobody_can_read_is_absent(string stored)
    {
        var (site, browser) = await StartedAsync();
        await browser.GetAsync("/store/" + Uri.EscapeDataString(stored));
        Assert.Equal("none", await browser.GetAsync("/value"));
        Assert.Single(site.Log.Ours, entry => entry.Id.Id == 133);
    }

    [Fact]
    public async Task A_value_is_stored_readably_with_its_version()
    {
        var (_, browser) = await StartedAsync();
        await browser.GetAsync("/fill");
        Assert.Equal("v3 {\"items\":[\"tea\",\"milk\"]}", await browser.GetAsync("/get/basket"));
        Assert.Equal("tea,milk", await browser.GetAsync("/value"));
    }

    [Fact]
    public void The_first_version_is_plain_json_and_reads_what_has_no_version()
    {
        var plain = new SessionValue<Basket>("basket", BasketJson.Default.Basket);
        Assert.Equal("{\"items\":[\"tea\"]}", Encoding.UTF8.GetString(plain.Serialize(new Basket(["tea"]))));
        Assert.Equal(["tea"], plain.Deserialize("{\"items\":[\"tea\"]}"u8.ToArray())!.Items);
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionValue<Basket>("basket", BasketJson.Default.Basket) { Version = 0 });
    }

    /// <summary>Without Upgrade the class reads its former versions itself.</summary>
    [Fact]
    public void A_class_that_only_gained_members_needs_no_upgrade() =>
        Assert.Equal(["tea"], new SessionValue<Basket>("basket", BasketJson.Default.Basket) { Version = 2 }.Deserialize("{\"items\":[\"tea\"]}"u8.ToArray())!.Items);
}

public sealed class JsonValueOnGarnet(InProcessGarnet server) : JsonValueTests(server);

public sealed class JsonValueOnRedis(LocalRedis server) : JsonValueTests(server);

internal sealed record Basket(IReadOnlyList<string> Items);

[JsonSerializable(typeof(Basket))]
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
internal sealed partial class BasketJson : JsonSerializerContext;
