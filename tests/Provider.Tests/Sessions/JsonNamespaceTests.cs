using RedisSessions.Tests.Sessions.Documented;

namespace RedisSessions.Tests.Sessions
{
    /// <summary>
    /// Microsoft's documentation has every application write the class below. That this file compiles is what it shows: the
    /// project imports Microsoft.AspNetCore.Http and RedisSessions' own extensions with it.
    /// </summary>
    public abstract class JsonNamespaceTests(RedisServer server) : ServerTest(server)
    {
        [Fact]
        public async Task An_applications_own_session_extensions_are_the_ones_that_it_calls()
        {
            var site = await StartAsync(app =>
            {
                app.MapGet("/write", (HttpContext context) => context.Session.Set("when", new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc)));
                app.MapGet("/read", (HttpContext context) => context.Session.Get<DateTime>("when").Year);
                app.MapGet("/ours", (HttpContext context) => context.Session.GetCreatedAt() is not null);
                app.MapGet("/json", (HttpContext context) => WithOurs.OurJson.Year(context.Session));
            });
            var browser = site.NewBrowser();
            await browser.GetAsync("/write");
            Assert.Equal("2026", await browser.GetAsync("/read"));
            Assert.Equal("true", await browser.GetAsync("/ours"));
            Assert.Equal("2026", await browser.GetAsync("/json"));
        }
    }

    public sealed class JsonNamespaceOnGarnet(InProcessGarnet server) : JsonNamespaceTests(server);

    public sealed class JsonNamespaceOnRedis(LocalRedis server) : JsonNamespaceTests(server);
}

namespace RedisSessions.Tests.Sessions.Documented
{
    using System.Text.Json;

    // As in https://learn.microsoft.com/aspnet/core/fundamentals/app-state#set-and-get-session-values.
    public static class SessionExtensions
    {
        public static void Set<T>(this ISession session, string key, T value)
        {
            session.SetString(key, JsonSerializer.Serialize(value));
        }

        public static T? Get<T>(this ISession session, string key)
        {
            var value = session.GetString(key);
            return value == null ? default : JsonSerializer.Deserialize<T>(value);
        }
    }
}

namespace RedisSessions.Tests.Sessions.WithOurs
{
    using RedisSessions.Json;

    /// <summary>Ours, by the using directive that asks for them; they read the same JSON.</summary>
    internal static class OurJson
    {
        public static int Year(ISession session) => session.Get<DateTime>("when").Year;
    }
}
