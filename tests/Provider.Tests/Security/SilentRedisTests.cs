using System.Net;
using Microsoft.AspNetCore.Authentication;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Security;

/// <summary>A load that ran into the session's own timeout is Redis being away like any other: answered, not thrown.</summary>
[Collection(Alone.Name)]
public sealed class SilentRedisTests : OwnRedisTest
{
    private async Task<(RedisProcess Redis, Site Site, Browser Browser)> SignedInAsync(Action<IApplicationBuilder> afterSession)
    {
        var redis = await RedisAsync();
        var site = await SiteAsync(
            redis.Address + ",syncTimeout=60000,asyncTimeout=60000",
            app =>
            {
                app.MapGet("/login/{user}", (HttpContext context, string user) => context.SignInAsync(SignInSite.PrincipalOf(user)));
                app.MapGet("/validate", async (HttpContext context, ISessionSecurity security) => (await security.ValidateAsync(context)).ToString());
                app.MapGet("/transfer", [RequireRecentSignIn(5)] () => "sent");
                app.MapGet("/owner", (HttpContext context) => context.Session.GetUserId() ?? "");
            },
            ioTimeout: TimeSpan.FromMilliseconds(300),
            services: SignInSite.AddServices,
            addOns: builder => builder.AddUserIndex().AddSecurity(),
            afterSession: afterSession);
        var browser = site.NewBrowser();
        await Eventually.TrueAsync(async () =>
        {
            using var response = await TrySendAsync(browser, "/login/ada");
            return await browser.GetAsync("/owner") == "ada";
        });
        return (redis, site, browser);
    }

    [Fact]
    public async Task Validation_says_that_the_session_is_unavailable()
    {
        var (redis, _, browser) = await SignedInAsync(app => app.Use(async (context, next) =>
        {
            if (context.Request.Path == "/validate-early")
            {
                await context.Response.WriteAsync((await context.RequestServices.GetRequiredService<ISessionSecurity>().ValidateAsync(context)).ToString());
                return;
            }

            await next(context);
        }));
        redis.Pause();
        try
        {
            foreach (var path in new[] { "/validate-early", "/validate" })
            {
                Assert.Equal($"{new SessionValidation(false, "unavailable")}", await browser.GetAsync(path));
            }
        }
        finally
        {
            redis.Resume();
        }
    }

    [Fact]
    public async Task A_sensitive_page_asks_for_a_sign_in()
    {
        var (redis, _, browser) = await SignedInAsync(app => app.UseAuthentication().UseRouting().UseAuthorization());
        Assert.Equal("sent", await browser.GetAsync("/transfer"));
        redis.Pause();
        try
        {
            using var response = await browser.SendAsync(HttpMethod.Get, "/transfer");
            Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
            Assert.StartsWith("/Account/Login", response.Headers.Location!.PathAndQuery, StringComparison.Ordinal);
        }
        finally
        {
            redis.Resume();
        }
    }
}
